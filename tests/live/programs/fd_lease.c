// Leases of files (F_SETLEASE): whoever opens the file waits for the holder, who is told by a signal of its choice.
// Also leases that are being broken, told already but not given up. Who reads a file under a write lease breaks it: the
// keeper of a workspace (user), and the runner that puts files back (pid-running).
// live-cases: read write owner downgraded ended owner_without_lease
// live-without: user.write user.owner user.downgraded user.ended
// live-without: pid-running.write pid-running.owner pid-running.downgraded pid-running.ended
#include <fcntl.h>

#include "target.h"

enum { kSignal = 40 };

static int leased(int flags) { return OK(open(live_path("leased"), flags | O_CREAT | O_CLOEXEC, 0600)); }
static void block(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  OK(sigprocmask(SIG_BLOCK, &set, NULL));
}
static siginfo_t take(int signal, int seconds) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  siginfo_t info = {0};
  struct timespec wait = {seconds, 0};
  if (sigtimedwait(&set, &info, &wait) < 0) info.si_signo = 0;
  return info;
}
// In a process of its own: the errno of an open, 0 when it went.
static int try_open(int flags) {
  pid_t pid = OK(fork());
  if (pid == 0) _exit(open(live_path("leased"), flags | O_NONBLOCK) >= 0 ? 0 : errno);
  int status;
  OK(waitpid(pid, &status, 0));
  return WEXITSTATUS(status);
}

static void read_(void) {
  close(leased(O_RDWR));
  int fd = leased(O_RDONLY);
  block(SIGIO);
  OK(fcntl(fd, F_SETLEASE, F_RDLCK));
  ready();
  wait_go();
  SAME(fcntl(fd, F_GETLEASE), F_RDLCK);
  SAME(try_open(O_RDONLY), 0);
  SAME(take(SIGIO, 0).si_signo, 0);
  SAME(try_open(O_WRONLY), EWOULDBLOCK);
  SAME(take(SIGIO, 5).si_signo, SIGIO);
  SAME(fcntl(fd, F_GETLEASE), F_UNLCK);
  OK(fcntl(fd, F_SETLEASE, F_UNLCK));
  SAME(try_open(O_WRONLY), 0);
}

static void write_(void) {
  int fd = leased(O_RDWR);
  block(kSignal);
  OK(fcntl(fd, F_SETSIG, kSignal));
  OK(fcntl(fd, F_SETLEASE, F_WRLCK));
  ready();
  wait_go();
  SAME(fcntl(fd, F_GETLEASE), F_WRLCK);
  SAME(fcntl(fd, F_GETSIG), kSignal);
  SAME(fcntl(fd, F_GETOWN), getpid());
  SAME(try_open(O_RDONLY), EWOULDBLOCK);
  siginfo_t info = take(kSignal, 5);
  SAME(info.si_signo, kSignal);
  SAME(info.si_fd, fd);
  SAME(fcntl(fd, F_GETLEASE), F_RDLCK);
}

static void told(void* unused) {
  (void)unused;
  block(kSignal);
  mark("told");
  SAME(take(kSignal, 60).si_signo, kSignal);
}
static void owner(void) {
  pid_t pid = child(told, NULL);
  await_mark("told");
  int fd = leased(O_RDWR);
  struct f_owner_ex who = {F_OWNER_PID, pid};
  OK(fcntl(fd, F_SETOWN_EX, &who));
  OK(fcntl(fd, F_SETSIG, kSignal));
  OK(fcntl(fd, F_SETLEASE, F_WRLCK));
  ready();
  wait_go();
  SAME(try_open(O_RDONLY), EWOULDBLOCK);
  join_child(pid);
}

// The child waits in open(2) all the time; it comes in when we give way. It opens first of all, as our descriptor would
// be its own too.
static void opens(void* argument) {
  int flags = *(int*)argument;
  await_mark("leased");
  int fd = OK(open(live_path("leased"), flags));
  CHECK(go(), "too early");
  close(fd);
}
static void broken(int how, int by, int to) {
  block(SIGIO);
  close(leased(O_RDWR));
  pid_t pid = child(opens, &by);
  int fd = leased(how);
  OK(fcntl(fd, F_SETLEASE, F_WRLCK));
  mark("leased");
  SAME(take(SIGIO, 5).si_signo, SIGIO);
  SAME(fcntl(fd, F_GETLEASE), to);
  await_asleep(pid);
  ready();
  wait_go();
  SAME(fcntl(fd, F_GETLEASE), to);
  SAME(take(SIGIO, 0).si_signo, 0);  // not told twice
  OK(fcntl(fd, F_SETLEASE, to));
  join_child(pid);
}
static void downgraded(void) { broken(O_RDONLY, O_RDONLY, F_RDLCK); }
static void ended(void) { broken(O_RDWR, O_WRONLY, F_UNLCK); }

static void owner_without_lease(void) {
  int fd = leased(O_RDWR);
  OK(fcntl(fd, F_SETOWN, getpid()));
  OK(fcntl(fd, F_SETSIG, kSignal));
  ready();
  wait_go();
  SAME(fcntl(fd, F_GETOWN), getpid());
  SAME(fcntl(fd, F_GETSIG), kSignal);
}

static const struct live_case cases[] = {{"read", read_},  {"write", write_},
                                         {"owner", owner}, {"downgraded", downgraded},
                                         {"ended", ended}, {"owner_without_lease", owner_without_lease}};
RUN_CASES(cases)
