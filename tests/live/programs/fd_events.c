// eventfd, timerfd, signalfd and pidfd: their state, flags and what they can still do.
// live-cases: eventfd semaphore eventfd_forked timerfd_interval timerfd_absolute timerfd_expired timerfd_disarmed
// live-cases: timerfd_wall signalfd signalfd_pending pidfd_child pidfd_self pidfd_dead
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "target.h"

static void until_go(void) {
  ready();
  wait_go();
}
static uint64_t take(int fd) {
  uint64_t value = 0;
  SAME(OK(read(fd, &value, 8)), 8);
  return value;
}
static void check_empty(int fd) {
  uint64_t value;
  CHECK(read(fd, &value, 8) == -1 && errno == EAGAIN, "not empty: %s", strerror(errno));
}

static void eventfd_(void) {
  int counter = OK(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), high = OK(eventfd(0, 0));
  OK(eventfd_write(counter, 0x123456789abcull));
  OK(eventfd_write(high, UINT64_MAX - 1));
  until_go();
  SAME(take(counter), 0x123456789abcull);
  check_empty(counter);
  SAME(take(high), UINT64_MAX - 1);
  SAME(fcntl(high, F_GETFD), 0);
  SAME(fcntl(counter, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}
static void semaphore(void) {
  int fd = OK(eventfd(3, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE));
  until_go();
  for (int i = 0; i < 3; i++) SAME(take(fd), 1);
  check_empty(fd);
}
static int shared_fd;
static void adder(void* unused) {
  (void)unused;
  mark("adder");
  wait_go();
  OK(eventfd_write(shared_fd, 5));
}
static void eventfd_forked(void) {
  shared_fd = OK(eventfd(0, EFD_CLOEXEC));
  pid_t pid = child(adder, NULL);
  await_mark("adder");
  until_go();
  SAME(take(shared_fd), 5);
  join_child(pid);
}

static int timer(clockid_t clock, int flags, double first, double interval) {
  int fd = OK(timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK));
  struct itimerspec time = {.it_value = {(time_t)first, (long)((first - (double)(time_t)first) * 1e9)},
                            .it_interval = {(time_t)interval, (long)((interval - (double)(time_t)interval) * 1e9)}};
  OK(timerfd_settime(fd, flags, &time, NULL));
  return fd;
}
static double left_of(int fd) {
  struct itimerspec time;
  OK(timerfd_gettime(fd, &time));
  return (double)time.it_value.tv_sec + (double)time.it_value.tv_nsec / 1e9;
}
static void await_readable(int fd) { SAME(OK(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000)), 1); }

static void timerfd_interval(void) {
  int fd = timer(CLOCK_MONOTONIC, 0, 0.03, 0.03);
  await_readable(fd);
  take(fd);
  until_go();
  await_readable(fd);
  take(fd);  // the periods of the time it waited for go
  for (int i = 0; i < 5; i++) {
    await_readable(fd);
    CHECK(take(fd) < 100, "fires too often");
  }
  struct itimerspec time;
  OK(timerfd_gettime(fd, &time));
  SAME(time.it_interval.tv_nsec, 30000000);
}
static void check_left(int fd, double total, double begin, clockid_t clock, double more) {
  double gone = now(clock) - begin, left = left_of(fd);
  CHECK(left > total - gone - 0.01 && left < total - gone + more, "%.3f s left of %.0f after %.3f", left, total, gone);
}
static void timerfd_absolute(void) {
  double begin = now(CLOCK_MONOTONIC);
  int fd = timer(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME, begin + 100, 7), relative = timer(CLOCK_BOOTTIME, 0, 200, 0);
  until_go();
  check_left(fd, 100, begin, CLOCK_MONOTONIC, allowance());
  check_left(relative, 200, begin, CLOCK_MONOTONIC, allowance());
}
static void timerfd_wall(void) {
  double begin = now(CLOCK_REALTIME);
  int fd = timer(CLOCK_REALTIME, TFD_TIMER_ABSTIME, begin + 100, 0);
  until_go();
  check_left(fd, 100, begin, CLOCK_REALTIME, 0.5);
}
static void timerfd_expired(void) {
  int once = timer(CLOCK_MONOTONIC, 0, 0.001, 0), often = timer(CLOCK_MONOTONIC, 0, 0.001, 0.001);
  double begin = now(CLOCK_MONOTONIC);
  await_readable(once);
  pause_ms(100);
  double before = now(CLOCK_MONOTONIC) - begin;
  until_go();
  double gone = now(CLOCK_MONOTONIC) - begin;
  SAME(take(once), 1);
  check_empty(once);
  uint64_t count = take(often);
  CHECK((double)count > before * 1000 - 20 && (double)count < gone * 1000 + 100, "%lld times in %.3f to %.3f s",
        (long long)count, before, gone);
}
static void timerfd_disarmed(void) {
  int fd = OK(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK));
  until_go();
  SAME(left_of(fd) == 0, 1);
  check_empty(fd);
  int fires = timer(CLOCK_MONOTONIC, 0, 0.01, 0);
  await_readable(fires);
}

