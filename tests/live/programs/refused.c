// live-modes: plain refuse refuse-user
// What cannot be saved is found before anything is touched: the checkpoint fails, its error names the process and the
// descriptor (the program says with expect() what must be in the text), and the program goes on unharmed.
// live-cases: io_uring perf_event userfaultfd traced by_child net_namespace
// live-cases: memory_past_parent crossed_files files_outside vfork_child
// live-cases: mq_notify fanotify_decides dispatch
// As root only.
// live-without: refuse-user.fanotify_decides
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

#include "target.h"

static void expect(pid_t pid, int fd, const char* word) {
  char text[200];
  int length = snprintf(text, sizeof text, "%d\n", pid);
  if (fd >= 0) length += snprintf(text + length, sizeof text - (size_t)length, "%d\n", fd);
  snprintf(text + length, sizeof text - (size_t)length, "%s\n", word);
  live_publish("expect", text);
}
static void until_go(void) {
  ready();
  wait_go();
}

static void io_uring(void) {
  struct io_uring_params parameters = {0};
  int fd = (int)syscall(SYS_io_uring_setup, 4, &parameters);
  if (fd < 0) skip("no io_uring here");
  expect(getpid(), fd, "io_uring");
  until_go();
  SAME(syscall(SYS_io_uring_enter, fd, 0, 0, 0, NULL, 0), 0);
}

static int open_perf_event(void) {
  struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event, .config = PERF_COUNT_SW_TASK_CLOCK};
  event.exclude_kernel = 1;
  return (int)syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
}
static void perf_event(void) {
  int fd = open_perf_event();
  if (fd < 0) skip("no perf events here");
  expect(getpid(), fd, "perf");
  until_go();
  uint64_t count;
  SAME(OK(read(fd, &count, 8)), 8);
}

