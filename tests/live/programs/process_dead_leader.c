// A group whose leader has ended, and a session whose leader has ended: the ids outlive their processes.
// live-cases: group session
#include "target.h"

static pid_t leader_pid;
static bool session_case;

static void member(void* unused) {
  (void)unused;
  while (getppid() == leader_pid) pause_ms(1);  // the leader is dead and waited for
  mark("member");
  wait_go();
  SAME(getpgrp(), leader_pid);
  if (session_case) SAME(getsid(0), leader_pid);
  CHECK(kill(leader_pid, 0) == -1 && errno == ESRCH, "the leader %d lives", leader_pid);
  OK(kill(-leader_pid, 0));
}

static void leader(void* unused) {
  (void)unused;
  leader_pid = getpid();
  if (session_case) OK(setsid());
  if (!session_case) OK(setpgid(0, 0));
  child(member, NULL);
}

static void check(void) {
  OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
  join_child(child(leader, NULL));
  await_mark("member");
  ready();
  wait_go();
  int status;
  OK(wait(&status));
  SAME(status, 0);
}

static void group(void) { check(); }
static void session(void) {
  session_case = true;
  check();
}

static const struct live_case cases[] = {{"group", group}, {"session", session}};
RUN_CASES(cases)
