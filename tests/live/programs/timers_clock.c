// Clocks seen by a spinning thread never go back and make no jump but the time the program was dead, where that is not
// hidden from it.
// live-cases: monotonic boottime monotonic_call wall
#include "target.h"

static double by_call(clockid_t clock) {
  struct timespec time;
  OK(syscall(SYS_clock_gettime, clock, &time));
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double largest_gap(clockid_t clock, double (*read_clock)(clockid_t)) {
  double last = read_clock(clock), largest = 0;
  ready();
  for (int i = 1; i % 256 || !go(); i++) {
    double next = read_clock(clock);
    CHECK(next >= last, "went back from %.9f to %.9f", last, next);
    if (next - last > largest) largest = next - last;
    last = next;
  }
  return largest;
}

static void check(double gap, double limit) { CHECK(gap < limit, "jumped by %.3f s, at most %.3f s", gap, limit); }

static void monotonic(void) {
  double gap = largest_gap(CLOCK_MONOTONIC, now);
  check(gap, allowance());
}
static void boottime(void) {
  double gap = largest_gap(CLOCK_BOOTTIME, now);
  check(gap, allowance());
}
static void monotonic_call(void) {
  double gap = largest_gap(CLOCK_MONOTONIC, by_call);
  check(gap, allowance());
}
static void wall(void) {
  double gap = largest_gap(CLOCK_REALTIME, now);
  check(gap, wall_allowance());
}

static const struct live_case cases[] = {
    {"monotonic", monotonic}, {"boottime", boottime}, {"monotonic_call", monotonic_call}, {"wall", wall}};
RUN_CASES(cases)
