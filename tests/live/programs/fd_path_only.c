// Descriptors that only name a file (O_PATH): FIFOs, sockets, devices.
// live-cases: fifo socket device used
#include <sys/socket.h>
#include <sys/un.h>

#include "target.h"

static void until_go(void) {
  ready();
  wait_go();
}
static int name(const char* path) { return OK(open(path, O_PATH | O_CLOEXEC)); }
static void check(int fd, mode_t type) {
  struct stat status;
  OK(fstat(fd, &status));
  SAME(status.st_mode & S_IFMT, type);
  SAME(fcntl(fd, F_GETFL) & O_PATH, O_PATH);
  SAME(fcntl(fd, F_GETFD), FD_CLOEXEC);
}
static void fifo(void) {
  OK(mkfifo(live_path("fifo"), 0600));
  int fd = name(live_path("fifo"));
  until_go();
  check(fd, S_IFIFO);
}
static void socket_file(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", live_path("socket"));
  int server = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
  OK(bind(server, (struct sockaddr*)&address, sizeof address));
  close(server);
  int fd = name(live_path("socket"));
  until_go();
  check(fd, S_IFSOCK);
}
static void device(void) {
  int fd = name("/dev/null");
  until_go();
  check(fd, S_IFCHR);
}
// It is good for opening what it names.
static void used(void) {
  int fd = name("/dev/zero");
  char path[64], byte = 1;
  until_go();
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int opened = OK(open(path, O_RDONLY));
  SAME(OK(read(opened, &byte, 1)), 1);
  SAME(byte, 0);
}

static const struct live_case cases[] = {{"fifo", fifo}, {"socket", socket_file}, {"device", device}, {"used", used}};
RUN_CASES(cases)
