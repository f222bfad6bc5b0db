/* The C interface of XTLS from C: two ends in one process, and all that a program can get wrong. */
#include "ends.h"

int main(void) {
  const struct {
    const char *name;
    void (*test)(void);
  } parts[] = {
      {"talk", test_talk},     {"refusals", test_refusals}, {"bad input", test_bad_input},
      {"stores", test_stores}, {"threads", test_threads},
  };
  for (size_t at = 0; at < sizeof parts / sizeof parts[0]; at++) {
    parts[at].test();
    printf("%s: ok\n", parts[at].name);
    fflush(stdout);
  }
  return 0;
}
