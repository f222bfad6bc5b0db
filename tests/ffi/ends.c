#include "ends.h"

void fail(const char *file, int line, const char *what) {
  char words[1024] = "";
  size_t length;
  xtls_last_error(words, sizeof words, &length);
  fprintf(stderr, "%s:%d: not so: %s (the last error was: %s)\n", file, line, what, words);
  exit(1);
}

void differs(const char *file, int line, const char *call, xtls_code got, xtls_code wanted) {
  fprintf(stderr, "%s gives %s and not %s\n", call, xtls_code_name(got), xtls_code_name(wanted));
  fail(file, line, call);
}

xtls_setup setup_of(const char *jid, const char *identity) {
  static const xtls_setting stamped[] = {{"stamp_from", "true"}};
  xtls_setup setup = {0};
  setup.size = sizeof setup;
  setup.jid = jid;
  setup.identity = identity;
  setup.settings = stamped;
  setup.settings_count = 1;
  setup.unix_time = UNIX_TIME;
  setup.now = 5;
  return setup;
}

void end_engine(end *one, const xtls_store *store, const char *store_path) {
  xtls_setup setup = setup_of(one->jid, one->identity);
  if (one->engine != 0) OK(xtls_engine_free(one->engine));
  setup.store = store;
  setup.store_path = store_path;
  OK(xtls_engine_new(&setup, &one->engine));
  OK(xtls_set_features(one->engine, "https://exodus.example/", "client", "pc", NULL, 0));
}

void pair_new(pair *both) {
  const char *jids[2] = {ROMEO, JULIET};
  size_t length;
  memset(both, 0, sizeof *both);
  both->now = 5;
  for (int i = 0; i < 2; i++) {
    end *one = &both->ends[i];
    one->jid = jids[i];
    OK(xtls_identity_generate(one->jid, "ecdsa-p256", UNIX_TIME, one->identity, sizeof one->identity, &length));
    CHECK(length == strlen(one->identity) + 1);
    OK(xtls_identity_fingerprint(one->identity, one->fingerprint, sizeof one->fingerprint, &length));
    end_engine(one, NULL, NULL);
  }
  for (int i = 0; i < 2; i++) OK(xtls_pin(both->ends[i].engine, jids[1 - i], both->ends[1 - i].fingerprint));
}

void pair_free(pair *both) {
  for (int i = 0; i < 2; i++) {
    end *one = &both->ends[i];
    OK(xtls_engine_free(one->engine));
    for (size_t at = 0; at < one->count; at++) free(one->events[at].texts);
  }
}

static bool carry(pair *both, int from) {
  static char stanza[XTLS_BUFFER_SIZE];
  size_t length;
  xtls_handled handled;
  bool moved = false;
  while (xtls_poll_transmit(both->ends[from].engine, both->now, stanza, sizeof stanza, &length) == XTLS_OK) {
    OK(xtls_handle_stanza(both->ends[1 - from].engine, both->now, stanza, length, &handled));
    if (handled.disposition != XTLS_CONSUMED) fprintf(stderr, "%.*s\n", (int)length, stanza);
    CHECK(handled.disposition == XTLS_CONSUMED);
    moved = true;
  }
  return moved;
}

static bool keep(end *one) {
  bool moved = false;
  for (;;) {
    seen *next = &one->events[one->count];
    size_t length = 0;
    CHECK(one->count < sizeof one->events / sizeof one->events[0]);
    next->event.size = sizeof next->event;
    xtls_code code = xtls_poll_event(one->engine, &next->event, NULL, 0, &length);
    if (code == XTLS_NOTHING) return moved;
    /* The texts take as much as it says, to the byte. */
    CHECK(code == XTLS_BUFFER_TOO_SMALL && length > 0);
    next->texts = malloc(length);
    CHECK(next->texts != NULL);
    OK(xtls_poll_event(one->engine, &next->event, next->texts, length, &length));
    CHECK(strcmp(next->event.name, xtls_event_name(next->event.kind)) == 0);
    next->taken = false;
    one->count++;
    moved = true;
  }
}

void pair_run(pair *both) {
  for (bool moved = true; moved;) {
    moved = false;
    for (int i = 0; i < 2; i++) {
      moved |= carry(both, i);
      moved |= keep(&both->ends[i]);
    }
    both->now++;
  }
}

bool has_event(const end *one, int32_t kind) {
  for (size_t at = 0; at < one->count; at++)
    if (!one->events[at].taken && one->events[at].event.kind == kind) return true;
  return false;
}

xtls_event event_of(end *one, int32_t kind) {
  for (size_t at = 0; at < one->count; at++) {
    if (one->events[at].taken || one->events[at].event.kind != kind) continue;
    one->events[at].taken = true;
    return one->events[at].event;
  }
  fprintf(stderr, "%s has no event %s\n", one->jid, xtls_event_name(kind));
  fail(__FILE__, __LINE__, "event_of");
  abort();
}

void tunnel(pair *both, const char *application, uint64_t ids[2]) {
  const xtls_setting offered[] = {{"trust", "pinned"}, {"application", application}};
  OK(xtls_initiate(both->ends[0].engine, both->now, JULIET, offered, 2, &ids[0]));
  pair_run(both);
  xtls_event offer = event_of(&both->ends[1], XTLS_EVENT_INCOMING);
  CHECK(strcmp(offer.peer, ROMEO) == 0 && strcmp(offer.application, application) == 0);
  CHECK(strstr(offer.fingerprints, both->ends[0].fingerprint) != NULL && strstr(offer.methods, "x509") != NULL);
  ids[1] = offer.id;
  OK(xtls_accept(both->ends[1].engine, both->now, ids[1], offered, 1));
  pair_run(both);
}
