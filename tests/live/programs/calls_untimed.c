// A system call that waits without limit when the checkpoint comes, one per case. It goes on waiting, and after go ends
// by the event it waited for, not before; a call that a signal ends sees that signal only, and its handler runs once.
// live-cases: futex cond poll ppoll epoll select pause sigsuspend sigwaitinfo read_pipe write_pipe read_fifo open_fifo
// live-cases: read_eventfd write_eventfd read_signalfd wait4 waitid waitid_pidfd poll_pidfd flock lock_file splice
#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/signalfd.h>

#include "target.h"

static atomic_int happened;  // set before what ends the call
static atomic_int word;
static int pipes[2], fd;
static pid_t main_tid, child_pid;
static volatile sig_atomic_t handled;
static sigset_t usr1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static void on_usr1(int unused) {
  (void)unused;
  handled++;
}

static long call_futex(void) { return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0); }
static void wake_futex(void) {
  word = 1;
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
static long call_cond(void) {
  pthread_mutex_lock(&mutex);
  while (!word) pthread_cond_wait(&condition, &mutex);
  return pthread_mutex_unlock(&mutex);
}
static void wake_cond(void) {
  pthread_mutex_lock(&mutex);
  word = 1;
  pthread_cond_signal(&condition);
  pthread_mutex_unlock(&mutex);
}

static long call_poll(void) { return poll(&(struct pollfd){.fd = pipes[0], .events = POLLIN}, 1, -1); }
static long call_ppoll(void) { return ppoll(&(struct pollfd){.fd = pipes[0], .events = POLLIN}, 1, NULL, &usr1); }
static long call_epoll(void) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = 77};
  int epoll = OK(epoll_create1(EPOLL_CLOEXEC));
  OK(epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0], &event));
  event.data.u64 = 0;
  long result = epoll_wait(epoll, &event, 1, -1);
  SAME(event.data.u64, result == 1 ? 77 : 0);
  return result;
}
static long call_select(void) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(pipes[0], &set);
  return select(pipes[0] + 1, &set, NULL, NULL, NULL);
}
static long call_read_pipe(void) {
  char byte = 0;
  long result = read(pipes[0], &byte, 1);
  return result == 1 ? byte : result;
}
static void wake_write(void) { SAME(OK(write(pipes[1], "*", 1)), 1); }

static long call_pause(void) { return pause(); }
static long call_sigsuspend(void) {
  sigset_t none;
  pthread_sigmask(SIG_BLOCK, &usr1, NULL);
  sigemptyset(&none);
  return sigsuspend(&none);
}
static void wake_signal(void) { OK(syscall(SYS_tgkill, getpid(), main_tid, SIGUSR1)); }
static long call_sigwaitinfo(void) {
  siginfo_t info;
  pthread_sigmask(SIG_BLOCK, &usr1, NULL);
  return sigwaitinfo(&usr1, &info);
}
static long call_read_signalfd(void) {
  struct signalfd_siginfo info;
  pthread_sigmask(SIG_BLOCK, &usr1, NULL);
  fd = OK(signalfd(-1, &usr1, SFD_CLOEXEC));
  return read(fd, &info, sizeof info) == sizeof info ? (long)info.ssi_signo : -1;
}

static long call_write_pipe(void) {
  OK(fcntl(pipes[1], F_SETFL, O_NONBLOCK));
  static char bytes[kPage];
  while (write(pipes[1], bytes, sizeof bytes) > 0) continue;
  OK(fcntl(pipes[1], F_SETFL, 0));
  return write(pipes[1], bytes, 100);
}
static void wake_drain(void) {
  static char bytes[1 << 20];
  OK(read(pipes[0], bytes, sizeof bytes));
}
static long call_splice(void) {
  int out[2];
  OK(pipe2(out, O_CLOEXEC));
  return splice(pipes[0], NULL, out[1], NULL, 100, 0);
}

static void make_fifo(void) { OK(mkfifo(live_path("fifo"), 0600)); }
static long call_open_fifo(void) {
  make_fifo();
  int reading = open(live_path("fifo"), O_RDONLY | O_CLOEXEC);
  return reading >= 0 ? 0 : -1;
}
static void wake_open_fifo(void) { fd = OK(open(live_path("fifo"), O_WRONLY | O_CLOEXEC)); }
static long call_read_fifo(void) {
  char byte = 0;
  make_fifo();
  fd = OK(open(live_path("fifo"), O_RDWR | O_CLOEXEC));
  long result = read(fd, &byte, 1);
  return result == 1 ? byte : result;
}
static void wake_read_fifo(void) { SAME(OK(write(fd, "*", 1)), 1); }

static long call_read_eventfd(void) {
  uint64_t value = 0;
  fd = OK(eventfd(0, EFD_CLOEXEC));
  return read(fd, &value, 8) == 8 ? (long)value : -1;
}
static void wake_eventfd(void) { OK(eventfd_write(fd, 5)); }
static long call_write_eventfd(void) {
  fd = OK(eventfd(0, EFD_CLOEXEC));
  OK(eventfd_write(fd, UINT64_MAX - 1));
  return eventfd_write(fd, 3);
}
static void wake_eventfd_read(void) {
  uint64_t value = 0;
  OK(eventfd_read(fd, &value));
  SAME(value, UINT64_MAX - 1);
}

