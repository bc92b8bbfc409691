// POSIX message queues: messages with their priorities, attributes, names, several descriptors.
// live-cases: messages full one_way several removed same_name closed attributes registered waits in_poll
// In a shared namespace a queue that no process has open is not the unit's, and is not missed where it is restored.
// live-without: capsule.closed user-pid.closed pid-running.closed
#include <mqueue.h>
#include <poll.h>

#include "target.h"

static char name[64];
static char text[8192];
static mqd_t make(int flags, long most, long bytes) {
  snprintf(name, sizeof name, "/live-%d", getpid());
  struct mq_attr attributes = {.mq_maxmsg = most, .mq_msgsize = bytes};
  mqd_t queue = mq_open(name, O_CREAT | O_EXCL | flags, 0640, &attributes);
  if (queue < 0 && errno == ENOSYS) skip("no message queues here");
  char clean[80];
  snprintf(clean, sizeof clean, "mq_unlink %s\n", name);
  live_publish("cleanup", clean);
  return OK(queue);
}
static void put(mqd_t queue, const char* what, unsigned priority) { OK(mq_send(queue, what, strlen(what), priority)); }
static void get(mqd_t queue, const char* what, unsigned priority) {
  unsigned seen = 0;
  ssize_t got = OK(mq_receive(queue, text, sizeof text, &seen));
  SAME(got, strlen(what));
  CHECK(!memcmp(text, what, (size_t)got), "%.*s, not %s", (int)got, text, what);
  SAME(seen, priority);
}
static struct mq_attr state(mqd_t queue) {
  struct mq_attr attributes;
  OK(mq_getattr(queue, &attributes));
  return attributes;
}
static void until_go(void) {
  ready();
  wait_go();
}
static void finish(mqd_t queue) {
  SAME(state(queue).mq_curmsgs, 0);
  OK(mq_close(queue));
  OK(mq_unlink(name));
}

