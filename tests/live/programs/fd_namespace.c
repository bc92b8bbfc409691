// Descriptors of the program's own namespaces.
// live-cases: all enter
#include <dirent.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>

#include "target.h"

static void until_go(void) {
  ready();
  wait_go();
}
static void all(void) {
  static const char* names[] = {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts", "time", "time_for_children"};
  enum { kMany = sizeof names / sizeof names[0] };
  int fds[kMany], types[kMany];
  char path[64];
  for (int i = 0; i < kMany; i++) {
    snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
    fds[i] = OK(open(path, O_RDONLY | O_CLOEXEC));
    types[i] = OK(ioctl(fds[i], NS_GET_NSTYPE));
  }
  until_go();
  for (int i = 0; i < kMany; i++) {
    struct stat held, own;
    snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
    OK(stat(path, &own));
    OK(fstat(fds[i], &held));
    CHECK(held.st_ino == own.st_ino, "%s is %lu, not %lu", names[i], (unsigned long)held.st_ino,
          (unsigned long)own.st_ino);
    SAME(OK(ioctl(fds[i], NS_GET_NSTYPE)), types[i]);
    SAME(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
  }
}
static void enter(void) {
  int fd = OK(open("/proc/self/ns/uts", O_RDONLY)), again = OK(dup(fd));
  bool may = setns(fd, CLONE_NEWUTS) == 0;
  until_go();
  CHECK(setns(again, CLONE_NEWUTS) == 0 || !may, "%s", strerror(errno));
  SAME(setns(fd, CLONE_NEWIPC), -1);
  SAME(errno, EINVAL);
}

static const struct live_case cases[] = {{"all", all}, {"enter", enter}};
RUN_CASES(cases)