static sigset_t set;
static int make_signalfd(void) {
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGRTMIN + 1);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  return OK(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}
static void take_signals(int fd) {
  struct signalfd_siginfo info;
  SAME(OK(read(fd, &info, sizeof info)), sizeof info);
  SAME(info.ssi_signo, SIGUSR1);
  SAME(OK(read(fd, &info, sizeof info)), sizeof info);
  SAME(info.ssi_signo, SIGRTMIN + 1);
  SAME(info.ssi_int, 42);
  SAME(info.ssi_pid, getpid());
  CHECK(read(fd, &info, sizeof info) == -1 && errno == EAGAIN, "one signal too many: %u", info.ssi_signo);
}
static void send_signals(void) {
  OK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 42}));
  OK(kill(getpid(), SIGUSR1));
}
static void signalfd_(void) {
  int fd = make_signalfd();
  until_go();
  send_signals();
  take_signals(fd);
}
static void signalfd_pending(void) {
  int fd = make_signalfd();
  send_signals();
  until_go();
  take_signals(fd);
}

static int open_pidfd(pid_t pid) { return (int)OK(syscall(SYS_pidfd_open, pid, 0)); }
static void waits(void* unused) {
  (void)unused;
  pause();
}
static void pidfd_child(void) {
  pid_t pid = child(waits, NULL);
  int fd = open_pidfd(pid);
  until_go();
  SAME(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0), 0);
  OK(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
  siginfo_t info;
  OK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED));
  SAME(info.si_pid, pid);
  SAME(info.si_status, SIGKILL);
}
static void pidfd_self(void) {
  int fd = open_pidfd(getpid());
  signal(SIGUSR2, SIG_IGN);
  until_go();
  OK(syscall(SYS_pidfd_send_signal, fd, SIGUSR2, NULL, 0));
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  SAME(atoi(proc_field(path, "Pid")), getpid());
}
static void pidfd_dead(void) {
  pid_t pid = child(waits, NULL);
  int fd = open_pidfd(pid);
  OK(kill(pid, SIGKILL));
  OK(waitpid(pid, NULL, 0));
  until_go();
  SAME(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0), 1);
  CHECK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == -1 && errno == ESRCH, "it lives: %s", strerror(errno));
}

static const struct live_case cases[] = {{"eventfd", eventfd_},
                                         {"semaphore", semaphore},
                                         {"eventfd_forked", eventfd_forked},
                                         {"timerfd_interval", timerfd_interval},
                                         {"timerfd_absolute", timerfd_absolute},
                                         {"timerfd_expired", timerfd_expired},
                                         {"timerfd_disarmed", timerfd_disarmed},
                                         {"timerfd_wall", timerfd_wall},
                                         {"signalfd", signalfd_},
                                         {"signalfd_pending", signalfd_pending},
                                         {"pidfd_child", pidfd_child},
                                         {"pidfd_self", pidfd_self},
                                         {"pidfd_dead", pidfd_dead}};
RUN_CASES(cases)
