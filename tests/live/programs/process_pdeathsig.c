// The parent-death signal is kept and still works: it arrives when the parent ends after the restore.
#include "target.h"

static void grandchild(void* unused) {
  (void)unused;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  OK(sigprocmask(SIG_BLOCK, &set, NULL));
  OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
  mark("grandchild");
  wait_go();
  int seen = 0;
  OK(prctl(PR_GET_PDEATHSIG, &seen));
  SAME(seen, SIGUSR1);
  mark("may die");
  struct timespec limit = {10, 0};
  siginfo_t info;
  SAME(sigtimedwait(&set, &info, &limit), SIGUSR1);
}

static void parent(void* unused) {
  (void)unused;
  child(grandchild, NULL);
  wait_go();
  await_mark("may die");
}

int main(void) {
  OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
  pid_t pid = child(parent, NULL);
  await_mark("grandchild");
  ready();
  wait_go();
  join_child(pid);
  int status;
  OK(wait(&status));
  SAME(status, 0);
  pass();
}
