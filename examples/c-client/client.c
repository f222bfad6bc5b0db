/* A client of XTLS in C. Stanzas come in on standard input and go out on standard output, each with a zero byte after it; a real
 * client has a connection to its server there. `client ME PEER WORDS` offers a tunnel, says the words in it, and prints what it
 * hears; `client ME` accepts a tunnel, and answers what it hears. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xtls.h>

static xtls_engine engine;
static const char *words;
static const xtls_setting trust[] = {{"trust", "leap-of-faith"}};

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* Ends the program unless a call has done what it was made for. */
static void must(xtls_code code, const char *what) {
  char why[512] = "";
  size_t length;
  if (code == XTLS_OK) return;
  xtls_last_error(why, sizeof why, &length);
  fprintf(stderr, "%s: %s (%s)\n", what, *why ? why : xtls_strerror(code), xtls_code_name(code));
  exit(1);
}

/* Your certificate with its key: made the first time, and read ever after. */
static void identity(const char *jid, char *pem) {
  char path[512];
  size_t length;
  snprintf(path, sizeof path, "%.*s.pem", (int)strcspn(jid, "/"), jid);
  FILE *file = fopen(path, "r");
  if (file != NULL) {
    pem[fread(pem, 1, XTLS_IDENTITY_SIZE - 1, file)] = 0;
  } else {
    must(xtls_identity_generate(jid, "ecdsa-p256", (uint64_t)time(NULL), pem, XTLS_IDENTITY_SIZE, &length), "a key");
    if ((file = fopen(path, "wx")) == NULL || fputs(pem, file) < 0) {
      perror(path);
      exit(1);
    }
  }
  fclose(file);
}

/* What happened. Tells whether to go on. */
static bool on_event(const xtls_event *event) {
  char answer[4096];
  switch (event->kind) {
    case XTLS_EVENT_INCOMING:
      must(xtls_accept(engine, now(), event->id, trust, 1), "accept");
      break;
    case XTLS_EVENT_SECURED:
      fprintf(stderr, "secured by %s: %s\n", event->authentication, event->fingerprint);
      break;
    case XTLS_EVENT_STREAM_OPENED:
      if (words == NULL) break;
      snprintf(answer, sizeof answer, "<message><body>%s</body></message>", words);
      must(xtls_send(engine, now(), event->id, answer), "send");
      break;
    case XTLS_EVENT_STANZA: {
      const char *body = strstr(event->text, "<body>"), *end = strstr(event->text, "</body>");
      if (body == NULL || end == NULL) break;
      fprintf(stderr, "heard: %.*s\n", (int)(end - body - 6), body + 6);
      if (words != NULL) {
        must(xtls_close(engine, now(), event->id), "close");
      } else {
        snprintf(answer, sizeof answer, "<message><body>I hear: %.*s</body></message>", (int)(end - body - 6), body + 6);
        must(xtls_send(engine, now(), event->id, answer), "send");
      }
      break;
    }
    case XTLS_EVENT_CLOSED:
      fprintf(stderr, "closed by %s: %s\n", event->by, event->text);
      return false;
  }
  return true;
}

/* Takes everything out of the engine. Tells whether to go on. */
static bool take_out(void) {
  static char buffer[1 << 20];
  size_t length;
  bool goes_on = true;
  xtls_code code;
  xtls_event event = {.size = sizeof event};
  while ((code = xtls_poll_event(engine, &event, buffer, sizeof buffer, &length)) == XTLS_OK)
    goes_on = on_event(&event) && goes_on;
  if (code != XTLS_NOTHING) must(code, "poll_event");
  while ((code = xtls_poll_transmit(engine, now(), buffer, sizeof buffer - 1, &length)) == XTLS_OK) {
    buffer[length] = 0;
    fwrite(buffer, 1, length + 1, stdout);
  }
  if (code != XTLS_NOTHING) must(code, "poll_transmit");
  fflush(stdout);
  return goes_on;
}

/* Waits until there is something to read, or time has passed. Hands in what has come; false at the end. */
static bool wait_and_hand_in(void) {
  static char buffer[1 << 20];
  static size_t have;
  uint64_t after = 60000;
  struct pollfd from_server = {.fd = STDIN_FILENO, .events = POLLIN};
  xtls_poll_timeout(engine, now(), &after);
  if (poll(&from_server, 1, after > 60000 ? 60000 : (int)after) == 0)
    return xtls_handle_timeout(engine, now()) == XTLS_OK;
  ssize_t count = read(STDIN_FILENO, buffer + have, sizeof buffer - have);
  if (count <= 0) return false;
  have += (size_t)count;
  for (char *end; (end = memchr(buffer, 0, have)) != NULL;) {
    size_t length = (size_t)(end - buffer);
    xtls_handled handled;
    must(xtls_handle_stanza(engine, now(), buffer, length, &handled), "handle_stanza");
    if (handled.disposition == XTLS_UNCLAIMED) xtls_refuse(engine, now(), handled.refusal);
    have -= length + 1;
    memmove(buffer, end + 1, have);
  }
  return true;
}

int main(int count, char **arguments) {
  char pem[XTLS_IDENTITY_SIZE], path[512];
  uint64_t id;
  if (count != 2 && count != 4) return fprintf(stderr, "usage: client ME [PEER WORDS]\n"), 2;
  const char *jid = arguments[1];
  umask(077); /* The key is for nobody else. */
  identity(jid, pem);
  snprintf(path, sizeof path, "%.*s.json", (int)strcspn(jid, "/"), jid);
  /* No server is here to say who a stanza is from. */
  const xtls_setting settings[] = {{"stamp_from", "true"}};
  xtls_setup setup = {.size = sizeof setup, .jid = jid, .identity = pem, .store_path = path, .settings = settings,
                      .settings_count = 1, .unix_time = (uint64_t)time(NULL), .now = now()};
  must(xtls_engine_new(&setup, &engine), "engine");
  must(xtls_set_features(engine, "https://client.example/", "client", "console", NULL, 0), "features");
  if (count == 4) {
    words = arguments[3];
    must(xtls_initiate(engine, now(), arguments[2], trust, 1, &id), "initiate");
  }
  while (take_out() && wait_and_hand_in()) continue;
  take_out();
  return xtls_engine_free(engine) == XTLS_OK ? 0 : 1;
}
