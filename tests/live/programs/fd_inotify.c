// inotify: watches with numbers and masks; what happens after the restore is told, and nothing that did not happen.
// live-cases: directory file numbers masks events_lost open_deleted working_directory shared in_epoll many empty
// live-cases: outside
// An ordinary user finds only what is open, or in or below a working directory.
// live-without: user.outside user-pid.outside
// What the program removes cannot be watched again.
// live-without: pid-running.outside
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#include "target.h"

static int make(void) { return OK(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)); }
static void touch(const char* path) { close(OK(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600))); }
// The next event is this one.
static void get(int fd, int number, uint32_t mask, const char* name) {
  union {
    struct inotify_event event;
    char bytes[sizeof(struct inotify_event) + 256];
  } buffer;
  static char rest[8192];
  static ssize_t have, at;
  if (at >= have) {
    struct pollfd asked = {fd, POLLIN, 0};
    SAME(OK(poll(&asked, 1, 5000)), 1);
    have = OK(read(fd, rest, sizeof rest));
    at = 0;
  }
  memcpy(&buffer, rest + at, sizeof buffer.event);
  memcpy(&buffer, rest + at, sizeof buffer.event + buffer.event.len);
  at += (ssize_t)(sizeof buffer.event + buffer.event.len);
  SAME(buffer.event.wd, number);
  SAME(buffer.event.mask, mask);
  if (name) CHECK(!strcmp(buffer.event.name, name), "%s", buffer.event.name);
}
static void check_empty(int fd) {
  char bytes[4096];
  ssize_t got = read(fd, bytes, sizeof bytes);
  struct inotify_event* event = (struct inotify_event*)bytes;
  CHECK(got == -1 && errno == EAGAIN, "an event: watch %d, mask 0x%x", event->wd, event->mask);
}
static void until_go(void) {
  ready();
  wait_go();
}

