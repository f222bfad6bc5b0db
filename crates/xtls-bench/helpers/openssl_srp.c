/* TLS-SRP (RFC 5054) by OpenSSL 3 between two ends in memory. The argument is the size of the group in bits.
   "handshake COUNT" or "bulk LENGTH COUNT" on standard input; a line of seconds on standard output answers it.
   The server has a verifier, made beforehand; the cipher suite is SRP-AES-128-CBC-SHA under encrypt-then-MAC. */
#include <openssl/err.h>
#include <openssl/srp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static SRP_gN *group;
static BIGNUM *salt, *verifier;
static SSL_CTX *client_context, *server_context;
static char plain[1 << 17], heard[1 << 17];

struct ends {
    SSL *client, *server;
};

static void fail(const char *what)
{
    fprintf(stderr, "OpenSSL: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int on_user_name(SSL *ssl, int *alert, void *unused)
{
    (void)alert;
    (void)unused;
    int set = SSL_set_srp_server_param(ssl, group->N, group->g, salt, verifier, NULL);
    return set == 1 ? SSL_ERROR_NONE : SSL3_AL_FATAL;
}

static char *on_password(SSL *ssl, void *unused)
{
    (void)ssl;
    (void)unused;
    return OPENSSL_strdup("correct horse");
}

static void prepare(const char *bits)
{
    SSL_CTX *both[2] = {client_context = SSL_CTX_new(TLS_client_method()), server_context = SSL_CTX_new(TLS_server_method())};
    group = SRP_get_default_gN(bits);
    if (!group || !SRP_create_verifier_BN("juliet", "correct horse", &salt, &verifier, group->N, group->g))
        fail("no such group");
    for (int i = 0; i < 2; i++) {
        SSL_CTX_set_security_level(both[i], 0);
        SSL_CTX_set_max_proto_version(both[i], TLS1_2_VERSION);
        if (!SSL_CTX_set_cipher_list(both[i], "SRP-AES-128-CBC-SHA"))
            fail("it was built without SRP");
        SSL_CTX_set_session_cache_mode(both[i], SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(both[i], SSL_OP_NO_TICKET);
    }
    SSL_CTX_set_srp_username(client_context, "juliet");
    SSL_CTX_set_srp_client_pwd_callback(client_context, on_password);
    SSL_CTX_set_srp_strength(client_context, 1024);
    SSL_CTX_set_srp_username_callback(server_context, on_user_name);
}

static void move(BIO *from, BIO *to)
{
    char bytes[65536];
    int count;
    while ((count = BIO_read(from, bytes, sizeof bytes)) > 0)
        BIO_write(to, bytes, count);
}

static void go_on(SSL *ssl)
{
    int done = SSL_do_handshake(ssl);
    if (done <= 0 && SSL_get_error(ssl, done) != SSL_ERROR_WANT_READ)
        fail("a handshake failed");
}

static struct ends handshake(void)
{
    struct ends ends = {SSL_new(client_context), SSL_new(server_context)};
    BIO *client_in = BIO_new(BIO_s_mem()), *client_out = BIO_new(BIO_s_mem());
    BIO *server_in = BIO_new(BIO_s_mem()), *server_out = BIO_new(BIO_s_mem());
    SSL_set_bio(ends.client, client_in, client_out);
    SSL_set_bio(ends.server, server_in, server_out);
    SSL_set_connect_state(ends.client);
    SSL_set_accept_state(ends.server);
    for (int i = 0; i < 8 && !(SSL_is_init_finished(ends.client) && SSL_is_init_finished(ends.server)); i++) {
        go_on(ends.client);
        move(client_out, server_in);
        go_on(ends.server);
        move(server_out, client_in);
    }
    if (!SSL_is_init_finished(ends.client) || !SSL_is_init_finished(ends.server))
        fail("a handshake does not end");
    return ends;
}

static void pass(struct ends ends, int length)
{
    if (SSL_write(ends.client, plain, length) != length)
        fail("it does not write");
    move(SSL_get_wbio(ends.client), SSL_get_rbio(ends.server));
    int arrived = 0, count;
    while (arrived < length && (count = SSL_read(ends.server, heard + arrived, length - arrived)) > 0)
        arrived += count;
    if (arrived != length)
        fail("not all of it comes");
}

int main(int argc, char **argv)
{
    prepare(argc > 1 ? argv[1] : "2048");
    memset(plain, 'x', sizeof plain);
    struct ends open = handshake();
    if (strcmp(SSL_get_cipher(open.client), "SRP-AES-128-CBC-SHA"))
        fail("another cipher suite");
    pass(open, 16384);
    if (memcmp(plain, heard, 16384))
        fail("what comes is not what was sent");
    puts("ready");
    fflush(stdout);
    char line[64];
    int length;
    long count;
    while (fgets(line, sizeof line, stdin)) {
        double start = now();
        if (sscanf(line, "handshake %ld", &count) == 1) {
            for (long i = 0; i < count; i++) {
                struct ends ends = handshake();
                SSL_free(ends.client);
                SSL_free(ends.server);
            }
        } else if (sscanf(line, "bulk %d %ld", &length, &count) == 2 && length > 0 && (size_t)length <= sizeof plain) {
            for (long i = 0; i < count; i++)
                pass(open, length);
        } else {
            fail("no such work");
        }
        printf("%.9f\n", now() - start);
        fflush(stdout);
    }
    return 0;
}
