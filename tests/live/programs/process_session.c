// Sessions and groups inside the tree: a session leader with members, one of them in a group of its own.
#include "target.h"

static void member(void* argument) {
  pid_t wanted_group = argument ? getpid() : getppid(), leader = getppid();
  if (argument) OK(setpgid(0, 0));
  mark(argument ? "own" : "with");
  wait_go();
  SAME(getsid(0), leader);
  SAME(getpgrp(), wanted_group);
}

static void leader(void* unused) {
  (void)unused;
  SAME(OK(setsid()), getpid());
  pid_t with = child(member, NULL), own = child(member, (void*)1);
  await_mark("with");
  await_mark("own");
  mark("leader");
  wait_go();
  SAME(getsid(0), getpid());
  SAME(getpgrp(), getpid());
  SAME(getpgid(own), own);
  SAME(getpgid(with), getpid());
  join_child(with);
  join_child(own);
}

int main(void) {
  pid_t session = getsid(0), pid = child(leader, NULL);
  await_mark("leader");
  ready();
  wait_go();
  SAME(getsid(0), session);
  SAME(getsid(pid), pid);
  join_child(pid);
  pass();
}