static void directory(void) {
  OK(mkdir(live_path("dir"), 0700));
  int fd = make(), number = OK(inotify_add_watch(fd, live_path("dir"), IN_CREATE | IN_DELETE));
  until_go();
  check_empty(fd);
  touch(live_path("dir/new"));
  get(fd, number, IN_CREATE, "new");
  OK(unlink(live_path("dir/new")));
  get(fd, number, IN_DELETE, "new");
  OK(inotify_rm_watch(fd, number));
  get(fd, number, IN_IGNORED, NULL);
  SAME(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  SAME(fcntl(fd, F_GETFD), FD_CLOEXEC);
}
static void file(void) {
  int open_one = OK(open(live_path("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  int fd = make(), number = OK(inotify_add_watch(fd, live_path("file"), IN_MODIFY));
  until_go();
  check_empty(fd);
  SAME(OK(write(open_one, "x", 1)), 1);
  get(fd, number, IN_MODIFY, NULL);
}
// Some have been removed; the next one goes on counting.
static void numbers(void) {
  int fd = make(), wanted[3];
  char name[20], *names[3] = {"a", "b", "c"};
  for (int i = 0; i < 40; i++) {
    snprintf(name, sizeof name, "dir%d", i);
    OK(mkdir(live_path(name), 0700));
    int removed = OK(inotify_add_watch(fd, live_path(name), IN_CREATE));
    OK(inotify_rm_watch(fd, removed));
    if (i % 15 == 3) wanted[i / 15] = OK(inotify_add_watch(fd, live_path(name), IN_CREATE));
  }
  OK(mkdir(live_path("more"), 0700));
  char events[8192];
  while (read(fd, events, sizeof events) > 0) continue;
  until_go();
  check_empty(fd);
  for (int i = 0; i < 3; i++) {
    snprintf(name, sizeof name, "dir%d/%s", i * 15 + 3, names[i]);
    touch(live_path(name));
    get(fd, wanted[i], IN_CREATE, names[i]);
  }
  CHECK(inotify_add_watch(fd, live_path("more"), IN_CREATE) > wanted[2], "a number for the second time");
}
static void masks(void) {
  OK(mkdir(live_path("a"), 0700));
  OK(mkdir(live_path("b"), 0700));
  int fd = make();
  int once = OK(inotify_add_watch(fd, live_path("a"), IN_CREATE | IN_ONESHOT));
  int more = OK(inotify_add_watch(fd, live_path("b"), IN_CREATE | IN_DELETE_SELF | IN_MOVED_FROM | IN_ONLYDIR));
  until_go();
  touch(live_path("a/x"));
  get(fd, once, IN_CREATE, "x");
  get(fd, once, IN_IGNORED, NULL);
  rmdir(live_path("b/sub"));  // of the original that was left running
  OK(mkdir(live_path("b/sub"), 0700));
  get(fd, more, IN_CREATE | IN_ISDIR, "sub");
  touch(live_path("a/y"));
  check_empty(fd);
}
// What waited cannot be made again; the program is told to look for itself.
static void events_lost(void) {
  OK(mkdir(live_path("dir"), 0700));
  int fd = make(), number = OK(inotify_add_watch(fd, live_path("dir"), IN_CREATE));
  touch(live_path("dir/before"));
  until_go();
  struct pollfd asked = {fd, POLLIN, 0};
  SAME(OK(poll(&asked, 1, 1000)), 1);
  union {
    struct inotify_event event;
    char bytes[4096];
  } buffer;
  SAME(OK(read(fd, &buffer, sizeof buffer)) >= (ssize_t)sizeof buffer.event, 1);
  bool there = buffer.event.wd == number && buffer.event.mask == IN_CREATE;  // never was away
  CHECK(there || buffer.event.mask == IN_Q_OVERFLOW, "watch %d, mask 0x%x", buffer.event.wd, buffer.event.mask);
  check_empty(fd);
  touch(live_path("dir/after"));
  get(fd, number, IN_CREATE, "after");
}
static void open_deleted(void) {
  int open_one = OK(open(live_path("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  int fd = make(), number = OK(inotify_add_watch(fd, live_path("file"), IN_MODIFY));
  OK(unlink(live_path("file")));
  until_go();
  check_empty(fd);
  SAME(OK(write(open_one, "x", 1)), 1);
  get(fd, number, IN_MODIFY, NULL);
}
static void working_directory(void) {
  OK(mkdir(live_path("work"), 0700));
  OK(chdir(live_path("work")));
  OK(mkdir("deep", 0700));
  OK(mkdir("deep/deeper", 0700));
  int fd = make();
  int here = OK(inotify_add_watch(fd, ".", IN_CREATE)), deep = OK(inotify_add_watch(fd, "deep/deeper", IN_CREATE));
  until_go();
  touch("one");
  get(fd, here, IN_CREATE, "one");
  touch("deep/deeper/two");
  get(fd, deep, IN_CREATE, "two");
}
static int shared, shared_number;
static void waits(void* unused) {
  (void)unused;
  mark("child");
  wait_go();
  get(shared, shared_number, IN_CREATE, "new");
}
static void shared_by_two(void) {
  OK(mkdir(live_path("dir"), 0700));
  shared = make();
  shared_number = OK(inotify_add_watch(shared, live_path("dir"), IN_CREATE));
  pid_t pid = child(waits, NULL);
  await_mark("child");
  until_go();
  touch(live_path("dir/new"));
  join_child(pid);
  check_empty(shared);
}
static void in_epoll(void) {
  OK(mkdir(live_path("dir"), 0700));
  int fd = make(), epoll = OK(epoll_create1(0));
  OK(inotify_add_watch(fd, live_path("dir"), IN_CREATE));
  OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){EPOLLIN, {.u32 = 9}}));
  until_go();
  struct epoll_event event;
  SAME(OK(epoll_wait(epoll, &event, 1, 10)), 0);
  touch(live_path("dir/new"));
  SAME(OK(epoll_wait(epoll, &event, 1, 1000)), 1);
}
static void many(void) {
  enum { kMany = 300 };
  int fd = make(), wanted[kMany];
  char name[30];
  for (int i = 0; i < kMany; i++) {
    snprintf(name, sizeof name, "dir%d", i);
    OK(mkdir(live_path(name), 0700));
    wanted[i] = OK(inotify_add_watch(fd, live_path(name), IN_CREATE));
  }
  until_go();
  for (int i = 0; i < kMany; i += 7) {
    snprintf(name, sizeof name, "dir%d/x", i);
    touch(live_path(name));
    get(fd, wanted[i], IN_CREATE, "x");
  }
}
static void empty(void) {
  int fd = make();
  until_go();
  check_empty(fd);
  OK(inotify_add_watch(fd, live_path(""), IN_CREATE));
}
static void outside(void) {
  char directory[] = "/var/tmp/live.inotify.XXXXXX", path[100];
  CHECK(mkdtemp(directory), "%s", strerror(errno));
  int fd = make(), number = OK(inotify_add_watch(fd, directory, IN_CREATE));
  until_go();
  snprintf(path, sizeof path, "%s/new", directory);
  touch(path);
  get(fd, number, IN_CREATE, "new");
  OK(unlink(path));
  OK(rmdir(directory));
}

static const struct live_case cases[] = {{"directory", directory},
                                         {"file", file},
                                         {"numbers", numbers},
                                         {"masks", masks},
                                         {"events_lost", events_lost},
                                         {"open_deleted", open_deleted},
                                         {"working_directory", working_directory},
                                         {"shared", shared_by_two},
                                         {"in_epoll", in_epoll},
                                         {"many", many},
                                         {"empty", empty},
                                         {"outside", outside}};
RUN_CASES(cases)
