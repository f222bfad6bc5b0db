/* OpenSSL's TLS-SRP, both ends in one process over memory BIOs: the other side of the benchmark beside it, which compiles it.
 *
 *   cc -O2 -o openssl openssl.c -lssl -lcrypto
 *
 * It reads lines, does what each asks for, and answers with the seconds of processor time that it took:
 *
 *   handshake BITS COUNT    full handshakes in the group of so many bits, one after another
 *   bulk SIZE TOTAL         writes of SIZE bytes from client to server until TOTAL are read, on one connection
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* All of SRP is, since OpenSSL 3.0. */
#include <openssl/err.h>
#include <openssl/srp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME "juliet"
#define PASSWORD "correct horse"
#define SUITE "SRP-AES-128-CBC-SHA"
#define MOST 65536

/* The two ends of one group. The server has its verifier at hand. */
struct group {
    char bits[8];
    SRP_gN *parameters;
    BIGNUM *salt, *verifier;
    SSL_CTX *client, *server;
    struct group *next;
};

struct pair {
    SSL *client, *server;
};

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int verifier(SSL *ssl, int *alert, void *argument)
{
    struct group *group = argument;
    (void)alert;
    return SSL_set_srp_server_param(ssl, group->parameters->N, group->parameters->g, group->salt, group->verifier, NULL) == 1
        ? SSL_ERROR_NONE
        : SSL3_AL_FATAL;
}

static char *password(SSL *ssl, void *argument)
{
    (void)ssl, (void)argument;
    return OPENSSL_strdup(PASSWORD);
}

static SSL_CTX *context(const SSL_METHOD *method)
{
    SSL_CTX *made = SSL_CTX_new(method);
    if (!made)
        fail("no context");
    SSL_CTX_set_security_level(made, 0);
    SSL_CTX_set_max_proto_version(made, TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(made, SSL_OP_NO_TICKET);
    if (!SSL_CTX_set_cipher_list(made, SUITE))
        fail("this OpenSSL has no SRP");
    return made;
}

static struct group *group(const char *bits)
{
    static struct group *first;
    struct group *group;
    for (group = first; group; group = group->next)
        if (!strcmp(group->bits, bits))
            return group;
    group = calloc(1, sizeof *group);
    if (!group)
        fail("no memory");
    snprintf(group->bits, sizeof group->bits, "%s", bits);
    group->parameters = SRP_get_default_gN(bits);
    if (!group->parameters)
        fail("no such group");
    if (!SRP_create_verifier_BN(NAME, PASSWORD, &group->salt, &group->verifier, group->parameters->N, group->parameters->g))
        fail("no verifier");
    group->client = context(TLS_client_method());
    SSL_CTX_set_srp_username(group->client, NAME);
    SSL_CTX_set_srp_client_pwd_callback(group->client, password);
    group->server = context(TLS_server_method());
    SSL_CTX_set_srp_username_callback(group->server, verifier);
    SSL_CTX_set_srp_cb_arg(group->server, group);
    group->next = first;
    return first = group;
}

static void move(BIO *from, BIO *to)
{
    static char buffer[2 * MOST];
    int length;
    while ((length = BIO_read(from, buffer, sizeof buffer)) > 0)
        if (BIO_write(to, buffer, length) != length)
            fail("a memory BIO is full");
}

static void step(SSL *ssl)
{
    int result = SSL_do_handshake(ssl);
    if (result <= 0 && SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ)
        fail("the handshake failed");
}

static struct pair connect_pair(struct group *group)
{
    struct pair pair = { SSL_new(group->client), SSL_new(group->server) };
    SSL_set_bio(pair.client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_bio(pair.server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(pair.client);
    SSL_set_accept_state(pair.server);
    while (!SSL_is_init_finished(pair.client) || !SSL_is_init_finished(pair.server)) {
        step(pair.client);
        move(SSL_get_wbio(pair.client), SSL_get_rbio(pair.server));
        step(pair.server);
        move(SSL_get_wbio(pair.server), SSL_get_rbio(pair.client));
    }
    return pair;
}

static void handshake(struct group *group)
{
    struct pair pair = connect_pair(group);
    SSL_free(pair.client);
    SSL_free(pair.server);
}

static void bulk(struct pair pair, int size)
{
    static char sent[MOST], heard[MOST];
    int got = 0;
    if (SSL_write(pair.client, sent, size) != size)
        fail("a short write");
    move(SSL_get_wbio(pair.client), SSL_get_rbio(pair.server));
    while (got < size) {
        int length = SSL_read(pair.server, heard + got, size - got);
        if (length <= 0)
            fail("a short read");
        got += length;
    }
}

int main(void)
{
    struct pair open = connect_pair(group("2048"));
    char kind[16], first[8];
    long second;
    while (scanf("%15s %7s %ld", kind, first, &second) == 3) {
        double started;
        if (!strcmp(kind, "handshake")) {
            struct group *made = group(first);
            /* Each side warms up before it is timed: the other one has just had the caches. */
            handshake(made);
            started = now();
            for (long i = 0; i < second; i++)
                handshake(made);
        } else {
            int size = atoi(first);
            if (size <= 0 || size > MOST)
                fail("a size that is not served");
            bulk(open, size);
            started = now();
            for (long done = 0; done < second; done += size)
                bulk(open, size);
        }
        printf("%.9f\n", now() - started);
        fflush(stdout);
    }
    return 0;
}
