// Timers of setitimer() and alarm(): they go on with what was left, keep their interval, and fire when due.
// live-cases: real virtual prof values alarm one_shot
#include <sys/time.h>

#include "target.h"

static volatile sig_atomic_t fired;
static volatile double fired_at;

static void on_timer(int unused) {
  struct timespec time;
  (void)unused;
  clock_gettime(CLOCK_MONOTONIC, &time);
  fired++;
  fired_at = (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void start(int which, int number, long first_us, long interval_us) {
  struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
  struct itimerval timer = {.it_value = {first_us / 1000000, first_us % 1000000},
                            .it_interval = {interval_us / 1000000, interval_us % 1000000}};
  OK(sigaction(number, &action, NULL));
  OK(setitimer(which, &timer, NULL));
}

// Goes on firing at its interval while the processor is busy.
static void periodic(int which, int number) {
  start(which, number, 20000, 20000);
  while (fired < 3) continue;
  ready();
  while (!go()) continue;
  int before = fired;
  double begin = now(CLOCK_MONOTONIC);
  while (fired < before + 5) CHECK(now(CLOCK_MONOTONIC) < begin + 10, "fired only %d times", fired - before);
  struct itimerval seen;
  OK(getitimer(which, &seen));
  SAME(seen.it_interval.tv_sec, 0);
  SAME(seen.it_interval.tv_usec, 20000);
  CHECK(which != ITIMER_REAL || now(CLOCK_MONOTONIC) > begin + 0.075, "fires too fast");
}
static void real(void) { periodic(ITIMER_REAL, SIGALRM); }
static void virtual(void) { periodic(ITIMER_VIRTUAL, SIGVTALRM); }
static void prof(void) { periodic(ITIMER_PROF, SIGPROF); }

static void values(void) {
  static const int kinds[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
  for (int i = 0; i < 3; i++) start(kinds[i], SIGALRM, 1000000000L + i, 500000000L + 17 * i);
  double begin = now(CLOCK_MONOTONIC);
  ready();
  wait_go();
  double gone = now(CLOCK_MONOTONIC) - begin;
  for (int i = 0; i < 3; i++) {
    struct itimerval seen;
    OK(getitimer(kinds[i], &seen));
    double left = (double)seen.it_value.tv_sec + (double)seen.it_value.tv_usec / 1e6;
    CHECK(left <= 1000.01 && left > 1000 - gone - 0.01, "timer %d has %.3f s left after %.3f s", i, left, gone);
    if (i == 0) CHECK(left < 1000 - gone + allowance(), "it has %.3f s left after %.3f s", left, gone);
    long interval = seen.it_interval.tv_sec * 1000000 + seen.it_interval.tv_usec;
    CHECK(interval >= 500000000L + 17 * i && interval <= 500004000L + 17 * i, "interval %ld us", interval);  // jiffies
  }
}

static void single(double seconds) {
  double begin = now(CLOCK_MONOTONIC);
  pause_ms(1000);
  ready();
  for (int i = 0; !fired; i++) {
    CHECK(i < 10000, "it never fires");
    pause_ms(2);
  }
  wait_go();
  double took = fired_at - begin;
  SAME(fired, 1);
  CHECK(took > seconds - 0.01 && took < seconds + allowance(), "fired after %.3f s", took);
}
static void alarm_(void) {
  signal(SIGALRM, on_timer);
  alarm(3);
  single(3);
}
static void one_shot(void) {
  start(ITIMER_REAL, SIGALRM, 2500000, 0);
  single(2.5);
}

static const struct live_case cases[] = {{"real", real},     {"virtual", virtual}, {"prof", prof},
                                         {"values", values}, {"alarm", alarm_},    {"one_shot", one_shot}};
RUN_CASES(cases)
