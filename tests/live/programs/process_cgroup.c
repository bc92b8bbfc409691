// live-modes: plain pid pid-running
// Control groups, version 1 and 2, of a process and its child: a restore in place puts them back where they were.
// live-cases: version_2 version_1
// live-needs: version_1 test -e /sys/fs/cgroup/freezer/cgroup.procs
// live-needs: version_2 test -e /sys/fs/cgroup/unified/cgroup.procs -o -e /sys/fs/cgroup/cgroup.subtree_control
#include "target.h"

static char groups[4096];  // /proc/PID/cgroup, as it was
static char base[200];

static void read_groups(char* text, size_t bytes) {
  int fd = OK(open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC));
  ssize_t length = OK(read(fd, text, bytes - 1));
  text[length] = 0;
  close(fd);
}

static void join(const char* group) {
  char path[300];
  snprintf(path, sizeof path, "%s/cgroup.procs", group);
  int fd = OK(open(path, O_WRONLY | O_CLOEXEC));
  OK(dprintf(fd, "%d", getpid()));
  close(fd);
}

static void compare(void) {
  char now[4096];
  read_groups(now, sizeof now);
  CHECK(strcmp(now, groups) == 0, "'%s' became '%s'", groups, now);
}

static void below(void* unused) {
  (void)unused;
  char group[300];
  snprintf(group, sizeof group, "%s/child", base);
  join(group);
  read_groups(groups, sizeof groups);
  CHECK(strstr(groups, "/child"), "%s", groups);
  mark("below");
  wait_go();
  compare();
}

static void in_groups_of(const char* hierarchy) {
  char text[600];
  snprintf(base, sizeof base, "%s/live-%d", hierarchy, getpid());
  snprintf(text, sizeof text, "%s/child", base);
  if (mkdir(base, 0755) != 0) skip("no groups can be made here");
  OK(mkdir(text, 0755));
  snprintf(text, sizeof text, "rmdir %s/child %s\n", base, base);
  live_publish("cleanup", text);
  join(base);
  read_groups(groups, sizeof groups);
  pid_t pid = child(below, NULL);
  await_mark("below");
  ready();
  wait_go();
  compare();
  join_child(pid);
  join(hierarchy);  // so that the group can be removed
}

static void version_2(void) {
  in_groups_of(access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0 ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup");
}
static void version_1(void) { in_groups_of("/sys/fs/cgroup/freezer"); }

static const struct live_case cases[] = {{"version_2", version_2}, {"version_1", version_1}};
RUN_CASES(cases)
