/* Stores of the caller's: what they keep, what becomes of one that fails, and calls from inside of them. */
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ends.h"

typedef struct {
  char *text;
  size_t length;
  int32_t load_gives, save_gives, lock_gives;
  int locked, loads;
  bool grows; /* says another length each time */
  xtls_engine calls; /* calls this engine from inside */
  int called;
} shelf;

static void call_back(shelf *on) {
  if (on->calls == 0) return;
  every_call_gives(on->calls, XTLS_BUSY);
  on->called++;
}

static int32_t load(void *user, uint8_t *buffer, size_t size, size_t *length) {
  shelf *on = user;
  on->loads++;
  call_back(on);
  if (on->load_gives != XTLS_OK) return on->load_gives;
  if (on->text == NULL) return XTLS_NOTHING;
  *length = on->grows ? size + 1 : on->length;
  if (on->length <= size && !on->grows) memcpy(buffer, on->text, on->length);
  return XTLS_OK;
}

static int32_t save(void *user, const uint8_t *text, size_t length) {
  shelf *on = user;
  call_back(on);
  CHECK(on->locked == 1);
  if (on->save_gives != XTLS_OK) return on->save_gives;
  free(on->text);
  on->text = malloc(length);
  CHECK(on->text != NULL);
  memcpy(on->text, text, length);
  on->length = length;
  return XTLS_OK;
}

static int32_t lock(void *user) {
  shelf *on = user;
  if (on->lock_gives != XTLS_OK) return on->lock_gives;
  on->locked++;
  return XTLS_OK;
}

static void unlock(void *user) { ((shelf *)user)->locked--; }

static xtls_store store_on(shelf *on) {
  xtls_store store = {sizeof store, on, load, save, lock, unlock};
  return store;
}

static const xtls_setting leap[] = {{"trust", "leap-of-faith"}};

static void meet(pair *both) {
  uint64_t id;
  OK(xtls_initiate(both->ends[0].engine, both->now, JULIET, leap, 1, &id));
  pair_run(both);
  OK(xtls_accept(both->ends[1].engine, both->now, event_of(&both->ends[1], XTLS_EVENT_INCOMING).id, leap, 1));
  pair_run(both);
}

static void kept(void) {
  static pair both;
  static shelf on;
  xtls_store store = store_on(&on);
  char pins[512], many[64];
  size_t length;
  pair_new(&both);
  end_engine(&both.ends[0], &store, NULL);
  meet(&both);
  event_of(&both.ends[0], XTLS_EVENT_SECURED);
  CHECK(on.text != NULL && on.locked == 0 && on.loads > 2);
  /* In another engine, from the text alone. */
  end_engine(&both.ends[0], &store, NULL);
  OK(xtls_pins(both.ends[0].engine, pins, sizeof pins, &length));
  CHECK(strncmp(pins, "juliet@capulet.lit sha-256:", 27) == 0 && strstr(pins, " leap-of-faith\n") != NULL);
  /* More than the first buffer of the library has room for. */
  for (int number = 0; number < 120; number++) {
    snprintf(many, sizeof many, "cousin%d@capulet.lit", number);
    OK(xtls_pin(both.ends[0].engine, many, both.ends[1].fingerprint));
  }
  CHECK(on.length > 16384);
  OK(xtls_forget(both.ends[0].engine, many));
  pair_free(&both);
  free(on.text);
}

static void failing(void) {
  static pair both;
  static shelf on;
  xtls_store store = store_on(&on);
  uint64_t id;
  char words[256];
  size_t length;
  pair_new(&both);
  end_engine(&both.ends[0], &store, NULL);
  xtls_engine romeo = both.ends[0].engine;

  on.save_gives = 77;
  meet(&both);
  event_of(&both.ends[0], XTLS_EVENT_SECURED);
  CHECK(strstr(event_of(&both.ends[0], XTLS_EVENT_STORE_FAILED).text, "save has failed: 77") != NULL);
  on.save_gives = XTLS_OK;

  on.load_gives = XTLS_BUSY;
  GIVES(XTLS_STORE, xtls_initiate(romeo, both.now, JULIET, leap, 1, &id));
  GIVES(XTLS_STORE, xtls_pin(romeo, JULIET, both.ends[1].fingerprint));
  OK(xtls_last_error(words, sizeof words, &length));
  CHECK(strstr(words, "load has failed: 3 (busy)") != NULL);
  on.load_gives = XTLS_OK;
  on.lock_gives = -1;
  GIVES(XTLS_STORE, xtls_pin(romeo, JULIET, both.ends[1].fingerprint));
  on.lock_gives = XTLS_OK;
  OK(xtls_pin(romeo, JULIET, both.ends[1].fingerprint));
  on.grows = true;
  GIVES(XTLS_STORE, xtls_forget(romeo, JULIET));
  on.grows = false;

  /* What was there and is gone is no empty store. */
  free(on.text);
  on.text = NULL;
  GIVES(XTLS_STORE, xtls_initiate(romeo, both.now, JULIET, leap, 1, &id));
  /* A new engine finds a text that is damaged. */
  on.text = strdup("{\"version\": 99}");
  on.length = strlen(on.text);
  xtls_setup setup = setup_of(ROMEO, both.ends[0].identity);
  xtls_engine none;
  setup.store = &store;
  GIVES(XTLS_STORE, xtls_engine_new(&setup, &none));
  CHECK(none == 0 && on.locked == 0);

  store.lock = NULL;
  GIVES(XTLS_NULL_POINTER, xtls_engine_new(&setup, &none));
  store = store_on(&on);
  store.load = NULL;
  GIVES(XTLS_NULL_POINTER, xtls_engine_new(&setup, &none));
  store = store_on(&on);
  store.size = 3;
  GIVES(XTLS_SETTING, xtls_engine_new(&setup, &none));
  store.size = sizeof store;
  setup.store_path = "/nonexistent/x";
  GIVES(XTLS_SETTING, xtls_engine_new(&setup, &none));
  pair_free(&both);
  free(on.text);
}

