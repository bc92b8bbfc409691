// Signals that are pending at the checkpoint keep their values, their order and whom they are for.
// live-cases: process thread both standard fault_info many none_blocked
#include <stdatomic.h>

#include "target.h"

static sigset_t all;

static void block_all(void) {
  sigfillset(&all);
  OK(pthread_sigmask(SIG_BLOCK, &all, NULL));
}

static void queue_process(int number, int value) { OK(sigqueue(getpid(), number, (union sigval){.sival_int = value})); }

static void queue_thread(pid_t to, int number, int value) {
  siginfo_t info = {.si_signo = number, .si_code = SI_QUEUE};
  info.si_pid = 4711;
  info.si_uid = 815;
  info.si_value.sival_int = value;
  OK(syscall(SYS_rt_tgsigqueueinfo, getpid(), to, number, &info));
}

// The next pending signal of these must be this one.
static siginfo_t take(int number, int value, int code) {
  siginfo_t info;
  struct timespec none = {0, 0};
  // The C library's sigtimedwait() shows SI_TKILL as SI_USER.
  int got = (int)syscall(SYS_rt_sigtimedwait, &all, &info, &none, 8);
  CHECK(got == number, "got signal %d (%s), not %d", got, got < 0 ? strerror(errno) : "", number);
  SAME(info.si_code, code);
  if (code == SI_QUEUE) SAME(info.si_value.sival_int, value);
  return info;
}

static void take_none(void) {
  struct timespec none = {0, 0};
  int got = sigtimedwait(&all, NULL, &none);
  CHECK(got == -1 && errno == EAGAIN, "one signal too many: %d", got);
}

static void until_go(void) {
  ready();
  wait_go();
}

static void process(void) {
  block_all();
  int second = SIGRTMIN + 5, first = SIGRTMIN + 2;
  for (int i = 0; i < 5; i++) queue_process(second, i);
  for (int i = 10; i < 13; i++) queue_process(first, i);
  queue_process(second, 99);
  until_go();
  for (int i = 10; i < 13; i++) SAME(take(first, i, SI_QUEUE).si_pid, getpid());
  for (int i = 0; i < 5; i++) SAME(take(second, i, SI_QUEUE).si_uid, getuid());
  take(second, 99, SI_QUEUE);
  take_none();
}

static atomic_int thread_tid, may_check;
static void* receiver(void* unused) {
  thread_tid = tid();
  while (!may_check) pause_ms(1);
  take(SIGUSR1, 0, SI_TKILL);  // the lower number first
  for (int i = 0; i < 3; i++) {
    siginfo_t info = take(SIGRTMIN + 1, 7 + i, SI_QUEUE);
    SAME(info.si_pid, 4711);
    SAME(info.si_uid, 815);
  }
  take_none();
  return unused;
}

static void to_thread(bool both) {
  block_all();
  pthread_t other = thread(receiver, NULL);
  while (!thread_tid) pause_ms(1);
  for (int i = 0; i < 3; i++) queue_thread(thread_tid, SIGRTMIN + 1, 7 + i);
  OK(syscall(SYS_tgkill, getpid(), thread_tid, SIGUSR1));
  if (both) queue_thread(tid(), SIGRTMIN + 1, 55);
  if (both) queue_process(SIGRTMIN + 4, 66);
  until_go();
  if (both) take(SIGRTMIN + 1, 55, SI_QUEUE);
  if (both) take(SIGRTMIN + 4, 66, SI_QUEUE);
  take_none();
  may_check = 1;
  pthread_join(other, NULL);
}
static void thread_(void) { to_thread(false); }
static void both(void) { to_thread(true); }

static void standard(void) {
  block_all();
  OK(kill(getpid(), SIGTERM));
  OK(kill(getpid(), SIGTERM));  // only once
  OK(kill(getpid(), SIGINT));
  OK(kill(getpid(), SIGSEGV));
  until_go();
  SAME(take(SIGSEGV, 0, SI_USER).si_pid, getpid());
  take(SIGINT, 0, SI_USER);
  take(SIGTERM, 0, SI_USER);
  take_none();
}

static void fault_info(void) {
  block_all();
  siginfo_t info = {.si_signo = SIGBUS, .si_code = BUS_ADRERR - 1000};  // any negative code may be sent
  info.si_errno = 33;
  info.si_addr = (void*)0x123456789abcdef0;
  OK(syscall(SYS_rt_tgsigqueueinfo, getpid(), tid(), SIGBUS, &info));
  until_go();
  siginfo_t seen = take(SIGBUS, 0, BUS_ADRERR - 1000);
  SAME(seen.si_errno, 33);
  SAME((uintptr_t)seen.si_addr, 0x123456789abcdef0);
}

static void many(void) {
  enum { kMany = 500 };
  block_all();
  for (int i = 0; i < kMany; i++) queue_process(SIGRTMIN, i);
  until_go();
  for (int i = 0; i < kMany; i++) take(SIGRTMIN, i, SI_QUEUE);
  take_none();
}

static volatile sig_atomic_t caught;
static void handler(int number) { caught = number; }
// Nothing may be delivered that was not sent.
static void none_blocked(void) {
  for (int i = 1; i < 32; i++) {
    if (i != SIGKILL && i != SIGSTOP) signal(i, handler);
  }
  until_go();
  SAME(caught, 0);
  sigset_t pending;
  OK(sigpending(&pending));
  CHECK(sigisemptyset(&pending), "something is pending");
}

static const struct live_case cases[] = {{"process", process},          {"thread", thread_},        {"both", both},
                                         {"standard", standard},        {"fault_info", fault_info}, {"many", many},
                                         {"none_blocked", none_blocked}};
RUN_CASES(cases)
