// Locks of files: who holds them afterwards, seen by a process that asks for the same ones.
// live-cases: flock flock_shared record record_part of_file forked_flock
#include <sys/file.h>

#include "target.h"

static int lock_file(void) { return OK(open(live_path("locked"), O_RDWR | O_CREAT | O_CLOEXEC, 0600)); }

// Asks in a process of its own, with its own open file: the errno of trying, 0 when it was got.
static int try_flock(int how) {
  pid_t pid = OK(fork());
  if (pid == 0) _exit(flock(lock_file(), how | LOCK_NB) == 0 ? 0 : errno);
  int status;
  OK(waitpid(pid, &status, 0));
  return WEXITSTATUS(status);
}
static int try_record(int command, short type, off_t start, off_t length) {
  pid_t pid = OK(fork());
  struct flock wanted = {.l_type = type, .l_start = start, .l_len = length};
  if (pid == 0) _exit(fcntl(lock_file(), command, &wanted) == 0 ? 0 : errno);
  int status;
  OK(waitpid(pid, &status, 0));
  return WEXITSTATUS(status);
}
static void until_go(void) {
  ready();
  wait_go();
}

static void flock_(void) {
  int fd = lock_file();
  OK(flock(fd, LOCK_EX));
  until_go();
  SAME(try_flock(LOCK_SH), EWOULDBLOCK);
  OK(flock(fd, LOCK_UN));
  SAME(try_flock(LOCK_EX), 0);
}
static void flock_shared(void) {
  OK(flock(lock_file(), LOCK_SH));
  until_go();
  SAME(try_flock(LOCK_SH), 0);
  SAME(try_flock(LOCK_EX), EWOULDBLOCK);
}
static void record(void) {
  struct flock wanted = {.l_type = F_WRLCK};
  OK(fcntl(lock_file(), F_SETLK, &wanted));
  until_go();
  SAME(try_record(F_SETLK, F_RDLCK, 0, 1), EAGAIN);
}
static void record_part(void) {
  struct flock first = {.l_type = F_WRLCK, .l_start = 100, .l_len = 50},
               second = {.l_type = F_RDLCK, .l_start = 1000, .l_len = 10};
  int fd = lock_file();
  OK(fcntl(fd, F_SETLK, &first));
  OK(fcntl(fd, F_SETLK, &second));
  until_go();
  SAME(try_record(F_SETLK, F_WRLCK, 0, 100), 0);
  SAME(try_record(F_SETLK, F_RDLCK, 149, 1), EAGAIN);
  SAME(try_record(F_SETLK, F_RDLCK, 150, 900), 0);
  SAME(try_record(F_SETLK, F_WRLCK, 1005, 1), EAGAIN);
}
static void of_file(void) {
  struct flock wanted = {.l_type = F_WRLCK, .l_start = 10, .l_len = 10};
  OK(fcntl(lock_file(), F_OFD_SETLK, &wanted));
  until_go();
  SAME(try_record(F_OFD_SETLK, F_RDLCK, 15, 1), EAGAIN);
  SAME(try_record(F_OFD_SETLK, F_RDLCK, 20, 1), 0);
}

static int shared_fd;
static void unlocks(void* unused) {
  (void)unused;
  mark("child");
  wait_go();
  SAME(try_flock(LOCK_SH), EWOULDBLOCK);
  OK(flock(shared_fd, LOCK_UN));  // one open file: it unlocks for both
  SAME(try_flock(LOCK_EX), 0);
}
static void forked_flock(void) {
  OK(flock(shared_fd = lock_file(), LOCK_EX));
  pid_t pid = child(unlocks, NULL);
  await_mark("child");
  until_go();
  join_child(pid);
}

static const struct live_case cases[] = {{"flock", flock_},    {"flock_shared", flock_shared},
                                         {"record", record},   {"record_part", record_part},
                                         {"of_file", of_file}, {"forked_flock", forked_flock}};
RUN_CASES(cases)