static void wait_to_exit(void* unused) {
  (void)unused;
  await_mark("may exit");
  _exit(9);
}
static void wake_exit(void) { mark("may exit"); }
static long call_wait4(void) {
  int status = 0;
  child_pid = child(wait_to_exit, NULL);
  return wait4(-1, &status, 0, NULL) == child_pid ? WEXITSTATUS(status) : -1;
}
static long waitid_status(idtype_t type, int id) {
  siginfo_t info = {0};
  return waitid(type, (id_t)id, &info, WEXITED) == 0 && info.si_pid == child_pid ? info.si_status : -1;
}
static long call_waitid(void) {
  child_pid = child(wait_to_exit, NULL);
  return waitid_status(P_ALL, 0);
}
static long call_waitid_pidfd(void) {
  child_pid = child(wait_to_exit, NULL);
  return waitid_status(P_PIDFD, (int)OK(syscall(SYS_pidfd_open, child_pid, 0)));
}
static long call_poll_pidfd(void) {
  child_pid = child(wait_to_exit, NULL);
  int pidfd = (int)OK(syscall(SYS_pidfd_open, child_pid, 0));
  return poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, -1);
}

static void hold_lock(void* how) {
  int held = OK(open(live_path("locked"), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  struct flock whole = {.l_type = F_WRLCK};
  OK(how ? flock(held, LOCK_EX) : fcntl(held, F_SETLK, &whole));
  mark("locked");
  await_mark("may exit");
}
static long call_flock(void) {
  child_pid = child(hold_lock, "flock");
  await_mark("locked");
  return flock(OK(open(live_path("locked"), O_RDWR | O_CLOEXEC)), LOCK_EX);
}
static long call_lock_file(void) {
  struct flock whole = {.l_type = F_WRLCK};
  child_pid = child(hold_lock, NULL);
  await_mark("locked");
  return fcntl(OK(open(live_path("locked"), O_RDWR | O_CLOEXEC)), F_SETLKW, &whole);
}

static const struct call {
  const char* name;
  long (*call)(void);
  void (*wake)(void);
  long result;
  int error, handled;
} calls[] = {{"futex", call_futex, wake_futex, 0, 0, 0},
             {"cond", call_cond, wake_cond, 0, 0, 0},
             {"poll", call_poll, wake_write, 1, 0, 0},
             {"ppoll", call_ppoll, wake_write, 1, 0, 0},
             {"epoll", call_epoll, wake_write, 1, 0, 0},
             {"select", call_select, wake_write, 1, 0, 0},
             {"pause", call_pause, wake_signal, -1, EINTR, 1},
             {"sigsuspend", call_sigsuspend, wake_signal, -1, EINTR, 1},
             {"sigwaitinfo", call_sigwaitinfo, wake_signal, SIGUSR1, 0, 0},
             {"read_pipe", call_read_pipe, wake_write, '*', 0, 0},
             {"write_pipe", call_write_pipe, wake_drain, 100, 0, 0},
             {"read_fifo", call_read_fifo, wake_read_fifo, '*', 0, 0},
             {"open_fifo", call_open_fifo, wake_open_fifo, 0, 0, 0},
             {"read_eventfd", call_read_eventfd, wake_eventfd, 5, 0, 0},
             {"write_eventfd", call_write_eventfd, wake_eventfd_read, 0, 0, 0},
             {"read_signalfd", call_read_signalfd, wake_signal, SIGUSR1, 0, 0},
             {"wait4", call_wait4, wake_exit, 9, 0, 0},
             {"waitid", call_waitid, wake_exit, 9, 0, 0},
             {"waitid_pidfd", call_waitid_pidfd, wake_exit, 9, 0, 0},
             {"poll_pidfd", call_poll_pidfd, wake_exit, 1, 0, 0},
             {"flock", call_flock, wake_exit, 0, 0, 0},
             {"lock_file", call_lock_file, wake_exit, 0, 0, 0},
             {"splice", call_splice, wake_write, 1, 0, 0}};

static void* waker(void* argument) {
  const struct call* call = argument;
  pthread_sigmask(SIG_BLOCK, &usr1, NULL);
  await_asleep(main_tid);
  ready();
  wait_go();
  await_asleep(main_tid);
  happened = 1;
  call->wake();
  return NULL;
}

static void check(const struct call* call) {
  OK(pipe2(pipes, O_CLOEXEC));
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  signal(SIGUSR1, on_usr1);
  main_tid = tid();
  thread(waker, (void*)(uintptr_t)call);
  errno = 0;
  long result = call->call();
  int error = errno;
  CHECK(happened, "%s returned %ld, %s, before anything happened", call->name, result, strerror(error));
  CHECK(result == call->result && (!call->error || error == call->error), "%s returned %ld, %s", call->name, result,
        strerror(error));
  SAME(handled, call->handled);
}

int main(int argc, char** argv) {
  for (size_t i = 0; argc == 2 && i < sizeof calls / sizeof calls[0]; i++) {
    if (strcmp(calls[i].name, argv[1]) != 0) continue;
    check(&calls[i]);
    pass();
  }
  fail("no such case");
}
