/* Certificates that are not the right ones, offers that nobody wants, and what the server does. */
#include "ends.h"

static const xtls_setting pinned[] = {{"trust", "pinned"}};
static const xtls_setting ask[] = {{"trust", "ask"}};

/* Romeo has another certificate than the one that Juliet knows. */
static void stranger(pair *both) {
  size_t length;
  pair_new(both);
  OK(xtls_identity_generate(ROMEO, "ed25519", UNIX_TIME, both->ends[0].identity, XTLS_IDENTITY_SIZE, &length));
  end_engine(&both->ends[0], NULL, NULL);
  OK(xtls_pin(both->ends[0].engine, JULIET, both->ends[1].fingerprint));
}

static void refused(void) {
  static pair both;
  uint64_t id;
  stranger(&both);
  OK(xtls_initiate(both.ends[0].engine, both.now, JULIET, pinned, 1, &id));
  pair_run(&both);
  OK(xtls_accept(both.ends[1].engine, both.now, event_of(&both.ends[1], XTLS_EVENT_INCOMING).id, pinned, 1));
  pair_run(&both);
  xtls_event closed = event_of(&both.ends[1], XTLS_EVENT_CLOSED);
  CHECK(strcmp(closed.reason, "fault") == 0 && strcmp(closed.fault, "certificate-changed") == 0);
  CHECK(closed.is_security && strcmp(closed.blame, "misbehaved") == 0 && *closed.text != 0);
  CHECK(event_of(&both.ends[0], XTLS_EVENT_CLOSED).is_security && !has_event(&both.ends[1], XTLS_EVENT_SECURED));
  pair_free(&both);
}

static void asked(const char *decision) {
  static pair both;
  char pins[1024];
  uint64_t id;
  size_t length;
  stranger(&both);
  OK(xtls_initiate(both.ends[0].engine, both.now, JULIET, pinned, 1, &id));
  pair_run(&both);
  uint64_t hers = event_of(&both.ends[1], XTLS_EVENT_INCOMING).id;
  OK(xtls_accept(both.ends[1].engine, both.now, hers, ask, 1));
  pair_run(&both);
  xtls_event question = event_of(&both.ends[1], XTLS_EVENT_TRUST_REQUIRED);
  CHECK(question.id == hers && *question.fingerprints != 0 && strstr(question.text, "Ed25519") != NULL);
  GIVES(XTLS_NAME, xtls_trust(both.ends[1].engine, both.now, hers, "perhaps"));
  OK(xtls_trust(both.ends[1].engine, both.now, hers, decision));
  pair_run(&both);
  OK(xtls_pins(both.ends[1].engine, pins, sizeof pins, &length));
  if (strcmp(decision, "refuse") == 0) {
    CHECK(strcmp(event_of(&both.ends[1], XTLS_EVENT_CLOSED).fault, "trust-refused") == 0);
    CHECK(strstr(pins, question.fingerprint) == NULL);
  } else {
    xtls_event secured = event_of(&both.ends[1], XTLS_EVENT_SECURED);
    CHECK(strcmp(secured.authentication, "approved") == 0 && *secured.fingerprints != 0);
    CHECK(strstr(pins, question.fingerprint) != NULL);
  }
  pair_free(&both);
}

static void rejected(void) {
  static pair both;
  uint64_t id;
  pair_new(&both);
  OK(xtls_initiate(both.ends[0].engine, both.now, JULIET, pinned, 1, &id));
  pair_run(&both);
  uint64_t hers = event_of(&both.ends[1], XTLS_EVENT_INCOMING).id;
  GIVES(XTLS_SETTING, xtls_accept(both.ends[1].engine, both.now, hers, NULL, 0));
  GIVES(XTLS_NAME, xtls_reject(both.ends[1].engine, both.now, hers, "boredom"));
  OK(xtls_reject(both.ends[1].engine, both.now, hers, "busy"));
  GIVES(XTLS_GONE, xtls_reject(both.ends[1].engine, both.now, hers, "busy"));
  GIVES(XTLS_GONE, xtls_accept(both.ends[1].engine, both.now, hers, pinned, 1));
  pair_run(&both);
  xtls_event closed = event_of(&both.ends[0], XTLS_EVENT_CLOSED);
  CHECK(strcmp(closed.reason, "terminated") == 0 && strcmp(closed.condition, "busy") == 0);
  pair_free(&both);
}

