// live-modes: plain refuse-user
// A watch whose path an ordinary user cannot find out: refused before anything is touched.
// live-cases: elsewhere
#include <poll.h>
#include <sys/inotify.h>

#include "target.h"

static void elsewhere(void) {
  char directory[] = "/var/tmp/live.inotify.XXXXXX", path[100], text[100];
  CHECK(mkdtemp(directory), "%s", strerror(errno));
  int fd = OK(inotify_init1(IN_CLOEXEC));
  OK(inotify_add_watch(fd, directory, IN_CREATE));
  snprintf(text, sizeof text, "%d\n%d\nwhose path cannot be told\n", getpid(), fd);
  live_publish("expect", text);
  ready();
  wait_go();
  snprintf(path, sizeof path, "%s/new", directory);
  OK(mkdir(path, 0700));
  struct pollfd asked = {fd, POLLIN, 0};
  SAME(OK(poll(&asked, 1, 1000)), 1);
  OK(rmdir(path));
  OK(rmdir(directory));
}

static const struct live_case cases[] = {{"elsewhere", elsewhere}};
RUN_CASES(cases)
