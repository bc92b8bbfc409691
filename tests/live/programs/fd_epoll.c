// epoll: what is watched, with which events and data; edges, one-shot entries, nesting, sharing, odd numbers.
// live-cases: level edge edge_pending oneshot_used oneshot_rearmed nested data many forked closed_number empty
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "target.h"

static int make_event(void) { return OK(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }
static void add(int epoll, int fd, uint32_t events, uint64_t data) {
  OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = events, .data.u64 = data}));
}
// Exactly one event, with these data; or none for data 0.
static void check_event(int epoll, uint64_t data) {
  struct epoll_event events[4];
  int count = OK(epoll_wait(epoll, events, 4, data ? 5000 : 20));
  SAME(count, data != 0);
  if (data) SAME(events[0].data.u64, data);
}
static void until_go(void) {
  ready();
  wait_go();
}

static void level(void) {
  int epoll = OK(epoll_create1(EPOLL_CLOEXEC)), quiet = make_event(), set = make_event();
  add(epoll, quiet, EPOLLIN, 1);
  add(epoll, set, EPOLLIN, 2);
  OK(eventfd_write(set, 1));
  until_go();
  check_event(epoll, 2);
  check_event(epoll, 2);
  eventfd_t value;
  OK(eventfd_read(set, &value));
  check_event(epoll, 0);
  OK(eventfd_write(quiet, 1));
  check_event(epoll, 1);
  SAME(fcntl(epoll, F_GETFD), FD_CLOEXEC);
}

static void edge(void) {
  int epoll = OK(epoll_create1(0)), fd = make_event();
  add(epoll, fd, EPOLLIN | EPOLLET, 3);
  OK(eventfd_write(fd, 1));
  check_event(epoll, 3);
  check_event(epoll, 0);
  until_go();
  struct epoll_event event;  // the old edge may come once more, which programs must expect, but not twice
  OK(epoll_wait(epoll, &event, 1, 0));
  check_event(epoll, 0);
  OK(eventfd_write(fd, 1));
  check_event(epoll, 3);
  check_event(epoll, 0);
}
static void edge_pending(void) {
  int epoll = OK(epoll_create1(0)), fd = make_event();
  add(epoll, fd, EPOLLIN | EPOLLET, 3);
  OK(eventfd_write(fd, 1));
  until_go();
  check_event(epoll, 3);  // never seen yet: must not be lost
  check_event(epoll, 0);
}

static void oneshot_used(void) {
  int epoll = OK(epoll_create1(0)), fd = make_event();
  add(epoll, fd, EPOLLIN | EPOLLONESHOT, 4);
  OK(eventfd_write(fd, 1));
  check_event(epoll, 4);
  until_go();
  check_event(epoll, 0);
  OK(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &(struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 5}));
  check_event(epoll, 5);
  check_event(epoll, 0);
}
static void oneshot_rearmed(void) {
  int epoll = OK(epoll_create1(0)), fd = make_event();
  add(epoll, fd, EPOLLIN | EPOLLONESHOT, 4);
  until_go();
  OK(eventfd_write(fd, 1));
  check_event(epoll, 4);
  check_event(epoll, 0);
}

static void nested(void) {
  int outer = OK(epoll_create1(0)), inner = OK(epoll_create1(0)), fd = make_event();
  add(inner, fd, EPOLLIN, 6);
  add(outer, inner, EPOLLIN, 7);
  until_go();
  check_event(outer, 0);
  OK(eventfd_write(fd, 1));
  check_event(outer, 7);
  check_event(inner, 6);
}

static void data(void) {
  int epoll = OK(epoll_create1(0)), fd = make_event(), both[2];
  OK(pipe2(both, O_CLOEXEC));
  add(epoll, fd, EPOLLIN | EPOLLRDHUP | EPOLLPRI, 0xfedcba9876543210);
  add(epoll, both[1], EPOLLOUT | EPOLLET, 0x1122334455667788);
  until_go();
  check_event(epoll, 0x1122334455667788);
  OK(eventfd_write(fd, 1));
  check_event(epoll, 0xfedcba9876543210);
}

static void many(void) {
  enum { kMany = 300 };
  int epoll = OK(epoll_create1(0)), fds[kMany];
  for (int i = 0; i < kMany; i++) add(epoll, fds[i] = make_event(), EPOLLIN, (uint64_t)i + 1);
  until_go();
  for (int i = 0; i < kMany; i += 7) {
    OK(eventfd_write(fds[i], 1));
    check_event(epoll, (uint64_t)i + 1);
    close(fds[i]);
  }
  check_event(epoll, 0);
}

static int shared_epoll, shared_event;
static void waits(void* unused) {
  (void)unused;
  mark("child");
  wait_go();
  check_event(shared_epoll, 9);
  mark("seen");
}
static void forked(void) {
  shared_epoll = OK(epoll_create1(0));
  add(shared_epoll, shared_event = make_event(), EPOLLIN, 8);
  pid_t pid = child(waits, NULL);
  await_mark("child");
  until_go();
  OK(epoll_ctl(shared_epoll, EPOLL_CTL_MOD, shared_event, &(struct epoll_event){.events = EPOLLIN, .data.u64 = 9}));
  OK(eventfd_write(shared_event, 1));
  join_child(pid);
}

// The number under which it was added is closed, or is another file by now; the file lives on under another number.
static void closed_number(void) {
  int epoll = OK(epoll_create1(0)), fd = make_event(), kept = OK(dup(fd));
  add(epoll, fd, EPOLLIN, 10);
  close(fd);
  int other = make_event();
  SAME(other, fd);
  add(epoll, other, EPOLLIN, 11);
  until_go();
  OK(eventfd_write(kept, 1));
  check_event(epoll, 10);
  eventfd_t value;
  OK(eventfd_read(kept, &value));
  OK(eventfd_write(other, 1));
  check_event(epoll, 11);
}

static void empty(void) {
  int epoll = OK(epoll_create1(EPOLL_CLOEXEC)), fd = make_event();
  until_go();
  check_event(epoll, 0);
  add(epoll, fd, EPOLLIN, 12);
  OK(eventfd_write(fd, 1));
  check_event(epoll, 12);
}

static const struct live_case cases[] = {{"level", level},
                                         {"edge", edge},
                                         {"edge_pending", edge_pending},
                                         {"oneshot_used", oneshot_used},
                                         {"oneshot_rearmed", oneshot_rearmed},
                                         {"nested", nested},
                                         {"data", data},
                                         {"many", many},
                                         {"forked", forked},
                                         {"closed_number", closed_number},
                                         {"empty", empty}};
RUN_CASES(cases)
