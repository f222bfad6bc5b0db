/* What a program can get wrong: each time a code that says which, and never anything worse. */
#include <stddef.h>

#include "ends.h"

static const xtls_setting pinned[] = {{"trust", "pinned"}};

void every_call_gives(xtls_engine engine, xtls_code code) {
  char text[64];
  const char *lent;
  size_t length;
  uint64_t number;
  xtls_handled handled;
  xtls_event event = {0};
  xtls_stats stats = {0};
  event.size = sizeof event;
  stats.size = sizeof stats;
  GIVES(code, xtls_handle_stanza(engine, 9, "<a/>", 4, &handled));
  GIVES(code, xtls_refuse(engine, 9, 1));
  GIVES(code, xtls_handle_timeout(engine, 9));
  GIVES(code, xtls_handle_disconnect(engine, 9));
  GIVES(code, xtls_handle_suspended(engine, 9));
  GIVES(code, xtls_handle_resumed(engine, 9));
  GIVES(code, xtls_poll_transmit(engine, 9, text, sizeof text, &length));
  GIVES(code, xtls_lend_transmit(engine, 9, &lent, &length));
  GIVES(code, xtls_poll_timeout(engine, 9, &number));
  GIVES(code, xtls_poll_event(engine, &event, text, sizeof text, &length));
  GIVES(code, xtls_initiate(engine, 9, JULIET, pinned, 1, &number));
  GIVES(code, xtls_accept(engine, 9, 1, pinned, 1));
  GIVES(code, xtls_reject(engine, 9, 1, "busy"));
  GIVES(code, xtls_password(engine, 9, 1, NULL));
  GIVES(code, xtls_trust(engine, 9, 1, "accept"));
  GIVES(code, xtls_send(engine, 9, 1, "<message/>"));
  GIVES(code, xtls_write(engine, 9, 1, (const uint8_t *)"x", 1, &length));
  GIVES(code, xtls_read(engine, 9, 1, (uint8_t *)text, sizeof text, &length));
  GIVES(code, xtls_finish(engine, 9, 1));
  GIVES(code, xtls_close(engine, 9, 1));
  GIVES(code, xtls_abort(engine, 9, 1, "cancel"));
  GIVES(code, xtls_open_stream(engine, 9, 1));
  GIVES(code, xtls_close_stream(engine, 9, 1));
  GIVES(code, xtls_set_give_receipt(engine, 9, 1, "never"));
  GIVES(code, xtls_give_receipt(engine, 9, 1));
  GIVES(code, xtls_tunnel_stats(engine, 1, &stats));
  GIVES(code, xtls_export_keying_material(engine, 1, "EXPORTER", (uint8_t *)text, sizeof text));
  GIVES(code, xtls_pin(engine, ROMEO, "sha-256:00"));
  GIVES(code, xtls_forget(engine, ROMEO));
  GIVES(code, xtls_forgive(engine, ROMEO));
  GIVES(code, xtls_pins(engine, text, sizeof text, &length));
  GIVES(code, xtls_set_features(engine, "a", "b", "c", NULL, 0));
  GIVES(code, xtls_presence(engine, NULL, text, sizeof text, &length));
  GIVES(code, xtls_resources(engine, JULIET, text, sizeof text, &length));
  GIVES(code, xtls_probe(engine, 9, JULIET, pinned, 1, &number));
  GIVES(code, xtls_allow_offers(engine, JULIET, true));
  GIVES(code, xtls_set_stanza_limit(engine, 9, 9));
  GIVES(code, xtls_set_window(engine, 9, "3"));
  GIVES(code, xtls_engine_free(engine));
}

static void handles(void) {
  static pair both;
  pair_new(&both);
  xtls_engine romeo = both.ends[0].engine;
  every_call_gives(0, XTLS_BAD_HANDLE);
  every_call_gives(UINT64_MAX, XTLS_BAD_HANDLE);
  every_call_gives(romeo + 1000, XTLS_BAD_HANDLE);
  every_call_gives(romeo ^ (UINT64_C(1) << 40), XTLS_BAD_HANDLE);
  OK(xtls_engine_free(romeo));
  every_call_gives(romeo, XTLS_BAD_HANDLE);
  /* The next engine has the same place and another number. */
  both.ends[0].engine = 0;
  end_engine(&both.ends[0], NULL, NULL);
  CHECK(both.ends[0].engine != romeo && (uint32_t)both.ends[0].engine == (uint32_t)romeo);
  every_call_gives(romeo, XTLS_BAD_HANDLE);
  OK(xtls_handle_timeout(both.ends[0].engine, 9));
  pair_free(&both);
}

