// Locked memory: the flag of each mapping and the amount, for mlock, on fault, and mlockall for what comes later.
// live-cases: mlock onfault future
#include "target.h"

enum { kSize = 4 * kPage };

static const char* locked_kib(void) { return proc_field("/proc/self/status", "VmLck"); }

static void check_amount(const char* wanted) {
  CHECK(strcmp(locked_kib(), wanted) == 0, "locked is '%s', was '%s'", locked_kib(), wanted);
}

static void locked(bool on_fault) {
  char* memory = map_anon(3 * kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  fill(memory, 3 * kSize, 2);
  if ((on_fault ? mlock2(memory + kSize, kSize, MLOCK_ONFAULT) : mlock(memory + kSize, kSize)) != 0) {
    skip("may not lock memory here");
  }
  char* untouched = map_anon(kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  if (on_fault && mlock2(untouched, kSize, MLOCK_ONFAULT) != 0) skip("may not lock memory here");
  char before[64];
  snprintf(before, sizeof before, "%s", locked_kib());
  ready();
  wait_go();
  check_amount(before);
  unsigned char present[kSize / kPage];
  OK(mincore(untouched, kSize, present));
  SAME(present[1] & 1, 0);
  OK(munlock(untouched, kSize));
  check_filled(memory, 3 * kSize, 2, "memory");
  OK(munlock(memory + kSize, kSize));
  check_amount("0 kB");
}
static void mlock_(void) { locked(false); }
static void onfault(void) { locked(true); }

static void future(void) {
  if (mlockall(MCL_FUTURE | MCL_ONFAULT) != 0) skip("may not lock memory here");
  ready();
  wait_go();
  char before[64];
  snprintf(before, sizeof before, "%s", locked_kib());
  void* memory = mmap(NULL, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED, "mmap: %s", strerror(errno));
  SAME(atoi(locked_kib()), atoi(before) + kSize / 1024);
}

static const struct live_case cases[] = {{"mlock", mlock_}, {"onfault", onfault}, {"future", future}};
RUN_CASES(cases)
