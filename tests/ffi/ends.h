/* Two ends in one process, and the stanzas between them. */
#ifndef ENDS_H
#define ENDS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xtls.h>

#define ROMEO "romeo@montague.lit/orchard"
#define JULIET "juliet@capulet.lit/balcony"
#define UNIX_TIME 1760000000u

/* Ends the program if this is not so. */
#define CHECK(what)                                                                                                                \
  do {                                                                                                                             \
    if (!(what)) fail(__FILE__, __LINE__, #what);                                                                                  \
  } while (0)

/* Ends the program if a call gives another code than this. */
#define GIVES(code, call)                                                                                                          \
  do {                                                                                                                             \
    xtls_code got_ = (call);                                                                                                       \
    if (got_ != (code)) differs(__FILE__, __LINE__, #call, got_, (code));                                                          \
  } while (0)

#define OK(call) GIVES(XTLS_OK, call)

/* An event that has come, with its texts. */
typedef struct {
  xtls_event event;
  char *texts;
  bool taken;
} seen;

typedef struct {
  const char *jid;
  char identity[XTLS_IDENTITY_SIZE];
  char fingerprint[128];
  xtls_engine engine;
  seen events[256];
  size_t count;
} end;

typedef struct {
  end ends[2];
  uint64_t now;
} pair;

void fail(const char *file, int line, const char *what);
void differs(const char *file, int line, const char *call, xtls_code got, xtls_code wanted);

/* A setup with this address and identity. */
xtls_setup setup_of(const char *jid, const char *identity);
/* Both ends. Each has the other's certificate pinned. */
void pair_new(pair *both);
/* Makes the engine of one end anew, with a store of its own or none. */
void end_engine(end *one, const xtls_store *store, const char *store_path);
void pair_free(pair *both);
/* Carries stanzas both ways and keeps the events, until nothing moves. */
void pair_run(pair *both);
/* The first event of this kind, which is taken out. */
xtls_event event_of(end *one, int32_t kind);
bool has_event(const end *one, int32_t kind);
/* A tunnel between them that is secured: its ids at both ends. */
void tunnel(pair *both, const char *application, uint64_t ids[2]);

/* Makes every call of an engine there is, and all must give this. */
void every_call_gives(xtls_engine engine, xtls_code code);

/* The parts of the test. */
void test_talk(void);
void test_refusals(void);
void test_bad_input(void);
void test_stores(void);
void test_threads(void);

#endif
