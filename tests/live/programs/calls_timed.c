// A system call with a time-out that the freeze interrupts in the middle, one per case: it ends as if nothing had been,
// with the result it would have had, after the whole time, neither shorter nor begun anew.
// live-cases: nanosleep nanosleep_rem clock_nanosleep sleep_abs sleep_wall futex futex_abs cond sem poll ppoll
// live-cases: poll_none select pselect epoll epoll_pwait epoll_pwait2 sigtimedwait timerfd timerfd_abs
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/timerfd.h>

#include "target.h"

static const double kTotal = 2.5;  // seconds the call takes
enum { kBefore = 1000 };           // milliseconds of them before the checkpoint may come

static const struct timespec total = {2, 500000000};
static int pipe_read;
static sigset_t blocked;

static struct timespec deadline(clockid_t clock) {
  struct timespec time;
  OK(clock_gettime(clock, &time));
  time.tv_nsec += total.tv_nsec;
  time.tv_sec += total.tv_sec + time.tv_nsec / 1000000000;
  time.tv_nsec %= 1000000000;
  return time;
}

static long nanosleep_(void) { return nanosleep(&total, NULL); }
static long nanosleep_rem(void) {
  struct timespec time = total;
  return nanosleep(&time, &time);
}
static long clock_nanosleep_(void) { return -clock_nanosleep(CLOCK_BOOTTIME, 0, &total, NULL); }
static long sleep_abs(void) {
  struct timespec end = deadline(CLOCK_MONOTONIC);
  return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
}
static long sleep_wall(void) {
  struct timespec end = deadline(CLOCK_REALTIME);
  return -clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &end, NULL);
}
static long futex(void) {
  int word = 1;
  return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, &total, NULL, 0);
}
static long futex_abs(void) {
  int word = 1;
  struct timespec end = deadline(CLOCK_MONOTONIC);
  return syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 1, &end, NULL, FUTEX_BITSET_MATCH_ANY);
}
static long cond(void) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t condition;
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&condition, &attributes);
  struct timespec end = deadline(CLOCK_MONOTONIC);
  pthread_mutex_lock(&mutex);
  return errno = pthread_cond_timedwait(&condition, &mutex, &end), -1;
}
static long sem(void) {
  sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  struct timespec end = deadline(CLOCK_MONOTONIC);
  return sem_clockwait(&semaphore, CLOCK_MONOTONIC, &end);
}
static long poll_(void) { return poll(&(struct pollfd){.fd = pipe_read, .events = POLLIN}, 1, 2500); }
static long poll_none(void) { return poll(NULL, 0, 2500); }
static long ppoll_(void) { return ppoll(&(struct pollfd){.fd = pipe_read, .events = POLLIN}, 1, &total, &blocked); }
static long select_(void) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(pipe_read, &set);
  struct timeval time = {2, 500000};
  long result = select(pipe_read + 1, &set, NULL, NULL, &time);
  SAME(time.tv_sec, 0);  // Linux leaves what is left
  SAME(time.tv_usec, 0);
  return result;
}
static long pselect_(void) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(pipe_read, &set);
  return pselect(pipe_read + 1, &set, NULL, NULL, &total, &blocked);
}
static int epoll_fd(void) {
  int epoll = OK(epoll_create1(EPOLL_CLOEXEC));
  OK(epoll_ctl(epoll, EPOLL_CTL_ADD, pipe_read, &(struct epoll_event){.events = EPOLLIN}));
  return epoll;
}
static long epoll_(void) { return epoll_wait(epoll_fd(), &(struct epoll_event){0}, 1, 2500); }
static long epoll_pwait_(void) { return epoll_pwait(epoll_fd(), &(struct epoll_event){0}, 1, 2500, &blocked); }
static long epoll_pwait2_(void) {
  return syscall(SYS_epoll_pwait2, epoll_fd(), &(struct epoll_event){0}, 1, &total, &blocked, 8);
}
static long sigtimedwait_(void) { return sigtimedwait(&blocked, NULL, &total); }
static long timerfd_read(int flags) {
  int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  struct itimerspec time = {.it_value = flags ? deadline(CLOCK_MONOTONIC) : total};
  OK(timerfd_settime(fd, flags, &time, NULL));
  uint64_t count;
  return read(fd, &count, 8) == 8 ? (long)count : -1;
}
static long timerfd(void) { return timerfd_read(0); }
static long timerfd_abs(void) { return timerfd_read(TFD_TIMER_ABSTIME); }

static const struct call {
  const char* name;
  long (*call)(void);
  long result;
  int error;
} calls[] = {{"nanosleep", nanosleep_, 0, 0},
             {"nanosleep_rem", nanosleep_rem, 0, 0},
             {"clock_nanosleep", clock_nanosleep_, 0, 0},
             {"sleep_abs", sleep_abs, 0, 0},
             {"sleep_wall", sleep_wall, 0, 0},
             {"futex", futex, -1, ETIMEDOUT},
             {"futex_abs", futex_abs, -1, ETIMEDOUT},
             {"cond", cond, -1, ETIMEDOUT},
             {"sem", sem, -1, ETIMEDOUT},
             {"poll", poll_, 0, 0},
             {"poll_none", poll_none, 0, 0},
             {"ppoll", ppoll_, 0, 0},
             {"select", select_, 0, 0},
             {"pselect", pselect_, 0, 0},
             {"epoll", epoll_, 0, 0},
             {"epoll_pwait", epoll_pwait_, 0, 0},
             {"epoll_pwait2", epoll_pwait2_, 0, 0},
             {"sigtimedwait", sigtimedwait_, -1, EAGAIN},
             {"timerfd", timerfd, 1, 0},
             {"timerfd_abs", timerfd_abs, 1, 0}};

static void* announcer(void* unused) {
  pause_ms(kBefore);
  ready();
  wait_go();
  return unused;
}

static void measure(const struct call* call) {
  clockid_t clock = call->call == sleep_wall ? CLOCK_REALTIME : CLOCK_MONOTONIC;
  int pipes[2];
  OK(pipe2(pipes, O_CLOEXEC));
  pipe_read = pipes[0];
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &blocked, NULL);
  thread(announcer, NULL);
  errno = 0;
  double begin = now(clock);
  long result = call->call();
  int error = errno;
  double seconds = now(clock) - begin;
  wait_go();
  CHECK(result == call->result && (!call->error || error == call->error), "%s returned %ld, %s", call->name, result,
        strerror(error));
  double more = clock == CLOCK_REALTIME ? wall_allowance() : allowance();
  CHECK(seconds > kTotal - 0.005 && seconds < kTotal + more, "%s took %.3f s, not %.3f to %.3f", call->name, seconds,
        kTotal, kTotal + more);
}

int main(int argc, char** argv) {
  for (size_t i = 0; argc == 2 && i < sizeof calls / sizeof calls[0]; i++) {
    if (strcmp(calls[i].name, argv[1]) != 0) continue;
    measure(&calls[i]);
    pass();
  }
  fail("no such case");
}
