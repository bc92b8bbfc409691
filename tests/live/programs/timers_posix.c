// Timers of timer_create(): ids with gaps, kinds of notification, values, what is left, overruns.
// live-cases: signal thread_id none callback one_shot absolute overrun pending disarmed ids cpu_clock
#include <stdatomic.h>

#include "target.h"

static sigset_t rt;

static void block_rt(void) {
  sigemptyset(&rt);
  sigaddset(&rt, SIGRTMIN + 4);
  OK(pthread_sigmask(SIG_BLOCK, &rt, NULL));
}
static timer_t make(clockid_t clock, int notify, int value, pid_t to) {
  struct sigevent event = {.sigev_notify = notify, .sigev_signo = SIGRTMIN + 4, .sigev_value.sival_int = value};
  timer_t timer;
  event._sigev_un._tid = to;
  OK(timer_create(clock, &event, &timer));
  return timer;
}
static void set(timer_t timer, double first, double interval, int flags) {
  struct itimerspec time = {.it_value = {(time_t)first, (long)((first - (double)(time_t)first) * 1e9)},
                            .it_interval = {(time_t)interval, (long)((interval - (double)(time_t)interval) * 1e9)}};
  OK(timer_settime(timer, flags, &time, NULL));
}
static siginfo_t take(int seconds) {
  siginfo_t info = {0};
  struct timespec limit = {seconds, 0};
  int got = sigtimedwait(&rt, &info, &limit);
  CHECK(got == SIGRTMIN + 4, "no signal: %s", strerror(errno));
  SAME(info.si_code, SI_TIMER);
  return info;
}
static void take_periodic(timer_t timer, int value, int times) {
  for (int i = 0; i < times; i++) {
    siginfo_t info = take(10);
    SAME(info.si_value.sival_int, value);
    SAME(info.si_timerid, (intptr_t)timer);
  }
}
static double interval_of(timer_t timer) {
  struct itimerspec time;
  OK(timer_gettime(timer, &time));
  return (double)time.it_interval.tv_sec + (double)time.it_interval.tv_nsec / 1e9;
}
static double left_of(timer_t timer) {
  struct itimerspec time;
  OK(timer_gettime(timer, &time));
  return (double)time.it_value.tv_sec + (double)time.it_value.tv_nsec / 1e9;
}
static void until_go(void) {
  ready();
  wait_go();
}

static void signal_(void) {
  block_rt();
  timer_t timer = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, 314, 0);
  set(timer, 0.02, 0.02, 0);
  take_periodic(timer, 314, 2);
  until_go();
  take_periodic(timer, 314, 5);
  CHECK(interval_of(timer) == 0.02, "interval %.9f", interval_of(timer));
  OK(timer_delete(timer));
}

static atomic_int tid_of_receiver;
static _Atomic(timer_t) shared_timer;
static void* receiver(void* unused) {
  tid_of_receiver = tid();
  while (!shared_timer) pause_ms(1);
  take_periodic(shared_timer, 21, 1);
  wait_go();
  take_periodic(shared_timer, 21, 5);
  return unused;
}
static void thread_id(void) {
  block_rt();
  timer_t unused = make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);  // so that the shared one is not number 0
  (void)unused;
  pthread_t other = thread(receiver, NULL);
  while (!tid_of_receiver) pause_ms(1);
  timer_t timer = make(CLOCK_REALTIME, SIGEV_THREAD_ID, 21, tid_of_receiver);
  set(timer, 0.02, 0.02, 0);
  shared_timer = timer;
  until_go();
  pthread_join(other, NULL);
  struct timespec none = {0, 0};
  CHECK(sigtimedwait(&rt, NULL, &none) == -1, "the first thread got one, too");
}

static void none(void) {
  timer_t timer = make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
  double begin = now(CLOCK_MONOTONIC);
  set(timer, 100, 0, 0);
  until_go();
  double gone = now(CLOCK_MONOTONIC) - begin;
  CHECK(left_of(timer) > 99.99 - gone && left_of(timer) < 100 - gone + allowance(), "%.3f s left after %.3f s",
        left_of(timer), gone);
}

static atomic_int called;
static void on_timer(union sigval value) { called += value.sival_int; }
static void callback(void) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_timer, .sigev_value.sival_int = 1};
  timer_t timer;
  OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  set(timer, 0.02, 0.02, 0);
  while (called < 2) pause_ms(1);
  until_go();
  int before = called;
  for (int i = 0; called < before + 5; i++) {
    CHECK(i < 5000, "called only %d times", called - before);
    pause_ms(1);
  }
}

