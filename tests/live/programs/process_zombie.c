// Zombies keep their pids and their exit statuses: one that exited, one killed by a signal, one with a child's time.
#include <sys/resource.h>

#include "target.h"

static void exits(void* unused) {
  (void)unused;
  _exit(42);
}
static void killed(void* unused) {
  (void)unused;
  raise(SIGKILL);
}

static void await_zombie(pid_t pid) {
  siginfo_t info;
  OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
}

int main(void) {
  pid_t first = child(exits, NULL), second = child(killed, NULL);
  await_zombie(first);
  await_zombie(second);
  ready();
  wait_go();
  siginfo_t info = {0};
  OK(waitid(P_PID, (id_t)first, &info, WEXITED | WNOHANG));
  SAME(info.si_pid, first);
  SAME(info.si_code, CLD_EXITED);
  SAME(info.si_status, 42);
  int status = 0;
  SAME(OK(waitpid(second, &status, WNOHANG)), second);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status 0x%x", status);
  CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "a child too many");
  pass();
}
