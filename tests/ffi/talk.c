/* Chat, and bytes. */
#include "ends.h"

static void chat(void) {
  static pair both;
  uint64_t ids[2];
  pair_new(&both);
  tunnel(&both, "xml-stream", ids);
  xtls_event secured = event_of(&both.ends[0], XTLS_EVENT_SECURED);
  CHECK(secured.id == ids[0] && strcmp(secured.authentication, "pinned") == 0 && strcmp(secured.methods, "x509") == 0);
  CHECK(strncmp(secured.tls, "TLS 1.3, ", 9) == 0 && strcmp(secured.fingerprint, both.ends[1].fingerprint) == 0);
  event_of(&both.ends[0], XTLS_EVENT_STREAM_OPENED);
  OK(xtls_send(both.ends[0].engine, both.now, ids[0], "<message><body>Art thou not Romeo?</body></message>"));
  pair_run(&both);
  xtls_event heard = event_of(&both.ends[1], XTLS_EVENT_STANZA);
  CHECK(heard.id == ids[1] && strstr(heard.text, "Art thou not Romeo?") != NULL);
  CHECK(strstr(heard.text, "from='romeo@montague.lit") != NULL);

  OK(xtls_close_stream(both.ends[0].engine, both.now, ids[0]));
  pair_run(&both);
  event_of(&both.ends[0], XTLS_EVENT_STREAM_CLOSED);
  OK(xtls_open_stream(both.ends[0].engine, both.now, ids[0]));
  pair_run(&both);
  event_of(&both.ends[0], XTLS_EVENT_STREAM_OPENED);

  OK(xtls_close(both.ends[0].engine, both.now, ids[0]));
  pair_run(&both);
  xtls_event closed = event_of(&both.ends[1], XTLS_EVENT_CLOSED);
  CHECK(strcmp(closed.by, "remote") == 0 && strcmp(closed.reason, "done") == 0 && *closed.fault == 0 && !closed.is_security);
  GIVES(XTLS_ENDED, xtls_send(both.ends[1].engine, both.now, ids[1], "<message/>"));
  pair_free(&both);
}

static void bytes(void) {
  enum { ALL = 300000 };
  static pair both;
  static unsigned char content[ALL], got[ALL], part[7777];
  uint64_t ids[2];
  size_t written = 0, read = 0, count;
  for (size_t at = 0; at < ALL; at++) content[at] = (unsigned char)(at * 7 + at / 251);
  pair_new(&both);
  tunnel(&both, "bytes", ids);
  OK(xtls_set_give_receipt(both.ends[1].engine, both.now, ids[1], "when-told"));
  while (read < ALL) {
    if (written < ALL) {
      OK(xtls_write(both.ends[0].engine, both.now, ids[0], content + written, ALL - written, &count));
      written += count;
      if (written == ALL) OK(xtls_finish(both.ends[0].engine, both.now, ids[0]));
    }
    pair_run(&both);
    for (;;) {
      OK(xtls_read(both.ends[1].engine, both.now, ids[1], part, sizeof part, &count));
      if (count == 0) break;
      CHECK(read + count <= ALL);
      memcpy(got + read, part, count);
      read += count;
    }
  }
  CHECK(memcmp(content, got, ALL) == 0);
  pair_run(&both);
  event_of(&both.ends[1], XTLS_EVENT_PEER_FINISHED);
  CHECK(!has_event(&both.ends[0], XTLS_EVENT_RECEIPT));
  OK(xtls_give_receipt(both.ends[1].engine, both.now, ids[1]));
  pair_run(&both);
  CHECK(event_of(&both.ends[0], XTLS_EVENT_RECEIPT).bytes == ALL);

  xtls_stats stats = {0};
  stats.size = sizeof stats;
  OK(xtls_tunnel_stats(both.ends[0].engine, ids[0], &stats));
  CHECK(stats.sent >= ALL && stats.acked == stats.sent && stats.unacked == 0 && stats.size == sizeof stats);

  unsigned char keys[2][32];
  for (int i = 0; i < 2; i++) OK(xtls_export_keying_material(both.ends[i].engine, ids[i], "EXPORTER-test", keys[i], 32));
  CHECK(memcmp(keys[0], keys[1], 32) == 0);
  pair_free(&both);
}

static void password(void) {
  static pair both;
  const xtls_setting known[] = {{"trust", "pinned"}, {"password", "a rose"}};
  const xtls_setting asks[] = {{"trust", "pinned"}, {"ask_password", "true"}};
  uint64_t id;
  pair_new(&both);
  OK(xtls_forget(both.ends[0].engine, JULIET));
  OK(xtls_forget(both.ends[1].engine, ROMEO));
  GIVES(XTLS_NOTHING, xtls_forget(both.ends[1].engine, ROMEO));
  OK(xtls_initiate(both.ends[0].engine, both.now, JULIET, known, 2, &id));
  pair_run(&both);
  xtls_event offer = event_of(&both.ends[1], XTLS_EVENT_INCOMING);
  OK(xtls_accept(both.ends[1].engine, both.now, offer.id, asks, 2));
  pair_run(&both);
  CHECK(strcmp(event_of(&both.ends[1], XTLS_EVENT_PASSWORD_REQUIRED).side, "responder") == 0);
  GIVES(XTLS_PASSWORD_EMPTY, xtls_password(both.ends[1].engine, both.now, offer.id, ""));
  OK(xtls_password(both.ends[1].engine, both.now, offer.id, "a rose"));
  pair_run(&both);
  CHECK(strcmp(event_of(&both.ends[0], XTLS_EVENT_SECURED).authentication, "password") == 0);
  GIVES(XTLS_NOT_ASKED, xtls_password(both.ends[1].engine, both.now, offer.id, "a rose"));
  OK(xtls_abort(both.ends[0].engine, both.now, id, "cancel"));
  pair_run(&both);
  CHECK(strcmp(event_of(&both.ends[1], XTLS_EVENT_CLOSED).condition, "cancel") == 0);
  pair_free(&both);
}

void test_talk(void) {
  chat();
  bytes();
  password();
}
