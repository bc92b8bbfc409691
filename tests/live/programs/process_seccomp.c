// Seccomp: strict mode; filters, several on one another, of single threads, of all threads at once, inherited; with and
// without no_new_privs and the capability that they need. What they forbid stays forbidden, and nothing else is.
// live-cases: strict filters threads tsync inherited unprivileged log
// live-modes: plain pid pid-running capsule
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "target.h"

static void install(int number, uint32_t action, unsigned flags) {
  struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                               BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
                               BPF_STMT(BPF_RET | BPF_K, action), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {sizeof code / sizeof code[0], code};
  SAME(OK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program)), 0);
}
static void forbid(int number, int error) { install(number, SECCOMP_RET_ERRNO | (unsigned)error, 0); }
static void check_forbidden(int number, int error) {
  SAME(syscall(number, 0, 0, 0, 0, 0, 0), -1);
  SAME(errno, error);
}
static int filters(void) { return atoi(proc_field("/proc/thread-self/status", "Seccomp_filters")); }
static bool privileged(void) { return (strtoull(proc_field("/proc/self/status", "CapEff"), NULL, 16) >> 21 & 1) != 0; }
static void may_install(void) {
  if (!privileged()) OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

// Only read, write and _exit are left: the parent tells by a pipe when to go, and sees how it ends.
static void run_strict(int from, int to) {
  char byte = 'x';
  OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
  if (syscall(SYS_write, to, &byte, 1) != 1 || syscall(SYS_read, from, &byte, 1) != 1) syscall(SYS_exit, 1);
  if (byte == 'k') syscall(SYS_getpid);
  syscall(SYS_exit, byte == 'q' ? 7 : 2);
}
static pid_t start_strict(int* go) {
  int down[2], up[2];
  OK(pipe(down));
  OK(pipe(up));
  pid_t pid = OK(fork());
  if (pid == 0) run_strict(down[0], up[1]);
  char byte;
  SAME(OK(read(up[0], &byte, 1)), 1);
  *go = down[1];
  return pid;
}
static void strict(void) {
  int go[2], status;
  pid_t quiet = start_strict(&go[0]), killed = start_strict(&go[1]);
  ready();
  wait_go();
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/status", killed);
  SAME(atoi(proc_field(path, "Seccomp")), 1);
  OK(write(go[0], "q", 1));
  OK(write(go[1], "k", 1));
  OK(waitpid(quiet, &status, 0));
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status 0x%x", status);
  OK(waitpid(killed, &status, 0));
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status 0x%x", status);
}

// Four, one of which kills whoever does what a restore needs often.
static void stacked(void) {
  may_install();
  int with_nnp = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
  forbid(SYS_getppid, EXDEV);
  forbid(SYS_sync, ENOTTY);
  install(SYS_munmap, SECCOMP_RET_KILL_PROCESS, 0);
  install(SYS_ptrace, SECCOMP_RET_KILL_PROCESS, 0);
  ready();
  wait_go();
  check_forbidden(SYS_getppid, EXDEV);
  check_forbidden(SYS_sync, ENOTTY);
  SAME(filters(), 4);
  SAME(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), with_nnp);
  live_publish("result", "PASS\n");
  _exit(0);
}

static pthread_barrier_t barrier;
static void* own_filters(void* argument) {
  int number = (int)(intptr_t)argument;
  for (int i = 0; i < number; i++) forbid(i == 0 ? SYS_sync : SYS_getppid, 40 + number);
  pthread_barrier_wait(&barrier);
  wait_go();
  SAME(filters(), 1 + number);
  check_forbidden(SYS_getpgid, EXDEV);
  if (number > 0) check_forbidden(SYS_sync, 40 + number);
  if (number > 1) check_forbidden(SYS_getppid, 40 + number);
  if (number < 2) SAME(syscall(SYS_getppid), getppid());
  return NULL;
}
static void threads(void) {
  may_install();
  forbid(SYS_getpgid, EXDEV);
  pthread_barrier_init(&barrier, NULL, 4);
  pthread_t all[3];
  for (int i = 0; i < 3; i++) all[i] = thread(own_filters, (void*)(intptr_t)i);
  pthread_barrier_wait(&barrier);
  ready();
  wait_go();
  SAME(filters(), 1);
  for (int i = 0; i < 3; i++) pthread_join(all[i], NULL);
}

// Afterwards another filter for all: the kernel allows it only where theirs are one.
static void* follows(void* unused) {
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  check_forbidden(SYS_getpgid, EXDEV);
  check_forbidden(SYS_sync, ENOTTY);
  SAME(filters(), 2);
  return unused;
}
static void tsync(void) {
  may_install();
  pthread_barrier_init(&barrier, NULL, 4);
  pthread_t all[3];
  for (int i = 0; i < 3; i++) all[i] = thread(follows, NULL);
  pthread_barrier_wait(&barrier);
  install(SYS_getpgid, SECCOMP_RET_ERRNO | EXDEV, SECCOMP_FILTER_FLAG_TSYNC);
  ready();
  wait_go();
  install(SYS_sync, SECCOMP_RET_ERRNO | ENOTTY, SECCOMP_FILTER_FLAG_TSYNC);
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < 3; i++) pthread_join(all[i], NULL);
}

static void inherits(void* unused) {
  (void)unused;
  forbid(SYS_sync, ENOTTY);
  mark("inherits");
  wait_go();
  check_forbidden(SYS_getpgid, EXDEV);
  check_forbidden(SYS_sync, ENOTTY);
  SAME(filters(), 2);
}
static void inherited(void) {
  may_install();
  forbid(SYS_getpgid, EXDEV);
  pid_t pid = child(inherits, NULL);
  await_mark("inherits");
  ready();
  wait_go();
  check_forbidden(SYS_getpgid, EXDEV);
  SAME(filters(), 1);
  join_child(pid);
}

// Installed with the capability, which is gone since; and no_new_privs is not set: no filter could be added.
static void unprivileged(void) {
  if (!privileged()) skip("needs CAP_SYS_ADMIN");
  forbid(SYS_sync, ENOTTY);
  OK(chmod(live_path("."), 0777));
  OK(setresgid(1234, 1234, 1234));
  OK(setresuid(1234, 1234, 1234));
  OK(prctl(PR_SET_DUMPABLE, 1));
  ready();
  wait_go();
  check_forbidden(SYS_sync, ENOTTY);
  SAME(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
  struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {1, code};
  SAME(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), -1);
  SAME(errno, EACCES);
}

static void log_flag(void) {
  may_install();
  install(SYS_sync, SECCOMP_RET_ERRNO | EXDEV, SECCOMP_FILTER_FLAG_LOG);
  forbid(SYS_getpgid, ENOTTY);
  ready();
  wait_go();
  check_forbidden(SYS_sync, EXDEV);
  check_forbidden(SYS_getpgid, ENOTTY);
}

static const struct live_case cases[] = {
    {"strict", strict},       {"filters", stacked}, {"threads", threads},          {"tsync", tsync},
    {"inherited", inherited}, {"log", log_flag},    {"unprivileged", unprivileged}};
RUN_CASES(cases)