static void messages(void) {
  mqd_t queue = make(O_RDWR | O_CLOEXEC, 8, 1000);
  put(queue, "low", 1);
  put(queue, "high first", 9);
  put(queue, "high second", 9);
  put(queue, "", 31000);
  until_go();
  SAME(state(queue).mq_curmsgs, 4);
  put(queue, "new", 9);
  get(queue, "", 31000);
  get(queue, "high first", 9);
  get(queue, "high second", 9);
  get(queue, "new", 9);
  get(queue, "low", 1);
  finish(queue);
}
static void full(void) {
  mqd_t queue = make(O_RDWR | O_NONBLOCK, 10, 8192);
  char large[8192];
  for (unsigned i = 0; i < 10; i++) {
    fill(large, sizeof large, i);
    OK(mq_send(queue, large, sizeof large, i % 3));
  }
  until_go();
  SAME(mq_send(queue, large, 1, 0), -1);
  SAME(errno, EAGAIN);
  static const unsigned order[10] = {2, 5, 8, 1, 4, 7, 0, 3, 6, 9};
  for (int i = 0; i < 10; i++) {
    unsigned priority;
    SAME(OK(mq_receive(queue, text, sizeof text, &priority)), sizeof large);
    SAME(priority, order[i] % 3);
    check_filled(text, sizeof large, order[i], "message");
  }
  finish(queue);
}
static void one_way(void) {
  mqd_t writes = make(O_WRONLY, 5, 100), reads;
  put(writes, "one", 0);
  until_go();
  SAME(mq_receive(writes, text, sizeof text, NULL), -1);
  SAME(errno, EBADF);
  put(writes, "two", 0);
  reads = OK(mq_open(name, O_RDONLY));
  SAME(mq_send(reads, "x", 1, 0), -1);
  get(reads, "one", 0);
  get(reads, "two", 0);
  OK(mq_close(writes));
  finish(reads);
}
static mqd_t inherited;
static void child_of(void* unused) {
  (void)unused;
  mqd_t own = OK(mq_open(name, O_RDONLY | O_NONBLOCK));
  mark("child");
  wait_go();
  await_mark("put");
  get(own, "for the child", 4);
  SAME(state(inherited).mq_flags, 0);
  SAME(state(own).mq_flags, O_NONBLOCK);
}
static void several(void) {
  inherited = make(O_RDWR, 5, 100);
  mqd_t again = OK(dup(inherited)), other = OK(mq_open(name, O_WRONLY | O_NONBLOCK));
  pid_t pid = child(child_of, NULL);
  await_mark("child");
  until_go();
  put(other, "for the child", 4);
  mark("put");
  join_child(pid);
  struct mq_attr nonblock = {.mq_flags = O_NONBLOCK};
  OK(mq_setattr(again, &nonblock, NULL));
  SAME(state(inherited).mq_flags, O_NONBLOCK);
  OK(mq_close(again));
  OK(mq_close(other));
  finish(inherited);
}
static void removed(void) {
  mqd_t queue = make(O_RDWR, 5, 100), other = OK(mq_open(name, O_WRONLY));
  put(queue, "one", 0);
  OK(mq_unlink(name));
  until_go();
  SAME(mq_open(name, O_RDWR), -1);
  put(other, "two", 0);
  get(queue, "one", 0);
  get(queue, "two", 0);
}
static void same_name(void) {
  mqd_t old = make(O_RDWR, 5, 100);
  OK(mq_unlink(name));
  mqd_t new = make(O_RDWR, 5, 100);
  mqd_t second = OK(mq_open(name, O_RDWR));
  OK(mq_unlink(name));
  mqd_t newest = make(O_RDWR, 7, 100);
  put(old, "old", 0);
  put(new, "new", 0);
  put(newest, "newest", 0);
  until_go();
  get(old, "old", 0);
  get(second, "new", 0);
  get(newest, "newest", 0);
  SAME(state(newest).mq_maxmsg, 7);
  SAME(state(new).mq_curmsgs, 0);
  finish(newest);
}
static void closed(void) {
  mqd_t queue = make(O_RDWR, 5, 100);
  put(queue, "kept by its name", 3);
  OK(mq_close(queue));
  until_go();
  queue = OK(mq_open(name, O_RDWR));
  get(queue, "kept by its name", 3);
  finish(queue);
}
static void attributes_kept(void) {
  mqd_t queue = make(O_RDWR | O_NONBLOCK | O_CLOEXEC, 3, 77);
  OK(fchmod(queue, 0604));
  until_go();
  SAME(state(queue).mq_maxmsg, 3);
  SAME(state(queue).mq_msgsize, 77);
  SAME(state(queue).mq_flags, O_NONBLOCK);
  SAME(fcntl(queue, F_GETFD), FD_CLOEXEC);
  struct stat status;
  OK(fstat(queue, &status));
  SAME(status.st_mode & 0777, 0604);
  SAME(status.st_uid, geteuid());
  SAME(mq_send(queue, text, 78, 0), -1);
  finish(queue);
}
static void registered(void) {
  mqd_t queue = make(O_RDWR, 5, 100);
  OK(mq_notify(queue, &(struct sigevent){.sigev_notify = SIGEV_NONE}));
  until_go();
  SAME(mq_notify(queue, &(struct sigevent){.sigev_notify = SIGEV_NONE}), -1);
  SAME(errno, EBUSY);
  OK(mq_notify(queue, NULL));
  OK(mq_notify(queue, &(struct sigevent){.sigev_notify = SIGEV_NONE}));
  finish(queue);
}
static void waiting(void* unused) {
  (void)unused;
  get(inherited, "at last", 2);
}
static void waits(void) {
  inherited = make(O_RDWR, 5, 100);
  pid_t pid = child(waiting, NULL);
  await_asleep(pid);
  until_go();
  put(inherited, "at last", 2);
  join_child(pid);
  finish(inherited);
}
static void in_poll(void) {
  mqd_t queue = make(O_RDWR, 1, 100);
  until_go();
  struct pollfd asked = {queue, POLLIN | POLLOUT, 0};
  SAME(OK(poll(&asked, 1, 0)), 1);
  SAME(asked.revents, POLLOUT);
  put(queue, "x", 0);
  SAME(OK(poll(&asked, 1, 0)), 1);
  SAME(asked.revents, POLLIN);
  get(queue, "x", 0);
  finish(queue);
}

static const struct live_case cases[] = {
    {"messages", messages},     {"full", full},           {"one_way", one_way}, {"several", several},
    {"removed", removed},       {"same_name", same_name}, {"closed", closed},   {"attributes", attributes_kept},
    {"registered", registered}, {"waits", waits},         {"in_poll", in_poll}};
RUN_CASES(cases)