static void userfaultfd(void) {
  int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
  if (fd < 0) skip("no userfaultfd here");
  expect(getpid(), fd, "userfaultfd");
  until_go();
  SAME(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void is_traced(void* unused) {
  (void)unused;
  OK(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
  raise(SIGSTOP);
}
static void traced(void) {
  int status;
  pid_t pid = child(is_traced, NULL);
  OK(waitpid(pid, &status, 0));
  CHECK(WIFSTOPPED(status), "status 0x%x", status);
  expect(pid, -1, "traced");
  until_go();
  OK(ptrace(PTRACE_CONT, pid, NULL, NULL));
  join_child(pid);
}

// The thing is deep in the tree: nothing of the rest may have been touched either.
static void holds_event(void* unused) {
  (void)unused;
  int fd = open_perf_event();
  if (fd < 0) _exit(1);
  expect(getpid(), fd, "perf");
  wait_go();
}
static void by_child(void) {
  int fd = open_perf_event();
  if (fd < 0) skip("no perf events here");
  close(fd);
  pid_t pid = child(holds_event, NULL);
  while (access(live_path("expect"), F_OK) != 0) pause_ms(1);
  until_go();
  join_child(pid);
}

static void net_namespace(void) {
  if (unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) != 0) skip("no network namespace here");
  OK(prctl(PR_SET_DUMPABLE, 1));
  expect(getpid(), -1, "net");
  until_go();
}

enum { kStackBytes = 16384 };
static char stacks[4][kStackBytes] __attribute__((aligned(16)));
static pid_t clone_on(int number, int (*function)(void*), int flags) {
  return OK(clone(function, stacks[number] + kStackBytes, flags, NULL));
}
static volatile pid_t* made;  // seen by all
static void begin(void) {
  made = mmap(NULL, 4 * sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(made != MAP_FAILED, "mmap");
}
static int waits(void* unused) {
  for (;;) pause();
  return unused != NULL;
}
static void kill_made(void) {
  for (int i = 3; i >= 0; i--)
    if (made[i] != 0) OK(kill(made[i], SIGKILL));
  while (waitpid(-1, NULL, 0) > 0) {
  }
}

// Memory that grandparent and grandchild share, while the one between has run another program. Who made it is not let
// go on before that.
static int makes_and_runs(void* unused) {
  made[1] = clone_on(1, waits, CLONE_VM | SIGCHLD);
  execl("/bin/sleep", "sleep", "60", NULL);
  return unused == NULL;
}
static void memory_past_parent(void) {
  begin();
  made[0] = clone_on(0, makes_and_runs, CLONE_VM | CLONE_VFORK | SIGCHLD);
  expect(made[0], -1, "share their memory, but not it");
  until_go();
  kill_made();
}

// Two tables that wander past one process: one from above to its first child, the other from its second child to its
// brother.
static int hands_on(void* unused) {
  made[1] = clone_on(1, waits, CLONE_FILES | SIGCHLD);
  OK(unshare(CLONE_FILES));
  made[2] = clone_on(2, waits, CLONE_FILES | SIGCHLD);
  made[3] = clone_on(3, waits, CLONE_FILES | CLONE_PARENT);
  OK(unshare(CLONE_FILES));
  live_publish("pids", "made");
  return waits(unused);
}
static void crossed_files(void) {
  begin();
  made[0] = clone_on(0, hands_on, CLONE_FILES | SIGCHLD);
  while (access(live_path("pids"), F_OK) != 0) pause_ms(1);
  expect(made[0], -1, "two different descriptors");
  until_go();
  kill_made();
}

// What this process shares with an orphan of its own, which is not below it any more.
static int has_orphan(void* unused) {
  made[0] = clone_on(1, waits, CLONE_FILES | SIGCHLD);
  return unused != NULL;
}
static void files_outside(void) {
  begin();
  const pid_t parent = clone_on(0, has_orphan, CLONE_FILES | SIGCHLD);
  SAME(OK(waitpid(parent, NULL, 0)), parent);
  expect(made[0], -1, "descriptors (CLONE_FILES)");
  until_go();
  kill_made();
}

static volatile pid_t vforked;
static int waits_as_vfork(void* unused) {
  vforked = getpid();
  return waits(unused);
}
static void* has_vfork_child(void* unused) {
  clone_on(0, waits_as_vfork, CLONE_VM | CLONE_VFORK | SIGCHLD);
  return unused;
}
static void vfork_child(void) {
  pthread_t other = thread(has_vfork_child, NULL);
  while (!vforked) pause_ms(1);
  expect(getpid(), -1, "vfork");
  live_publish("once", "");  // another attempt would help nothing
  until_go();
  OK(kill(vforked, SIGKILL));
  pthread_join(other, NULL);
  OK(waitpid(vforked, NULL, 0));
}

static void mq_notify_signal(void) {
  char name[40];
  snprintf(name, sizeof name, "/live-refused-%d", getpid());
  mqd_t queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL);
  if (queue < 0) skip("no message queues here");
  OK(mq_unlink(name));
  OK(mq_notify(queue, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGURG}));
  expect(getpid(), queue, "mq_notify");
  until_go();
  OK(mq_notify(queue, NULL));
}

static void fanotify_decides(void) {
  int fd = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY);
  if (fd < 0) skip("no fanotify here");
  OK(mkdir(live_path("dir"), 0700));
  if (fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, live_path("dir")) != 0)
    skip("no permission events here");
  expect(getpid(), fd, "permission events");
  until_go();
  SAME(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

// While the selector says so, every system call is a signal.
static volatile char selector;
static void dispatch(void) {
  enum { kDispatch = 59, kOn = 1, kAllow = 0 };
  selector = kAllow;
  if (prctl(kDispatch, kOn, 0, 0, &selector) != 0) skip("no system call dispatch here");
  expect(getpid(), -1, "DISPATCH");
  until_go();
  OK(prctl(kDispatch, 0, 0, 0, 0));
}

static const struct live_case cases[] = {{"io_uring", io_uring},
                                         {"perf_event", perf_event},
                                         {"userfaultfd", userfaultfd},
                                         {"traced", traced},
                                         {"by_child", by_child},
                                         {"net_namespace", net_namespace},
                                         {"memory_past_parent", memory_past_parent},
                                         {"crossed_files", crossed_files},
                                         {"files_outside", files_outside},
                                         {"vfork_child", vfork_child},
                                         {"mq_notify", mq_notify_signal},
                                         {"fanotify_decides", fanotify_decides},
                                         {"dispatch", dispatch}};
RUN_CASES(cases)
