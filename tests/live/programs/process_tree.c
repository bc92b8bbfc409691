// A tree of processes: each keeps its pid, its parent, group and session, and the parent can wait for it.
#include "target.h"

enum { kDepth = 3, kWidth = 2 };

static void node(void* argument);

static void subtree(int depth) {
  pid_t self = getpid(), parent = getppid(), group = getpgrp(), session = getsid(0);
  pid_t children[kWidth];
  for (int i = 0; depth > 0 && i < kWidth; i++) children[i] = child(node, (void*)(intptr_t)(depth - 1));
  char name[32];
  snprintf(name, sizeof name, "node.%d", self);
  mark(name);
  for (int i = 0; depth > 0 && i < kWidth; i++) {
    snprintf(name, sizeof name, "node.%d", children[i]);
    await_mark(name);
  }
  if (depth == kDepth) ready();
  wait_go();
  SAME(getpid(), self);
  SAME(syscall(SYS_gettid), self);
  if (depth != kDepth) SAME(getppid(), parent);
  SAME(getpgrp(), group);
  SAME(getsid(0), session);
  for (int i = 0; depth > 0 && i < kWidth; i++) join_child(children[i]);
}

static void node(void* argument) { subtree((int)(intptr_t)argument); }

int main(void) {
  subtree(kDepth);
  CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "a child too many");
  pass();
}