static void from_inside(void) {
  static pair both;
  static shelf on;
  xtls_store store = store_on(&on);
  pair_new(&both);
  end_engine(&both.ends[0], &store, NULL);
  on.calls = both.ends[0].engine;
  meet(&both);
  event_of(&both.ends[0], XTLS_EVENT_SECURED);
  CHECK(on.called > 2);
  on.calls = 0;
  OK(xtls_handle_timeout(both.ends[0].engine, both.now));
  pair_free(&both);
  free(on.text);
}

/* An older program knows a shorter store: without locks. */
static void shorter(void) {
  static shelf on;
  static pair both;
  xtls_store store = store_on(&on);
  store.size = offsetof(xtls_store, lock);
  on.locked = 1;
  pair_new(&both);
  end_engine(&both.ends[0], &store, NULL);
  OK(xtls_pin(both.ends[0].engine, JULIET, both.ends[1].fingerprint));
  CHECK(on.locked == 1 && on.text != NULL);
  pair_free(&both);
  free(on.text);
}

static void in_a_file(void) {
  static pair both;
  char directory[] = "/tmp/xtls-ffi-XXXXXX", path[64], pins[512];
  size_t length;
  struct stat about;
  CHECK(mkdtemp(directory) != NULL);
  snprintf(path, sizeof path, "%s/trust.json", directory);
  pair_new(&both);
  end_engine(&both.ends[0], NULL, path);
  meet(&both);
  end_engine(&both.ends[0], NULL, path);
  OK(xtls_pins(both.ends[0].engine, pins, sizeof pins, &length));
  CHECK(strstr(pins, "leap-of-faith") != NULL);
  CHECK(stat(path, &about) == 0 && (about.st_mode & 077) == 0);
  pair_free(&both);
  CHECK(unlink(path) == 0);
  snprintf(path, sizeof path, "%s/trust.json.lock", directory);
  CHECK(unlink(path) == 0 && rmdir(directory) == 0);
}

typedef struct {
  xtls_engine calls;
  int lines;
  bool leaked;
} notebook;

static void note(void *user, int32_t level, const char *target, const char *line) {
  notebook *in = user;
  in->lines++;
  CHECK((level == 1 || level == 2) && strncmp(target, "xtls", 4) == 0);
  in->leaked |= strstr(line, "hush") != NULL || strstr(line, "PRIVATE") != NULL;
  if (in->calls != 0) GIVES(XTLS_BUSY, xtls_handle_timeout(in->calls, 9));
}

static void logged(void) {
  static pair both;
  notebook in = {0, 0, false};
  uint64_t ids[2];
  pair_new(&both);
  xtls_setup setup = setup_of(ROMEO, both.ends[0].identity);
  setup.log = note;
  setup.log_user = &in;
  setup.log_level = 3;
  xtls_engine made;
  GIVES(XTLS_SETTING, xtls_engine_new(&setup, &made));
  setup.log_level = 2;
  OK(xtls_engine_free(both.ends[0].engine));
  OK(xtls_engine_new(&setup, &both.ends[0].engine));
  OK(xtls_pin(both.ends[0].engine, JULIET, both.ends[1].fingerprint));
  in.calls = both.ends[0].engine;
  tunnel(&both, "xml-stream", ids);
  OK(xtls_send(both.ends[0].engine, both.now, ids[0], "<message><body>hush</body></message>"));
  pair_run(&both);
  CHECK(strstr(event_of(&both.ends[1], XTLS_EVENT_STANZA).text, "hush") != NULL);
  CHECK(in.lines > 10 && !in.leaked);
  pair_free(&both);
}

void test_stores(void) {
  kept();
  failing();
  from_inside();
  shorter();
  in_a_file();
  logged();
}
