// What a process has set that few programs set: core dump filter, login user, merging of memory, a time slice of its
// own, a deadline.
// In the user namespace of an ordinary user's capsule no login user has a number.
// live-without: user.login_uid user-pid.login_uid
// Deadlines are for root.
// live-without: user.deadline user-pid.deadline
// live-cases: coredump_filter login_uid memory_merge time_slice deadline
#include "target.h"

// struct sched_attr; glibc has none.
struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

static bool set_file(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  bool done = fd >= 0 && write(fd, text, strlen(text)) > 0;
  if (fd >= 0) close(fd);
  return done;
}
static void check_file(const char* path, const char* wanted) {
  char* text = slurp(path, NULL);
  CHECK(strncmp(text, wanted, strlen(wanted)) == 0, "%s is %s", path, text);
  free(text);
}
static void until_go(void) {
  ready();
  wait_go();
}

static void coredump_filter(void) {
  if (!set_file("/proc/self/coredump_filter", "0x7f")) skip("no core dump filter here");
  until_go();
  check_file("/proc/self/coredump_filter", "0000007f");
}
static void* compares(void* unused) {
  check_file("/proc/thread-self/loginuid", "1234");
  return unused;
}
static void login_uid(void) {
  if (!set_file("/proc/self/loginuid", "1234")) skip("may not set it here");
  until_go();
  check_file("/proc/self/loginuid", "1234");
  pthread_join(thread(compares, NULL), NULL);
}
static void memory_merge(void) {
  enum { kSet = 67, kGet = 68 };
  if (prctl(kSet, 1, 0, 0, 0) != 0) skip("may not merge memory here");
  until_go();
  SAME(prctl(kGet, 0, 0, 0, 0), 1);
}
static struct attributes get(void) {
  struct attributes seen = {0};
  OK(syscall(SYS_sched_getattr, 0, &seen, sizeof seen, 0));
  return seen;
}
static void time_slice(void) {
  struct attributes wanted = {.size = sizeof wanted, .nice = get().nice, .runtime = 7000000};
  OK(syscall(SYS_sched_setattr, 0, &wanted, 0));
  if (get().runtime != wanted.runtime) skip("no time slices of their own here");
  until_go();
  SAME(get().runtime, wanted.runtime);
  SAME(get().nice, wanted.nice);
}
static void deadline(void) {
  struct attributes wanted = {
      .size = sizeof wanted, .policy = 6, .runtime = 1000000, .deadline = 20000000, .period = 30000000};
  if (syscall(SYS_sched_setattr, 0, &wanted, 0) != 0) skip("may not have a deadline here");
  until_go();
  SAME(get().policy, wanted.policy);
  SAME(get().runtime, wanted.runtime);
  SAME(get().deadline, wanted.deadline);
  SAME(get().period, wanted.period);
}

static const struct live_case cases[] = {{"coredump_filter", coredump_filter},
                                         {"login_uid", login_uid},
                                         {"memory_merge", memory_merge},
                                         {"time_slice", time_slice},
                                         {"deadline", deadline}};
RUN_CASES(cases)