static void null_pointers(void) {
  static pair both;
  char text[64];
  const char *lent;
  size_t length;
  uint64_t number;
  xtls_handled handled;
  xtls_event event = {0};
  const xtls_setting no_name[] = {{NULL, "x"}}, no_value[] = {{"trust", NULL}};
  const char *const no_feature[] = {NULL};
  pair_new(&both);
  xtls_engine engine = both.ends[0].engine;
  event.size = sizeof event;
  GIVES(XTLS_NULL_POINTER, xtls_handle_stanza(engine, 9, NULL, 4, &handled));
  GIVES(XTLS_NULL_POINTER, xtls_handle_stanza(engine, 9, "<a/>", 4, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_poll_transmit(engine, 9, NULL, 1, &length));
  GIVES(XTLS_NULL_POINTER, xtls_poll_transmit(engine, 9, text, sizeof text, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_lend_transmit(engine, 9, NULL, &length));
  GIVES(XTLS_NULL_POINTER, xtls_lend_transmit(engine, 9, &lent, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_poll_timeout(engine, 9, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_poll_event(engine, NULL, text, sizeof text, &length));
  GIVES(XTLS_NULL_POINTER, xtls_poll_event(engine, &event, NULL, 1, &length));
  GIVES(XTLS_NULL_POINTER, xtls_poll_event(engine, &event, text, sizeof text, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_initiate(engine, 9, NULL, pinned, 1, &number));
  GIVES(XTLS_NULL_POINTER, xtls_initiate(engine, 9, JULIET, NULL, 1, &number));
  GIVES(XTLS_NULL_POINTER, xtls_initiate(engine, 9, JULIET, no_name, 1, &number));
  GIVES(XTLS_NULL_POINTER, xtls_initiate(engine, 9, JULIET, no_value, 1, &number));
  GIVES(XTLS_NULL_POINTER, xtls_initiate(engine, 9, JULIET, pinned, 1, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_accept(engine, 9, 1, NULL, 1));
  GIVES(XTLS_NULL_POINTER, xtls_reject(engine, 9, 1, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_trust(engine, 9, 1, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_send(engine, 9, 1, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_write(engine, 9, 1, NULL, 1, &length));
  GIVES(XTLS_NULL_POINTER, xtls_write(engine, 9, 1, (const uint8_t *)"x", 1, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_read(engine, 9, 1, NULL, 1, &length));
  GIVES(XTLS_NULL_POINTER, xtls_read(engine, 9, 1, (uint8_t *)text, 1, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_abort(engine, 9, 1, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_set_give_receipt(engine, 9, 1, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_tunnel_stats(engine, 1, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_export_keying_material(engine, 1, NULL, (uint8_t *)text, 1));
  GIVES(XTLS_NULL_POINTER, xtls_export_keying_material(engine, 1, "x", NULL, 1));
  GIVES(XTLS_NULL_POINTER, xtls_pin(engine, NULL, "sha-256:00"));
  GIVES(XTLS_NULL_POINTER, xtls_pin(engine, ROMEO, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_forget(engine, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_forgive(engine, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_pins(engine, NULL, 1, &length));
  GIVES(XTLS_NULL_POINTER, xtls_set_features(engine, NULL, "b", "c", NULL, 0));
  GIVES(XTLS_NULL_POINTER, xtls_set_features(engine, "a", NULL, "c", NULL, 0));
  GIVES(XTLS_NULL_POINTER, xtls_set_features(engine, "a", "b", NULL, NULL, 0));
  GIVES(XTLS_NULL_POINTER, xtls_set_features(engine, "a", "b", "c", NULL, 1));
  GIVES(XTLS_NULL_POINTER, xtls_set_features(engine, "a", "b", "c", no_feature, 1));
  GIVES(XTLS_NULL_POINTER, xtls_presence(engine, NULL, NULL, 1, &length));
  GIVES(XTLS_NULL_POINTER, xtls_resources(engine, NULL, text, 1, &length));
  GIVES(XTLS_NULL_POINTER, xtls_probe(engine, 9, NULL, pinned, 1, &number));
  GIVES(XTLS_NULL_POINTER, xtls_probe(engine, 9, JULIET, pinned, 1, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_allow_offers(engine, NULL, true));
  GIVES(XTLS_NULL_POINTER, xtls_set_window(engine, 9, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_identity_generate(NULL, "ed25519", 1, text, 1, &length));
  GIVES(XTLS_NULL_POINTER, xtls_identity_generate(ROMEO, NULL, 1, text, 1, &length));
  GIVES(XTLS_NULL_POINTER, xtls_identity_generate(ROMEO, "ed25519", 1, NULL, 1, &length));
  GIVES(XTLS_NULL_POINTER, xtls_identity_generate(ROMEO, "ed25519", 1, text, 1, NULL));
  GIVES(XTLS_NULL_POINTER, xtls_identity_fingerprint(NULL, text, 1, &length));
  GIVES(XTLS_NULL_POINTER, xtls_last_error(NULL, 1, &length));
  GIVES(XTLS_NULL_POINTER, xtls_last_error(text, 1, NULL));

  xtls_setup setup = setup_of(ROMEO, both.ends[0].identity);
  xtls_engine none = 7;
  GIVES(XTLS_NULL_POINTER, xtls_engine_new(NULL, &none));
  CHECK(none == 0);
  GIVES(XTLS_NULL_POINTER, xtls_engine_new(&setup, NULL));
  setup.jid = NULL;
  GIVES(XTLS_NULL_POINTER, xtls_engine_new(&setup, &none));
  setup = setup_of(ROMEO, NULL);
  GIVES(XTLS_NULL_POINTER, xtls_engine_new(&setup, &none));
  setup = setup_of(ROMEO, both.ends[0].identity);
  setup.settings = NULL;
  GIVES(XTLS_NULL_POINTER, xtls_engine_new(&setup, &none));
  pair_free(&both);
}

static void values(void) {
  static pair both;
  const xtls_setting not_utf8[] = {{"trust", "\xc3("}}, colour[] = {{"trust", "pinned"}, {"colour", "red"}};
  const xtls_setting size[] = {{"block_size", "255"}}, twice[] = {{"window", "3"}, {"window", "3"}};
  char text[64], words[512];
  size_t length;
  uint64_t number;
  pair_new(&both);
  xtls_engine engine = both.ends[0].engine, none;
  GIVES(XTLS_NOT_UTF8, xtls_initiate(engine, 9, "juliet@capulet.lit/\xff", pinned, 1, &number));
  GIVES(XTLS_NOT_UTF8, xtls_initiate(engine, 9, JULIET, not_utf8, 1, &number));
  GIVES(XTLS_NOT_UTF8, xtls_send(engine, 9, 1, "<message>\xe2\x82</message>"));
  GIVES(XTLS_NOT_UTF8, xtls_password(engine, 9, 1, "\x80"));
  GIVES(XTLS_NOT_UTF8, xtls_pin(engine, "\xfe@capulet.lit", "sha-256:00"));
  GIVES(XTLS_ADDRESS, xtls_initiate(engine, 9, "juliet@capulet.lit", pinned, 1, &number));
  OK(xtls_last_error(words, sizeof words, &length));
  CHECK(length == strlen(words) + 1 && length > 10);
  /* Of a buffer that is too small it tells, and keeps the words. */
  GIVES(XTLS_BUFFER_TOO_SMALL, xtls_last_error(text, 3, &length));
  CHECK(length == strlen(words) + 1);
  memset(words, 'x', sizeof words);
  OK(xtls_last_error(words, length, &length));
  CHECK(length == strlen(words) + 1);
  GIVES(XTLS_SETTING, xtls_initiate(engine, 9, JULIET, colour, 2, &number));
  OK(xtls_last_error(words, sizeof words, &length));
  CHECK(strstr(words, "colour") != NULL);
  GIVES(XTLS_OWN_ADDRESS, xtls_initiate(engine, 9, ROMEO, pinned, 1, &number));
  GIVES(XTLS_FINGERPRINT, xtls_pin(engine, JULIET, "sha-256:00"));
  GIVES(XTLS_NOTHING, xtls_presence(engine, NULL, NULL, 0, NULL) == XTLS_NULL_POINTER ? XTLS_NOTHING : XTLS_OK);
  GIVES(XTLS_TOO_LARGE, xtls_write(engine, 9, 1, (const uint8_t *)"x", SIZE_MAX, &length));
  GIVES(XTLS_TOO_LARGE, xtls_initiate(engine, 9, JULIET, pinned, SIZE_MAX / 2, &number));

  xtls_setup setup = setup_of("romeo", both.ends[0].identity);
  GIVES(XTLS_ADDRESS, xtls_engine_new(&setup, &none));
  setup = setup_of(ROMEO, "no PEM");
  GIVES(XTLS_IDENTITY, xtls_engine_new(&setup, &none));
  setup = setup_of(ROMEO, both.ends[0].identity);
  setup.authorities = "no PEM";
  GIVES(XTLS_AUTHORITIES, xtls_engine_new(&setup, &none));
  setup = setup_of(ROMEO, both.ends[0].identity);
  setup.settings = size;
  GIVES(XTLS_CONFIG, xtls_engine_new(&setup, &none));
  OK(xtls_last_error(words, sizeof words, &length));
  CHECK(strstr(words, "block_size") != NULL);
  setup.settings = twice;
  setup.settings_count = 2;
  GIVES(XTLS_SETTING, xtls_engine_new(&setup, &none));
  setup = setup_of(ROMEO, both.ends[0].identity);
  setup.store_path = "/nonexistent/\xff";
  GIVES(XTLS_NOT_UTF8, xtls_engine_new(&setup, &none));
  GIVES(XTLS_NAME, xtls_identity_generate(ROMEO, "rot13", 1, text, sizeof text, &length));
  GIVES(XTLS_ADDRESS, xtls_identity_generate("@", "ed25519", 1, text, sizeof text, &length));
  GIVES(XTLS_IDENTITY, xtls_identity_fingerprint("no PEM", text, sizeof text, &length));

  for (int32_t code = -300; code < 1000; code++) {
    CHECK(*xtls_strerror(code) != 0 && xtls_code_name(code) != NULL);
    CHECK(xtls_event_name(code) != NULL && xtls_disposition_name(code) != NULL);
  }
  CHECK(strcmp(xtls_code_name(XTLS_BUSY), "busy") == 0 && strcmp(xtls_event_name(XTLS_EVENT_CLOSED), "closed") == 0);
  CHECK(*xtls_code_name(-1) == 0 && strcmp(xtls_disposition_name(XTLS_UNCLAIMED), "unclaimed") == 0);
  CHECK(xtls_abi() == XTLS_ABI && strchr(xtls_version(), '.') != NULL);
  pair_free(&both);
}

static void sizes(void) {
  static pair both;
  static char stanza[XTLS_BUFFER_SIZE], again[XTLS_BUFFER_SIZE];
  size_t length, needed;
  uint64_t id;
  pair_new(&both);
  xtls_engine engine = both.ends[0].engine;
  OK(xtls_initiate(engine, both.now, JULIET, pinned, 1, &id));
  GIVES(XTLS_BUFFER_TOO_SMALL, xtls_poll_transmit(engine, both.now, NULL, 0, &needed));
  GIVES(XTLS_BUFFER_TOO_SMALL, xtls_poll_transmit(engine, both.now, stanza, needed - 1, &length));
  CHECK(length == needed && needed > 50);
  OK(xtls_poll_transmit(engine, both.now, stanza, needed, &length));
  CHECK(length == needed && memcmp(stanza, "<iq", 3) == 0 && stanza[needed - 1] == '>');
  GIVES(XTLS_NOTHING, xtls_poll_transmit(engine, both.now, again, sizeof again, &length));
  /* What did not fit can be lent, once. */
  const char *lent;
  uint64_t other;
  OK(xtls_initiate(engine, both.now, "nurse@capulet.lit/house", (const xtls_setting[]){{"trust", "ask"}}, 1, &other));
  GIVES(XTLS_BUFFER_TOO_SMALL, xtls_poll_transmit(engine, both.now, again, 1, &length));
  OK(xtls_lend_transmit(engine, both.now, &lent, &length));
  CHECK(memcmp(lent, "<iq", 3) == 0 && lent[length - 1] == '>');
  GIVES(XTLS_NOTHING, xtls_lend_transmit(engine, both.now, &lent, &length));
  OK(xtls_abort(engine, both.now, other, "cancel"));
  while (xtls_lend_transmit(engine, both.now, &lent, &length) == XTLS_OK) CHECK(lent[length - 1] == '>');
  GIVES(XTLS_NOTHING, xtls_poll_transmit(engine, both.now, again, sizeof again, &length));
  xtls_event gone = {0};
  gone.size = sizeof gone;
  OK(xtls_poll_event(engine, &gone, again, sizeof again, &length));
  CHECK(gone.kind == XTLS_EVENT_CLOSED && gone.id == other);
  xtls_handled handled;
  OK(xtls_handle_stanza(both.ends[1].engine, both.now, stanza, needed, &handled));
  pair_run(&both);

  /* An event in a buffer one byte too small, and by a program that knows less of it. */
  struct {
    xtls_event event;
    char guard[16];
  } shorter;
  char texts[4096];
  OK(xtls_reject(both.ends[1].engine, both.now, event_of(&both.ends[1], XTLS_EVENT_INCOMING).id, "decline"));
  while (xtls_poll_transmit(both.ends[1].engine, both.now, stanza, sizeof stanza, &length) == XTLS_OK)
    OK(xtls_handle_stanza(engine, both.now, stanza, length, &handled));
  memset(&shorter, 0x55, sizeof shorter);
  shorter.event.size = sizeof shorter.event;
  GIVES(XTLS_BUFFER_TOO_SMALL, xtls_poll_event(engine, &shorter.event, NULL, 0, &needed));
  GIVES(XTLS_BUFFER_TOO_SMALL, xtls_poll_event(engine, &shorter.event, texts, needed - 1, &length));
  CHECK(length == needed && shorter.event.kind == 0x55555555);
  shorter.event.size = sizeof shorter.event + 8;
  GIVES(XTLS_SETTING, xtls_poll_event(engine, &shorter.event, texts, needed, &length));
  shorter.event.size = 0;
  GIVES(XTLS_SETTING, xtls_poll_event(engine, &shorter.event, texts, needed, &length));
  shorter.event.size = offsetof(xtls_event, bytes);
  OK(xtls_poll_event(engine, &shorter.event, texts, needed, &length));
  CHECK(shorter.event.size == offsetof(xtls_event, bytes) && shorter.event.kind == XTLS_EVENT_CLOSED);
  CHECK(strcmp(shorter.event.condition, "decline") == 0 && shorter.event.bytes == UINT64_C(0x5555555555555555));
  for (int i = 0; i < 16; i++) CHECK(shorter.guard[i] == 0x55);

  char pem[XTLS_IDENTITY_SIZE];
  GIVES(XTLS_BUFFER_TOO_SMALL, xtls_identity_generate(ROMEO, "ed25519", UNIX_TIME, pem, 100, &needed));
  CHECK(needed > 300 && needed < XTLS_IDENTITY_SIZE);
  OK(xtls_identity_generate(ROMEO, "ed25519", UNIX_TIME, pem, needed + 16, &length));
  GIVES(XTLS_BUFFER_TOO_SMALL, xtls_pins(engine, NULL, 0, &needed));
  OK(xtls_pins(engine, pem, needed, &length));
  pair_free(&both);
}

/* Ids of the other engine, of none, and of a tunnel that has ended. */
static void ids(void) {
  static pair both;
  uint64_t tunnels[2], others[3];
  size_t length;
  char byte;
  xtls_stats stats = {0};
  stats.size = sizeof stats;
  pair_new(&both);
  tunnel(&both, "bytes", tunnels);
  OK(xtls_close(both.ends[0].engine, both.now, tunnels[0]));
  pair_run(&both);
  others[0] = tunnels[1];
  others[1] = 0;
  others[2] = UINT64_MAX;
  for (int at = -1; at < 3; at++) {
    uint64_t id = at < 0 ? tunnels[0] : others[at];
    xtls_code code = at < 0 ? XTLS_ENDED : XTLS_OTHER_ENGINE;
    xtls_engine engine = both.ends[0].engine;
    GIVES(code, xtls_password(engine, both.now, id, "a rose"));
    GIVES(code, xtls_trust(engine, both.now, id, "accept"));
    GIVES(code, xtls_send(engine, both.now, id, "<message/>"));
    GIVES(code, xtls_write(engine, both.now, id, (const uint8_t *)"x", 1, &length));
    GIVES(code, xtls_read(engine, both.now, id, (uint8_t *)&byte, 1, &length));
    GIVES(code, xtls_finish(engine, both.now, id));
    GIVES(code, xtls_close(engine, both.now, id));
    GIVES(code, xtls_abort(engine, both.now, id, "cancel"));
    GIVES(code, xtls_open_stream(engine, both.now, id));
    GIVES(code, xtls_close_stream(engine, both.now, id));
    GIVES(code, xtls_set_give_receipt(engine, both.now, id, "never"));
    GIVES(code, xtls_give_receipt(engine, both.now, id));
    GIVES(code, xtls_tunnel_stats(engine, id, &stats));
    GIVES(code, xtls_export_keying_material(engine, id, "x", (uint8_t *)&byte, 1));
    GIVES(at < 0 ? XTLS_GONE : XTLS_OTHER_ENGINE, xtls_accept(engine, both.now, id, pinned, 1));
    GIVES(at < 0 ? XTLS_GONE : XTLS_OTHER_ENGINE, xtls_reject(engine, both.now, id, "busy"));
  }
  GIVES(XTLS_GONE, xtls_refuse(both.ends[0].engine, both.now, 1));
  pair_free(&both);
}

/* Commands at the wrong time, and what is no stanza. */
static void commands(void) {
  static pair both;
  uint64_t raw[2], stream[2];
  size_t length;
  pair_new(&both);
  tunnel(&both, "bytes", raw);
  tunnel(&both, "xml-stream", stream);
  xtls_engine engine = both.ends[0].engine;
  GIVES(XTLS_NOT_XML, xtls_send(engine, both.now, raw[0], "<message/>"));
  GIVES(XTLS_NOT_RAW, xtls_write(engine, both.now, stream[0], (const uint8_t *)"x", 1, &length));
  GIVES(XTLS_NOT_RAW, xtls_finish(engine, both.now, stream[0]));
  GIVES(XTLS_WRONG_STATE, xtls_open_stream(engine, both.now, stream[0]));
  GIVES(XTLS_XML, xtls_send(engine, both.now, stream[0], "<message>"));
  GIVES(XTLS_XML, xtls_send(engine, both.now, stream[0], ""));
  GIVES(XTLS_NOT_A_STANZA, xtls_send(engine, both.now, stream[0], "<rose/>"));
  GIVES(XTLS_FOREIGN_ADDRESS, xtls_send(engine, both.now, stream[0], "<message to='paris@verona.lit'/>"));
  GIVES(XTLS_EARLY, xtls_give_receipt(engine, both.now, raw[0]));
  GIVES(XTLS_NOT_ASKED, xtls_trust(engine, both.now, raw[0], "accept"));
  OK(xtls_finish(engine, both.now, raw[0]));
  GIVES(XTLS_CLOSING, xtls_write(engine, both.now, raw[0], (const uint8_t *)"x", 1, &length));
  OK(xtls_write(both.ends[1].engine, both.now, raw[1], NULL, 0, &length));
  CHECK(length == 0);
  /* Clocks that go backwards or far ahead. */
  OK(xtls_handle_timeout(engine, 0));
  OK(xtls_handle_timeout(engine, UINT64_MAX));
  OK(xtls_handle_timeout(engine, 1));
  pair_free(&both);
}

void test_bad_input(void) {
  handles();
  null_pointers();
  values();
  sizes();
  ids();
  commands();
}
