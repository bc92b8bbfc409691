// fanotify: groups with their flags, marks on files, directories, mounts and file systems, ignored ones.
// live-cases: directory file ignored mount file_system names shared empty
// Where an ordinary user may, only with names instead of descriptors, and only files and directories.
// live-without: user.directory user.file user.ignored user.mount user.file_system user.shared user.empty
// live-without: user-pid.directory user-pid.file user-pid.ignored user-pid.mount user-pid.file_system user-pid.shared
// live-without: user-pid.empty
#include <poll.h>
#include <sys/fanotify.h>

#include "target.h"

static int make(unsigned flags) {
  int fd = fanotify_init(flags | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_CLOEXEC);
  if (fd < 0) skip("no fanotify here");
  return fd;
}
static void add(int fd, unsigned flags, uint64_t mask, const char* path) {
  OK(fanotify_mark(fd, FAN_MARK_ADD | flags, mask, AT_FDCWD, path));
}
static void touch(const char* path) {
  int fd = OK(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  OK(write(fd, "x", 1));
  close(fd);
}
static char buffer[8192] __attribute__((aligned(8)));
static ssize_t have, at;
// The next event; NULL if there is none within this time.
static struct fanotify_event_metadata* next(int fd, int patience_ms) {
  if (at >= have) {
    struct pollfd asked = {fd, POLLIN, 0};
    if (OK(poll(&asked, 1, patience_ms)) == 0) return NULL;
    have = read(fd, buffer, sizeof buffer);
    at = 0;
    if (have <= 0) return NULL;
  }
  struct fanotify_event_metadata* event = (struct fanotify_event_metadata*)(buffer + at);
  at += event->event_len;
  return event;
}
// An event for this file, with all of the mask, comes; what others do on the machine is passed over.
static void await_event(int fd, uint64_t mask, const char* path) {
  struct stat wanted, seen;
  OK(stat(path, &wanted));
  for (;;) {
    struct fanotify_event_metadata* event = next(fd, 5000);
    CHECK(event, "no event 0x%llx for %s", (unsigned long long)mask, path);
    bool same = event->fd >= 0 && fstat(event->fd, &seen) == 0 && seen.st_ino == wanted.st_ino &&
                seen.st_dev == wanted.st_dev && (event->mask & mask) != 0;
    if (event->fd >= 0) close(event->fd);
    if (same) return;
  }
}
static void check_none(int fd) {
  struct fanotify_event_metadata* event = next(fd, 0);
  CHECK(!event, "an event: mask 0x%llx", (unsigned long long)event->mask);
}
static void until_go(void) {
  ready();
  wait_go();
}

static void directory(void) {
  OK(mkdir(live_path("dir"), 0700));
  int fd = make(FAN_CLASS_NOTIF);
  add(fd, 0, FAN_MODIFY | FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD, live_path("dir"));
  until_go();
  check_none(fd);
  touch(live_path("dir/new"));
  await_event(fd, FAN_MODIFY, live_path("dir/new"));
  SAME(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  SAME(fcntl(fd, F_GETFD), FD_CLOEXEC);
  OK(fanotify_mark(fd, FAN_MARK_REMOVE, FAN_MODIFY | FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD, AT_FDCWD, live_path("dir")));
}
static void file(void) {
  touch(live_path("file"));
  int fd = make(FAN_CLASS_CONTENT | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS);
  add(fd, 0, FAN_MODIFY, live_path("file"));
  until_go();
  check_none(fd);
  touch(live_path("file"));
  await_event(fd, FAN_MODIFY, live_path("file"));
}
static void ignored(void) {
  OK(mkdir(live_path("dir"), 0700));
  touch(live_path("dir/quiet"));
  touch(live_path("dir/loud"));
  int fd = make(FAN_CLASS_NOTIF);
  add(fd, 0, FAN_MODIFY | FAN_EVENT_ON_CHILD, live_path("dir"));
  add(fd, FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY, FAN_MODIFY, live_path("dir/quiet"));
  until_go();
  touch(live_path("dir/quiet"));
  touch(live_path("dir/quiet"));
  check_none(fd);
  touch(live_path("dir/loud"));
  await_event(fd, FAN_MODIFY, live_path("dir/loud"));
  check_none(fd);
}
static void of_all(unsigned type) {
  int fd = make(FAN_CLASS_NOTIF | FAN_UNLIMITED_QUEUE);
  add(fd, type, FAN_CLOSE_WRITE, live_path(""));
  until_go();
  touch(live_path("new"));
  await_event(fd, FAN_CLOSE_WRITE, live_path("new"));
}
static void mount(void) { of_all(FAN_MARK_MOUNT); }
static void file_system(void) { of_all(FAN_MARK_FILESYSTEM); }
static void names(void) {
  OK(mkdir(live_path("dir"), 0700));
  OK(chdir(live_path("dir")));
  int fd = make(FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME);
  add(fd, 0, FAN_CREATE | FAN_DELETE | FAN_ONDIR, live_path("dir"));
  until_go();
  check_none(fd);
  OK(mkdir("new", 0700));
  struct fanotify_event_metadata* event = next(fd, 5000);
  CHECK(event, "no event");
  SAME(event->fd, FAN_NOFD);
  SAME(event->mask, FAN_CREATE | FAN_ONDIR);
  struct fanotify_event_info_fid* info = (struct fanotify_event_info_fid*)(event + 1);
  SAME(info->hdr.info_type, FAN_EVENT_INFO_TYPE_DFID_NAME);
  struct file_handle* handle = (struct file_handle*)info->handle;
  CHECK(!strcmp((char*)handle->f_handle + handle->handle_bytes, "new"), "%s",
        (char*)handle->f_handle + handle->handle_bytes);
  OK(rmdir("new"));
}
static int shared;
static void waits(void* unused) {
  (void)unused;
  mark("child");
  wait_go();
  await_event(shared, FAN_MODIFY, live_path("dir/new"));
}
static void shared_by_two(void) {
  OK(mkdir(live_path("dir"), 0700));
  touch(live_path("dir/new"));
  shared = make(FAN_CLASS_NOTIF);
  add(shared, 0, FAN_MODIFY | FAN_EVENT_ON_CHILD, live_path("dir"));
  pid_t pid = child(waits, NULL);
  await_mark("child");
  until_go();
  touch(live_path("dir/new"));
  join_child(pid);
}
static void empty(void) {
  int fd = make(FAN_CLASS_NOTIF);
  until_go();
  check_none(fd);
  add(fd, 0, FAN_MODIFY, live_path(""));
}

static const struct live_case cases[] = {
    {"directory", directory},     {"file", file},   {"ignored", ignored},     {"mount", mount}, {"names", names},
    {"file_system", file_system}, {"empty", empty}, {"shared", shared_by_two}};
RUN_CASES(cases)
