// The table of descriptors: numbers with gaps and near the limit, close-on-exec, devices, sharing between processes.
// live-cases: gaps near_limit cloexec null zero random full no_std same_as_parent clone_files many
#include <sys/resource.h>

#include "target.h"

static void until_go(void) {
  ready();
  wait_go();
}
static bool is_open(int fd) { return fcntl(fd, F_GETFD) != -1; }
static int null_at(int number) {
  int fd = OK(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (fd == number) return fd;
  OK(dup3(fd, number, O_CLOEXEC));
  close(fd);
  return number;
}

static void gaps(void) {
  static const int numbers[] = {5, 9, 10, 63, 64, 65, 255, 256, 700};
  for (int i = 0; i < 9; i++) null_at(numbers[i]);
  bool before[1024];
  for (int fd = 0; fd < 1024; fd++) before[fd] = is_open(fd);
  until_go();
  for (int fd = 0; fd < 1024; fd++) CHECK(is_open(fd) == before[fd], "descriptor %d", fd);
  SAME(open("/dev/null", O_RDONLY | O_CLOEXEC), 3);
}

static void near_limit(void) {
  struct rlimit limit;
  OK(getrlimit(RLIMIT_NOFILE, &limit));
  int last = null_at((int)limit.rlim_cur - 1);
  limit.rlim_cur = 100;  // now it lies above the limit
  OK(setrlimit(RLIMIT_NOFILE, &limit));
  until_go();
  CHECK(is_open(last), "descriptor %d is closed", last);
  OK(getrlimit(RLIMIT_NOFILE, &limit));
  SAME(limit.rlim_cur, 100);
  close(last);
}

static void cloexec(void) {
  int with = null_at(20), without = null_at(21);
  OK(fcntl(without, F_SETFD, 0));
  until_go();
  SAME(fcntl(with, F_GETFD), FD_CLOEXEC);
  SAME(fcntl(without, F_GETFD), 0);
}

static void device(const char* path, int flags, const char* read_as, int write_error) {
  int fd = OK(open(path, flags | O_CLOEXEC));
  char seen[16];
  until_go();
  SAME(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND), flags);
  ssize_t got = OK(read(fd, seen, sizeof seen));
  SAME(got, read_as ? 16 : 0);
  if (read_as && read_as[0]) check_zero(seen, sizeof seen, path);
  ssize_t put = write(fd, seen, 4);
  CHECK(write_error ? put == -1 && errno == write_error : put == 4, "write: %zd %s", put, strerror(errno));
}
static void null(void) { device("/dev/null", O_RDWR | O_APPEND, NULL, 0); }
static void zero(void) { device("/dev/zero", O_RDWR, "zero", 0); }
static void full(void) { device("/dev/full", O_RDWR, "zero", ENOSPC); }
static void random_(void) {
  int both = OK(open("/dev/random", O_RDONLY | O_CLOEXEC));
  (void)both;
  device("/dev/urandom", O_RDONLY | O_NONBLOCK, "", EBADF);
  char bytes[8];
  SAME(OK(read(both, bytes, 8)), 8);
}

static void no_std(void) {
  for (int fd = 0; fd < 3; fd++) close(fd);
  until_go();
  for (int fd = 0; fd < 3; fd++) CHECK(!is_open(fd), "descriptor %d is open", fd);
}

static int file;
static void other(void* unused) {
  (void)unused;
  int moved = OK(fcntl(file, F_DUPFD_CLOEXEC, 200));
  close(file);
  mark("other");
  wait_go();
  CHECK(!is_open(file), "descriptor %d is open", file);
  SAME(lseek(moved, 10, SEEK_CUR), 110);
}
static void same_as_parent(void) {
  file = OK(open(live_path("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  OK(lseek(file, 100, SEEK_SET));
  pid_t pid = child(other, NULL);
  await_mark("other");
  until_go();
  join_child(pid);
  SAME(lseek(file, 0, SEEK_CUR), 110);
  CHECK(!is_open(200), "the child's number is open here");
}

// Two processes with one table: what one opens, the other has.
static char stack[16 * kPage];
static int in_shared_table(void* unused) {
  (void)unused;
  mark("shared");
  while (!go()) pause_ms(2);
  null_at(300);
  return 0;
}
static void clone_files(void) {
  pid_t pid = OK(clone(in_shared_table, stack + sizeof stack - 64, CLONE_FILES | CLONE_FS | SIGCHLD, NULL));
  await_mark("shared");
  until_go();
  join_child(pid);
  CHECK(is_open(300), "what the other opened is not here");
}

static void many(void) {
  struct rlimit limit;
  OK(getrlimit(RLIMIT_NOFILE, &limit));
  int count = limit.rlim_cur < 900 ? (int)limit.rlim_cur : 900;
  int first = OK(open(live_path("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  for (int i = first + 1; i < count; i++) OK(open(live_path("file"), O_RDONLY | O_CLOEXEC));
  for (int i = first; i < count; i++) OK(lseek(i, i * 3, SEEK_SET));
  until_go();
  for (int i = first; i < count; i++) SAME(lseek(i, 0, SEEK_CUR), i * 3);
}

static const struct live_case cases[] = {{"gaps", gaps},
                                         {"near_limit", near_limit},
                                         {"cloexec", cloexec},
                                         {"null", null},
                                         {"zero", zero},
                                         {"random", random_},
                                         {"full", full},
                                         {"no_std", no_std},
                                         {"same_as_parent", same_as_parent},
                                         {"clone_files", clone_files},
                                         {"many", many}};
RUN_CASES(cases)
