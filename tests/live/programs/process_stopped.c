// A stopped child stays stopped and makes no progress until SIGCONT; a stop not yet waited for can still be seen.
// live-cases: seen unseen
#include "target.h"

static void count(void* unused) {
  (void)unused;
  mark("counting");
  wait_go();
}

static void await_stopped(pid_t pid) {
  siginfo_t info = {0};
  OK(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT));
  SAME(info.si_code, CLD_STOPPED);
  SAME(info.si_status, SIGSTOP);
}

static char state_of(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  return proc_field(path, "State")[0];
}

static void stopped(bool take) {
  pid_t pid = child(count, NULL);
  await_mark("counting");
  OK(kill(pid, SIGSTOP));
  await_stopped(pid);
  int status;
  if (take) SAME(OK(waitpid(pid, &status, WUNTRACED)), pid);
  ready();
  wait_go();
  while (state_of(pid) == 't') pause_ms(1);  // it is let go a moment after us
  SAME(state_of(pid), 'T');
  pid_t got = OK(waitpid(pid, &status, WUNTRACED | WNOHANG));
  SAME(got, take ? 0 : pid);
  if (!take) CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "status 0x%x", status);
  OK(kill(pid, SIGCONT));
  join_child(pid);
}

static void seen(void) { stopped(true); }
static void unseen(void) { stopped(false); }

static const struct live_case cases[] = {{"seen", seen}, {"unseen", unseen}};
RUN_CASES(cases)
