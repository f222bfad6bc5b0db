/* An engine from more than one thread. */
#include <pthread.h>

#include "ends.h"

typedef struct {
  pthread_mutex_t lock;
  pthread_cond_t change;
  bool inside, leave;
} gate;

/* A store that stays inside of a call until it is told to go on. */
static int32_t load(void *user, uint8_t *buffer, size_t size, size_t *length) {
  gate *at = user;
  (void)buffer, (void)size, (void)length;
  pthread_mutex_lock(&at->lock);
  at->inside = true;
  pthread_cond_broadcast(&at->change);
  while (!at->leave) pthread_cond_wait(&at->change, &at->lock);
  pthread_mutex_unlock(&at->lock);
  return XTLS_NOTHING;
}

static int32_t save(void *user, const uint8_t *text, size_t length) {
  (void)user, (void)text, (void)length;
  return XTLS_OK;
}

static void *forget(void *user) {
  GIVES(XTLS_NOTHING, xtls_forget(*(xtls_engine *)user, JULIET));
  return NULL;
}

static void busy(void) {
  static gate at = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, true};
  static pair both;
  xtls_store store = {sizeof store, &at, load, save, NULL, NULL};
  pthread_t thread;
  pair_new(&both);
  end_engine(&both.ends[0], &store, NULL);
  at.inside = at.leave = false;
  CHECK(pthread_create(&thread, NULL, forget, &both.ends[0].engine) == 0);
  pthread_mutex_lock(&at.lock);
  while (!at.inside) pthread_cond_wait(&at.change, &at.lock);
  pthread_mutex_unlock(&at.lock);
  every_call_gives(both.ends[0].engine, XTLS_BUSY);
  /* Other engines go on meanwhile. */
  OK(xtls_handle_timeout(both.ends[1].engine, 9));
  pthread_mutex_lock(&at.lock);
  at.leave = true;
  pthread_cond_broadcast(&at.change);
  pthread_mutex_unlock(&at.lock);
  CHECK(pthread_join(thread, NULL) == 0);
  OK(xtls_handle_timeout(both.ends[0].engine, 9));
  pair_free(&both);
}

static pair shared;

/* Calls engines that others use and free at the same time. */
static void *storm(void *user) {
  unsigned number = *(unsigned *)user;
  char text[4096];
  size_t length;
  xtls_event event = {0};
  event.size = sizeof event;
  for (int turn = 0; turn < 400; turn++) {
    xtls_engine engine = shared.ends[(turn + number) % 2].engine, own;
    xtls_code code = xtls_handle_timeout(engine, 9);
    CHECK(code == XTLS_OK || code == XTLS_BUSY);
    code = xtls_poll_event(engine, &event, text, sizeof text, &length);
    CHECK(code == XTLS_NOTHING || code == XTLS_BUSY);
    code = xtls_forget(engine, "nobody@verona.lit");
    CHECK(code == XTLS_NOTHING || code == XTLS_BUSY);
    if (turn % 16 == 0) {
      xtls_setup setup = setup_of(ROMEO, shared.ends[0].identity);
      OK(xtls_engine_new(&setup, &own));
      OK(xtls_handle_timeout(own, 9));
      OK(xtls_engine_free(own));
      GIVES(XTLS_BAD_HANDLE, xtls_engine_free(own));
    }
    GIVES(XTLS_BAD_HANDLE, xtls_refuse(number, 9, 1));
    /* What was wrong is told to the thread that did it. */
    OK(xtls_last_error(text, sizeof text, &length));
    CHECK(strstr(text, "handle") != NULL);
  }
  return NULL;
}

static void many(void) {
  pthread_t threads[4];
  unsigned numbers[4];
  pair_new(&shared);
  for (unsigned i = 0; i < 4; i++) {
    numbers[i] = i + 1;
    CHECK(pthread_create(&threads[i], NULL, storm, &numbers[i]) == 0);
  }
  for (unsigned i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  pair_free(&shared);
}

void test_threads(void) {
  busy();
  many();
}
