// Open files of /proc: of single threads, of zombies, of processes that have ended since (reading says ESRCH).
// live-cases: threads zombie ended ended_read ended_directory ended_of_same_number
// An ordinary user may not choose process numbers.
// live-without: user.ended_of_same_number user-pid.ended_of_same_number
#include <dirent.h>

#include "target.h"

static void until_go(void) {
  ready();
  wait_go();
}
static int open_of(pid_t pid, const char* name, int flags) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  return OK(open(path, flags | O_CLOEXEC));
}
static void check_read(int fd, const char* wanted) {
  char text[100] = "";
  OK(pread(fd, text, sizeof text - 1, 0));
  CHECK(strcmp(text, wanted) == 0, "'%s', not '%s'", text, wanted);
}

static pid_t other_tid;
static pthread_barrier_t barrier;
static void* other(void* unused) {
  other_tid = tid();
  OK(prctl(PR_SET_NAME, "other"));
  pthread_barrier_wait(&barrier);
  wait_go();
  pthread_barrier_wait(&barrier);
  return unused;
}
static void threads(void) {
  pthread_barrier_init(&barrier, NULL, 2);
  pthread_t made = thread(other, NULL);
  pthread_barrier_wait(&barrier);
  char name[64];
  snprintf(name, sizeof name, "task/%d/comm", other_tid);
  int comm = open_of(getpid(), name, O_RDWR);
  snprintf(name, sizeof name, "task/%d", other_tid);
  int directory = open_of(getpid(), name, O_RDONLY | O_DIRECTORY);
  until_go();
  check_read(comm, "other\n");
  close(OK(openat(directory, "status", O_RDONLY)));
  SAME(OK(write(comm, "renamed", 7)), 7);
  check_read(comm, "renamed\n");
  pthread_barrier_wait(&barrier);
  pthread_join(made, NULL);
  while (syscall(SYS_tgkill, getpid(), other_tid, 0) == 0) pause_ms(1);  // joined is not quite gone
  char byte;
  SAME(pread(comm, &byte, 1, 0), -1);
  SAME(errno, ESRCH);
}

static void ends(void* unused) { (void)unused; }
static void await_end(pid_t pid) {
  siginfo_t info;
  OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
}
static void zombie(void) {
  pid_t pid = child(ends, NULL);
  await_end(pid);
  int stat = open_of(pid, "stat", O_RDONLY);
  until_go();
  char text[100] = "";
  OK(pread(stat, text, sizeof text - 1, 0));
  SAME(atoi(text), pid);
  SAME(strrchr(text, ')')[2], 'Z');
  join_child(pid);
}

static void check_ended(int fd) {
  char byte;
  SAME(pread(fd, &byte, 1, 0), -1);
  SAME(errno, ESRCH);
}
static void ended(void) {
  pid_t pid = child(ends, NULL);
  await_end(pid);
  int access = geteuid() == 0 ? O_RDWR : O_RDONLY;  // files of a dead process are root's
  int status = open_of(pid, "status", O_RDONLY), comm = open_of(pid, "comm", access);
  join_child(pid);
  until_go();
  check_ended(status);
  check_ended(comm);
  SAME(fcntl(comm, F_GETFL) & O_ACCMODE, access);
  SAME(kill(pid, 0), -1);
  SAME(wait(NULL), -1);
}
static void ended_read(void) {
  char text[20];
  pid_t pid = child(ends, NULL);
  await_end(pid);
  int status = open_of(pid, "status", O_RDONLY);
  SAME(OK(read(status, text, sizeof text)), sizeof text);
  join_child(pid);
  until_go();
  SAME(lseek(status, 0, SEEK_CUR), sizeof text);
  check_ended(status);
}
static void ended_directory(void) {
  pid_t pid = child(ends, NULL);
  await_end(pid);
  int top = open_of(pid, "", O_RDONLY | O_DIRECTORY), task = open_of(pid, "task", O_RDONLY | O_DIRECTORY);
  join_child(pid);
  until_go();
  for (int i = 0; i < 2; i++) {
    SAME(openat(i ? task : top, i ? "." : "status", O_RDONLY), -1);
    CHECK(errno == ESRCH || errno == ENOENT, "%s", strerror(errno));
  }
}

// The number was free again, and another process of the unit has it now.
static void waits(void* unused) {
  (void)unused;
  wait_go();
}
static void ended_of_same_number(void) {
  pid_t pid = child(ends, NULL);
  await_end(pid);
  int status = open_of(pid, "status", O_RDONLY);
  join_child(pid);
  int64_t again[11] = {[4] = SIGCHLD, [8] = (int64_t)(intptr_t)&pid, [9] = 1};  // struct clone_args: set_tid
  pid_t made = (pid_t)syscall(SYS_clone3, again, 80);
  if (made < 0) skip("no process may choose its number here");
  if (made == 0) {
    waits(NULL);
    _exit(0);
  }
  SAME(made, pid);
  until_go();
  check_ended(status);
  join_child(made);
}

static const struct live_case cases[] = {{"threads", threads},
                                         {"zombie", zombie},
                                         {"ended", ended},
                                         {"ended_read", ended_read},
                                         {"ended_directory", ended_directory},
                                         {"ended_of_same_number", ended_of_same_number}};
RUN_CASES(cases)