/* A server that is away comes back, and then does not. */
static void broken(void) {
  static pair both;
  uint64_t ids[2], after;
  pair_new(&both);
  tunnel(&both, "bytes", ids);
  OK(xtls_handle_suspended(both.ends[0].engine, both.now));
  OK(xtls_poll_timeout(both.ends[0].engine, both.now, &after));
  CHECK(after > 1000);
  both.now += 60000;
  OK(xtls_handle_timeout(both.ends[0].engine, both.now));
  OK(xtls_handle_resumed(both.ends[0].engine, both.now));
  pair_run(&both);
  CHECK(!has_event(&both.ends[0], XTLS_EVENT_CLOSED));
  OK(xtls_handle_disconnect(both.ends[0].engine, both.now));
  pair_run(&both);
  xtls_event closed = event_of(&both.ends[0], XTLS_EVENT_CLOSED);
  CHECK(strcmp(closed.fault, "disconnected") == 0 && strcmp(closed.blame, "network") == 0);
  pair_free(&both);
}

/* Stanzas that are not the engine's, presence, and questions about what is ready. */
static void others(void) {
  static pair both;
  xtls_handled handled;
  char text[4096];
  size_t length;
  uint64_t id;
  pair_new(&both);
  xtls_engine juliet = both.ends[1].engine;
#define HANDLE(stanza) OK(xtls_handle_stanza(juliet, both.now, stanza, strlen(stanza), &handled))
  HANDLE("<message from='paris@verona.lit'><body>Lady</body></message>");
  CHECK(handled.disposition == XTLS_NOT_OURS && handled.refusal == 0);
  HANDLE("<iq");
  CHECK(handled.disposition == XTLS_MALFORMED);
  HANDLE("<message>\xff</message>");
  CHECK(handled.disposition == XTLS_MALFORMED);
  HANDLE("<iq type='set' id='1' from='" ROMEO "'><open xmlns='http://jabber.org/protocol/ibb' sid='s' block-size='4096'/></iq>");
  CHECK(handled.disposition == XTLS_UNCLAIMED);
  GIVES(XTLS_NOTHING, xtls_poll_transmit(juliet, both.now, text, sizeof text, &length));
  OK(xtls_refuse(juliet, both.now, handled.refusal));
  GIVES(XTLS_GONE, xtls_refuse(juliet, both.now, handled.refusal));
  OK(xtls_poll_transmit(juliet, both.now, text, sizeof text, &length));
  CHECK(length > 10 && memcmp(text, "<iq", 3) == 0);
  GIVES(XTLS_NOTHING, xtls_poll_transmit(juliet, both.now, text, sizeof text, &length));

  OK(xtls_presence(both.ends[0].engine, JULIET, text, sizeof text, &length));
  CHECK(length == strlen(text) + 1 && strstr(text, "to='" JULIET "'") != NULL);
  OK(xtls_presence(both.ends[0].engine, NULL, text, sizeof text, &length));
  char stamped[4200];
  snprintf(stamped, sizeof stamped, "<presence from='" ROMEO "'%s", text + strlen("<presence"));
  HANDLE(stamped);
  CHECK(handled.disposition == XTLS_OBSERVED);
  OK(xtls_resources(juliet, "romeo@montague.lit", text, sizeof text, &length));
  CHECK(strcmp(text, ROMEO "\n") == 0);

  OK(xtls_allow_offers(juliet, "romeo@montague.lit", true));
  OK(xtls_probe(both.ends[0].engine, both.now, JULIET, pinned, 1, &id));
  pair_run(&both);
  xtls_event probed = event_of(&both.ends[0], XTLS_EVENT_PROBED);
  CHECK(probed.id == id && strcmp(probed.peer, JULIET) == 0 && *probed.fault == 0 && *probed.fingerprints != 0);
  OK(xtls_set_stanza_limit(juliet, both.now, 20000));
  OK(xtls_set_stanza_limit(juliet, both.now, 0));
  OK(xtls_set_window(juliet, both.now, "3"));
  OK(xtls_set_window(juliet, both.now, "adaptive"));
  GIVES(XTLS_CONFIG, xtls_set_window(juliet, both.now, "33"));
  GIVES(XTLS_NOTHING, xtls_forgive(juliet, ROMEO));
  pair_free(&both);
}

void test_refusals(void) {
  refused();
  asked("refuse");
  asked("accept-and-keep");
  rejected();
  broken();
  others();
}
