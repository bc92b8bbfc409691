// The vdso is at its place and works: time without a system call, compared with the call, in every thread all along.
#include <sys/auxv.h>
#include <sys/time.h>

#include "target.h"

static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_COARSE,
                                   CLOCK_MONOTONIC_RAW};

static double by_call(clockid_t clock) {
  struct timespec time;
  OK(syscall(SYS_clock_gettime, clock, &time));
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void compare(void) {
  for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
    double first = by_call(clocks[i]), vdso = now(clocks[i]), last = by_call(clocks[i]);
    CHECK(vdso >= first - 0.011 && vdso <= last + 0.011, "clock %d: %.6f, calls say %.6f to %.6f", clocks[i], vdso,
          first, last);
  }
}

static void* worker(void* unused) {
  while (!go()) compare();
  return unused;
}

int main(void) {
  unsigned long vdso = getauxval(AT_SYSINFO_EHDR);
  compare();
  pthread_t busy = thread(worker, NULL);
  ready();
  while (!go()) compare();
  compare();
  pthread_join(busy, NULL);
  SAME(getauxval(AT_SYSINFO_EHDR), vdso);
  FILE* maps = fopen("/proc/self/maps", "re");
  char line[4096];
  bool found = false;
  while (fgets(line, sizeof line, maps)) found |= strstr(line, "[vdso]") && strtoul(line, NULL, 16) == vdso;
  CHECK(found, "no [vdso] at 0x%lx", vdso);
  pass();
}
