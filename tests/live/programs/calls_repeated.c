// Short calls with time-outs in a loop, one kind per thread: wherever the freeze falls, at their beginning, in the
// middle or at the end, none returns early or with EINTR.
#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "target.h"

static const struct timespec total = {0, 20000000};
static int pipes[2];
static sigset_t usr1;

static long sleeps(void) { return nanosleep(&total, NULL); }
static long futex(void) {
  int word = 1;
  long result = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, &total, NULL, 0);
  return result == -1 && errno == ETIMEDOUT ? 0 : -1;
}
static long poll_(void) { return poll(&(struct pollfd){.fd = pipes[0], .events = POLLIN}, 1, 20); }
static long ppoll_(void) { return ppoll(NULL, 0, &total, NULL); }
static long select_(void) { return select(0, NULL, NULL, NULL, &(struct timeval){0, 20000}); }
static long epoll(void) {
  static _Thread_local int fd = -1;
  if (fd < 0) fd = OK(epoll_create1(EPOLL_CLOEXEC));
  return epoll_wait(fd, &(struct epoll_event){0}, 1, 20);
}
static long sigtimedwait_(void) { return sigtimedwait(&usr1, NULL, &total) == -1 && errno == EAGAIN ? 0 : -1; }
static long clock_nanosleep_(void) { return -clock_nanosleep(CLOCK_MONOTONIC, 0, &total, NULL); }

static const struct call {
  const char* name;
  long (*call)(void);
} calls[] = {{"nanosleep", sleeps},
             {"futex", futex},
             {"poll", poll_},
             {"ppoll", ppoll_},
             {"select", select_},
             {"epoll_wait", epoll},
             {"sigtimedwait", sigtimedwait_},
             {"clock_nanosleep", clock_nanosleep_}};
enum { kCalls = sizeof calls / sizeof calls[0] };
static atomic_int begun;

static void* repeat(void* argument) {
  const struct call* call = argument;
  begun++;
  for (long count = 0; !go(); count++) {
    errno = 0;
    double begin = now(CLOCK_MONOTONIC);
    long result = call->call();
    int error = errno;
    double seconds = now(CLOCK_MONOTONIC) - begin;
    CHECK(result == 0, "%s number %ld returned %ld, %s", call->name, count, result, strerror(error));
    CHECK(seconds > 0.0199, "%s number %ld took %.4f s", call->name, count, seconds);
  }
  return NULL;
}

int main(void) {
  OK(pipe2(pipes, O_CLOEXEC));
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &usr1, NULL);
  pthread_t threads[kCalls];
  for (int i = 0; i < kCalls; i++) threads[i] = thread(repeat, (void*)(uintptr_t)&calls[i]);
  while (begun < kCalls) pause_ms(1);
  ready();
  wait_go();
  for (int i = 0; i < kCalls; i++) pthread_join(threads[i], NULL);
  pass();
}
