// An ordinary user can neither read filters nor keep our system calls from them: refused. So is, for everybody, a
// filter that asks a supervisor.
// live-cases: strict filter notify
// live-modes: plain refuse refuse-user
// live-without: refuse.strict refuse.filter
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include "target.h"

static void expect(pid_t pid, const char* word) {
  char text[100];
  snprintf(text, sizeof text, "process %d\n%s\n", pid, word);
  live_publish("expect", text);
}
static int install(uint32_t action, unsigned flags) {
  struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                               BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sync, 0, 1), BPF_STMT(BPF_RET | BPF_K, action),
                               BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {sizeof code / sizeof code[0], code};
  OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  return (int)OK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

static void strict(void) {
  int go_pipe[2], up[2], status;
  char byte;
  OK(pipe(go_pipe));
  OK(pipe(up));
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
    syscall(SYS_exit, syscall(SYS_write, up[1], "x", 1) == 1 && syscall(SYS_read, go_pipe[0], &byte, 1) == 1 ? 0 : 1);
  }
  SAME(OK(read(up[0], &byte, 1)), 1);
  expect(pid, "seccomp strict mode");
  ready();
  wait_go();
  OK(write(go_pipe[1], "x", 1));
  OK(waitpid(pid, &status, 0));
  SAME(status, 0);
}

static void filter(void) {
  install(SECCOMP_RET_ERRNO | EXDEV, 0);
  expect(getpid(), "seccomp filter");
  ready();
  wait_go();
  SAME(syscall(SYS_sync), -1);
  SAME(errno, EXDEV);
}

static void notify(void) {
  int listener = install(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  expect(getpid(), geteuid() == 0 ? "supervisor" : "seccomp filter");
  ready();
  wait_go();
  close(listener);
  SAME(syscall(SYS_sync), -1);
  SAME(errno, ENOSYS);
}

static const struct live_case cases[] = {{"strict", strict}, {"filter", filter}, {"notify", notify}};
RUN_CASES(cases)
