// live-modes: plain user
// Only there is the orphan part of the job: with --pid it has left the tree that is saved.
// A grandchild whose parent has ended belongs to init; it goes on and its parent is still init afterwards.
#include "target.h"

static void grandchild(void* middle_pid) {
  while (getppid() == *(pid_t*)middle_pid) pause_ms(1);
  pid_t init = getppid(), self = getpid();
  mark("orphan");
  wait_go();
  SAME(getppid(), init);
  SAME(getpid(), self);
  mark("orphan.done");
}

static void middle(void* unused) {
  (void)unused;
  pid_t self = getpid();
  child(grandchild, &self);
}

int main(void) {
  join_child(child(middle, NULL));
  await_mark("orphan");
  ready();
  wait_go();
  await_mark("orphan.done");
  pass();
}
