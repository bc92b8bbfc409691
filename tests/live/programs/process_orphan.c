// A grandchild whose parent has ended belongs to the first process (a child subreaper), which can wait for it.
#include "target.h"

static void grandchild(void* first) {
  while (getppid() != (pid_t)(intptr_t)first) pause_ms(1);
  mark("orphan");
  wait_go();
  SAME(getppid(), (intptr_t)first);
  _exit(7);
}

static void middle(void* first) { child(grandchild, first); }

int main(void) {
  OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
  join_child(child(middle, (void*)(intptr_t)getpid()));
  await_mark("orphan");
  ready();
  wait_go();
  int status;
  OK(waitpid(-1, &status, 0));
  SAME(WEXITSTATUS(status), 7);
  int subreaper = 0;
  OK(prctl(PR_GET_CHILD_SUBREAPER, &subreaper));
  SAME(subreaper, 1);
  pass();
}
