// Working directories: another one in parent and child, and one that was removed.
// live-cases: kept removed
#include "target.h"

static char wanted[4096];

static void compare(void) {
  char seen[4096];
  CHECK(getcwd(seen, sizeof seen), "getcwd: %s", strerror(errno));
  CHECK(strcmp(seen, wanted) == 0, "'%s' became '%s'", wanted, seen);
}

static void other(void* unused) {
  (void)unused;
  OK(chdir("/usr/lib"));
  CHECK(getcwd(wanted, sizeof wanted), "getcwd: %s", strerror(errno));
  mark("other");
  wait_go();
  compare();
}

static void kept(void) {
  const char* below = live_path("a directory\twith blanks");
  OK(mkdir(below, 0755));
  OK(chdir(below));
  CHECK(getcwd(wanted, sizeof wanted), "getcwd: %s", strerror(errno));
  close(OK(open("beside", O_CREAT | O_WRONLY, 0644)));
  pid_t pid = child(other, NULL);
  await_mark("other");
  ready();
  wait_go();
  compare();
  OK(access("beside", F_OK));
  join_child(pid);
}

static void removed(void) {
  const char* below = live_path("to be removed");
  OK(mkdir(below, 0755));
  OK(chdir(below));
  OK(rmdir(below));
  ready();
  wait_go();
  char seen[4096];
  CHECK(!getcwd(seen, sizeof seen) && errno == ENOENT, "getcwd finds a directory");
  CHECK(open("x", O_CREAT | O_WRONLY, 0644) == -1 && errno == ENOENT, "a file can be made: %s", strerror(errno));
  OK(chdir("/"));
}

static const struct live_case cases[] = {{"kept", kept}, {"removed", removed}};
RUN_CASES(cases)
