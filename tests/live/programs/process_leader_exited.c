// The first thread has ended, others go on: the process lives, its leader is a zombie. Memory, descriptors, signals and
// the status that it ends with are as ever. Also stopped, as a parent, and asleep in a system call.
// live-cases: alone child stopped parent asleep apart
#include <poll.h>
#include <sys/syscall.h>

#include "target.h"

enum { kSurvivors = 3, kStatus = 7 };
static pid_t tids[kSurvivors];
static pthread_barrier_t barrier;
static int pipe_ends[2];
static unsigned char* memory;

static void check_leader(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/status", getpid());
  SAME(proc_field(path, "State")[0], 'Z');
  CHECK(strncmp(proc_field(path, "Name"), "first", 5) == 0, "name %s", proc_field(path, "Name"));
}
static void await_leader(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/status", getpid());
  while (proc_field(path, "State")[0] != 'Z') pause_ms(1);
}

static void set_up(void) {
  OK(prctl(PR_SET_NAME, "first"));
  OK(pipe2(pipe_ends, O_CLOEXEC));
  OK(write(pipe_ends[1], "kept", 4));
  memory = map_anon(16 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  fill(memory, 16 * kPage, 5);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGRTMIN);
  SAME(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 77}));
}
static void check_state(void) {
  char text[5] = "";
  SAME(OK(read(pipe_ends[0], text, 4)), 4);
  CHECK(strcmp(text, "kept") == 0, "%s", text);
  check_filled(memory, 16 * kPage, 5, "memory");
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  siginfo_t info;
  SAME(OK(sigwaitinfo(&set, &info)), SIGRTMIN);
  SAME(info.si_value.sival_int, 77);
  check_leader();
}

// With descriptors or directories that the first thread had not, which is gone: number 0 has what it had.
static bool apart;
enum { kOfTwo = 40 };
static void leave_others(int number) {
  if (number == 1) OK(unshare(CLONE_FS));
  if (number == 1) OK(chdir("/"));
  if (number == 2) OK(unshare(CLONE_FILES));
  if (number == 2) OK(dup3(pipe_ends[0], kOfTwo, O_CLOEXEC));
}
static void check_left(int number) {
  char path[8] = "";
  CHECK((getcwd(path, sizeof path) != NULL && path[1] == 0) == (number == 1), "%d is in %s", number, path);
  SAME(fcntl(kOfTwo, F_GETFD), number == 2 ? FD_CLOEXEC : -1);
}

static void* survivor(void* argument) {
  int number = (int)(intptr_t)argument;
  tids[number] = tid();
  if (apart) leave_others(number);
  await_leader();
  pthread_barrier_wait(&barrier);
  if (number == 0) mark("standing");
  wait_go();
  SAME(tid(), tids[number]);
  if (apart) check_left(number);
  if (number == 0) check_state();
  pthread_barrier_wait(&barrier);
  syscall(SYS_exit, kStatus);  // the last one's is that of the process
  return NULL;
}
static void leave(int status) {
  set_up();
  pthread_barrier_init(&barrier, NULL, kSurvivors);
  for (int i = 0; i < kSurvivors; i++) thread(survivor, (void*)(intptr_t)i);
  syscall(SYS_exit, status);
}
static void leaves(void* unused) {
  (void)unused;
  leave(1);
}
static void join_left(pid_t pid) {
  int status;
  SAME(OK(waitpid(pid, &status, 0)), pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == kStatus, "status 0x%x", status);
}

static void* all_alone(void* unused) {
  await_leader();
  ready();
  wait_go();
  check_state();
  pass();
  return unused;
}
static void alone(void) {
  set_up();
  thread(all_alone, NULL);
  pthread_exit(NULL);
}

static void in_child(void) {
  pid_t pid = child(leaves, NULL);
  await_mark("standing");
  ready();
  wait_go();
  join_left(pid);
}

static void apart_(void) {
  apart = true;
  in_child();
}

static void stopped(void) {
  pid_t pid = child(leaves, NULL);
  int status;
  await_mark("standing");
  OK(kill(pid, SIGSTOP));
  OK(waitpid(pid, &status, WUNTRACED));
  CHECK(WIFSTOPPED(status), "status 0x%x", status);
  ready();
  wait_go();
  SAME(OK(waitpid(pid, &status, WUNTRACED | WCONTINUED | WNOHANG)), 0);
  OK(kill(pid, SIGCONT));
  join_left(pid);
}

static void waits(void* unused) {
  (void)unused;
  wait_go();
  check_filled(memory, 16 * kPage, 5, "memory");
}
static void* has_child(void* unused) {
  pid_t pid = child(waits, NULL);
  await_leader();
  ready();
  wait_go();
  join_child(pid);
  check_state();
  pass();
  return unused;
}
static void parent(void) {
  set_up();
  thread(has_child, NULL);
  pthread_exit(NULL);
}

static double slept, seen;
static void* sleeper(void* unused) {
  double begin = now(CLOCK_MONOTONIC);
  SAME(poll(NULL, 0, 3000), 0);
  slept = now(CLOCK_MONOTONIC) - begin;
  return unused;
}
static void* watcher(void* unused) {
  pthread_t other = thread(sleeper, NULL);
  await_leader();
  pause_ms(50);
  ready();
  wait_go();
  pthread_join(other, NULL);
  seen = allowance();
  CHECK(slept >= 2.9 && slept <= 3.0 + seen + 0.5, "slept %.3f s", slept);
  check_state();
  pass();
  return unused;
}
static void asleep(void) {
  set_up();
  thread(watcher, NULL);
  pthread_exit(NULL);
}

static const struct live_case cases[] = {{"alone", alone},   {"child", in_child}, {"stopped", stopped},
                                         {"parent", parent}, {"asleep", asleep},  {"apart", apart_}};
RUN_CASES(cases)