static void fires_once(clockid_t clock, bool absolute) {
  block_rt();
  timer_t timer = make(clock, SIGEV_SIGNAL, 5, 0);
  double begin = now(clock);
  set(timer, absolute ? begin + 2.5 : 2.5, 0, absolute ? TIMER_ABSTIME : 0);
  pause_ms(1000);
  ready();
  take(20);
  double took = now(clock) - begin;
  wait_go();
  CHECK(took > 2.49 && took < 2.5 + allowance(), "fired after %.3f s", took);
  CHECK(left_of(timer) == 0, "still armed");
}
static void one_shot(void) { fires_once(CLOCK_MONOTONIC, false); }
static void absolute(void) { fires_once(CLOCK_BOOTTIME, true); }

// While the signal is pending the kernel counts what it has not sent. What was counted before the checkpoint cannot be
// read from outside and may be lost; afterwards it must be counted again, and nothing twice.
static void overrun(void) {
  block_rt();
  timer_t timer = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, 6, 0);
  double begin = now(CLOCK_MONOTONIC);
  set(timer, 0.001, 0.001, 0);
  pause_ms(100);
  until_go();
  siginfo_t info = take(10);
  long total = 1 + info.si_overrun;
  double restart = now(CLOCK_MONOTONIC);
  pause_ms(50);
  for (struct timespec none = {0, 0}; sigtimedwait(&rt, &info, &none) > 0;) total += 1 + info.si_overrun;
  double end = now(CLOCK_MONOTONIC);
  CHECK(total > (end - restart) * 1000 - 10, "%ld times in the last %.3f s", total, end - restart);
  CHECK(total < (end - begin) * 1000 + 10, "%ld times in %.3f s", total, end - begin);
}

static void pending(void) {
  block_rt();
  timer_t first = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, 1, 0), second = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, 2, 0);
  set(first, 0.01, 0, 0);
  pause_ms(50);
  set(second, 0.01, 0, 0);
  pause_ms(50);
  until_go();
  take_periodic(first, 1, 1);
  take_periodic(second, 2, 1);
  struct timespec no_time = {0, 0};
  CHECK(sigtimedwait(&rt, NULL, &no_time) == -1, "one signal too many");
  set(first, 0.01, 0, 0);  // and it can fire again
  take_periodic(first, 1, 1);
}

static void disarmed(void) {
  timer_t timer = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, 1, 0);
  until_go();
  CHECK(left_of(timer) == 0 && interval_of(timer) == 0, "armed: %.3f s", left_of(timer));
}

static void ids(void) {
  timer_t timers[10];
  for (int i = 0; i < 10; i++) timers[i] = make(CLOCK_MONOTONIC, SIGEV_NONE, i, 0);
  for (int i = 1; i < 10; i += 3) OK(timer_delete(timers[i]));
  for (int i = 0; i < 10; i++) {
    if (i % 3 != 1) set(timers[i], 100 + i, i, 0);
  }
  until_go();
  for (int i = 0; i < 10; i++) {
    struct itimerspec time;
    int result = timer_gettime(timers[i], &time);
    CHECK(result == (i % 3 == 1 ? -1 : 0), "timer %d: %d, %s", i, result, strerror(errno));
    if (result == 0) SAME(time.it_interval.tv_sec, i);
  }
  timer_t more = make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
  for (int i = 0; i < 10; i++) CHECK(i % 3 == 1 || timers[i] != more, "id of timer %d given again", i);
}

static void cpu_clock(void) {
  block_rt();
  timer_t timer = make(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, 9, 0);
  set(timer, 0.05, 0.05, 0);
  ready();
  while (!go()) continue;
  siginfo_t info;
  struct timespec no_time = {0, 0};
  while (sigtimedwait(&rt, &info, &no_time) > 0) continue;
  double begin = now(CLOCK_MONOTONIC);
  while (sigtimedwait(&rt, &info, &no_time) < 0) CHECK(now(CLOCK_MONOTONIC) < begin + 10, "never fires");
  SAME(info.si_value.sival_int, 9);
}

static const struct live_case cases[] = {{"signal", signal_},    {"thread_id", thread_id}, {"none", none},
                                         {"callback", callback}, {"one_shot", one_shot},   {"absolute", absolute},
                                         {"overrun", overrun},   {"pending", pending},     {"disarmed", disarmed},
                                         {"ids", ids},           {"cpu_clock", cpu_clock}};
RUN_CASES(cases)
