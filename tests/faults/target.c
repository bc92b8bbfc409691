// What the fault tests save: threads that compute, that sleep and that wait in calls of every kind, a child that waits
// on a pipe, a process that shares memory, memory enough for a shadow; all without asking for memory once they are
// ready, so that maps, status and fdinfo stay as they are but for what others do to them. Ends when the file argv[1]/go
// appears, checks what only it can see of itself, and writes the sum of a fixed computation to argv[1]/result; and to
// argv[1]/interrupts how often a call failed with EINTR, though no signal with a handler was ever sent.
//
// argv[2], if there: how many more children it has, which do nothing and may be killed.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kWorkers = 3, kRounds = 300, kSignals = 64, kShared = 1 << 16, kPrivate = 16 << 20, kAltStack = 1 << 16 };

static char go_path[4096];
static volatile uint64_t steps[kWorkers];
static uint64_t sums[kWorkers];
static volatile long handled, interrupted, wrong, started;
static const struct timespec kShort = {0, 2000000}, kTick = {0, 20000000};

static int is_time_to_go(void) { return access(go_path, F_OK) == 0; }

static void must(int good) {
  if (!good) __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
}
static void note(long result) {
  if (result < 0 && errno == EINTR) __atomic_add_fetch(&interrupted, 1, __ATOMIC_RELAXED);
}

// ---- threads ----

// A new thread blocks all signals until it is here.
static void start(void) { __atomic_add_fetch(&started, 1, __ATOMIC_RELAXED); }

// The same number however often it is stopped on the way: each round starts from where the last one ended.
static void* compute(void* argument) {
  const int me = (int)(intptr_t)argument;
  start();
  uint64_t x = 88172645463325252ULL + (uint64_t)me;
  for (uint64_t round = 0; round < kRounds || !is_time_to_go(); ++round) {
    for (int i = 0; i < 500 && round < kRounds; ++i) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
    }
    ++steps[me];
    note(nanosleep(&kShort, NULL));
  }
  sums[me] = x;
  return NULL;
}

// With descriptors and directories of its own.
static void* sleep_long(void* unused) {
  (void)unused;
  must(unshare(CLONE_FILES | CLONE_FS) == 0);
  start();
  while (!is_time_to_go()) {
    const struct timespec tenth = {0, 100000000};
    note(clock_nanosleep(CLOCK_MONOTONIC, 0, &tenth, NULL) == EINTR ? (errno = EINTR, -1) : 0);
  }
  return NULL;
}

// epoll_wait gives up with EINTR at any stop.
static void* wait_for_nothing(void* unused) {
  (void)unused;
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event;
  start();
  while (!is_time_to_go()) {
    const int got = epoll_wait(epoll, &event, 1, 50);
    note(got);
    must(got == 0 || errno == EINTR);
  }
  close(epoll);
  return NULL;
}

static void* wait_for_signal(void* unused) {
  (void)unused;
  sigset_t never;
  sigemptyset(&never);
  sigaddset(&never, SIGRTMAX);
  start();
  while (!is_time_to_go()) {
    const int got = sigtimedwait(&never, NULL, &kTick);
    note(got);
    must(got < 0 && (errno == EAGAIN || errno == EINTR));
  }
  return NULL;
}

// ---- what must stay as it is ----

// As the kernel gives it: what glibc makes of it holds bytes that nobody set.
struct inside {
  uint64_t actions[kSignals + 1][4];
  uint64_t mask, pending, stack[3];
  cpu_set_t cpus;
};

static void look(struct inside* seen) {
  memset(seen, 0, sizeof *seen);
  for (int i = 1; i <= kSignals; ++i) syscall(SYS_rt_sigaction, i, NULL, seen->actions[i], sizeof seen->mask);
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &seen->mask, sizeof seen->mask);
  syscall(SYS_rt_sigpending, &seen->pending, sizeof seen->pending);
  stack_t stack;
  sigaltstack(NULL, &stack);
  seen->stack[0] = (uintptr_t)stack.ss_sp;
  seen->stack[1] = (uint64_t)stack.ss_flags;
  seen->stack[2] = stack.ss_size;
  sched_getaffinity(0, sizeof seen->cpus, &seen->cpus);
}

static void handler(int number) {
  (void)number;
  __atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
}

static void set_up_signals(void) {
  static char stack[kAltStack];
  const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART};
  sigaddset(&action.sa_mask, SIGTERM);
  sigaction(SIGUSR2, &action, NULL);
  sigaction(SIGURG, &action, NULL);
  sigaction(SIGALRM, &action, NULL);
  signal(SIGHUP, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigaddset(&blocked, SIGRTMAX);
  sigprocmask(SIG_BLOCK, &blocked, NULL);
  raise(SIGUSR1);  // pending all the time
}

static void fill(unsigned char* memory, size_t size) {
  for (size_t i = 0; i < size; ++i) memory[i] = (unsigned char)(i * 2654435761u >> 13);
}
static int is_filled(const unsigned char* memory, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (memory[i] != (unsigned char)(i * 2654435761u >> 13)) return 0;
  }
  return 1;
}

// ---- processes ----

static int serve(int in, int out) {
  char byte;
  while (read(in, &byte, 1) == 1) {
    if (write(out, &byte, 1) != 1) return 1;
  }
  return 0;
}

// A process in our memory. It has our errno, too: so it makes system calls that do not fail, and nothing else.
static volatile long companion_steps, companion_failures;
// The number stands right before the call, as in the C library's own nanosleep(): who meets it a second time can tell.
static long plain_sleep(const struct timespec* time) {
  long result;
  __asm__ volatile("mov %3, %%eax\n\tsyscall"
                   : "=a"(result)
                   : "D"(time), "S"(0), "i"(SYS_nanosleep)
                   : "rcx", "r11", "memory");
  return result;
}
__attribute__((noreturn)) static int accompany(void* unused) {
  (void)unused;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;; ++companion_steps) companion_failures += plain_sleep(&kTick) != 0;
}
static pid_t make_companion(void) {
  static char stack[kAltStack] __attribute__((aligned(16)));
  return clone(accompany, stack + sizeof stack, CLONE_VM | CLONE_FS | SIGCHLD, NULL);
}
static int end_companion(pid_t pid) {
  for (const long before = companion_steps; companion_steps == before;) nanosleep(&kShort, NULL);
  return kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid && companion_failures == 0;
}

static void make_spare_children(int count) {
  for (int i = 0; i < count; ++i) {
    if (fork() != 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (1) pause();
  }
}

static void publish(const char* dir, const char* name, const char* text) {
  char from[4200], to[4200];
  snprintf(from, sizeof from, "%s/.%s", dir, name);
  snprintf(to, sizeof to, "%s/%s", dir, name);
  const int fd = open(from, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) < 0 || rename(from, to) < 0) _exit(2);
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  snprintf(go_path, sizeof go_path, "%s/go", argv[1]);
  int there[2], back[2];
  if (pipe(there) || pipe(back)) return 2;
  const pid_t child = fork();
  if (child == 0) {
    close(there[1]);
    close(back[0]);
    _exit(serve(there[0], back[1]));
  }
  close(there[0]);
  close(back[1]);
  const pid_t companion = make_companion();
  make_spare_children(argc > 2 ? atoi(argv[2]) : 0);
  const int epoll = epoll_create1(EPOLL_CLOEXEC), event = eventfd(3, 0);
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  const struct itimerspec hour = {{0, 0}, {3600, 0}};
  struct epoll_event watch = {.events = EPOLLIN, .data.u64 = 7};
  timerfd_settime(timer, 0, &hour, NULL);
  epoll_ctl(epoll, EPOLL_CTL_ADD, event, &watch);
  set_up_signals();
  char* shared = mmap(NULL, kShared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(shared, 's', kShared);
  unsigned char* memory = mmap(NULL, kPrivate, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  fill(memory, kPrivate);

  void* (*const bodies[])(void*) = {compute, compute, compute, sleep_long, wait_for_nothing, wait_for_signal};
  enum { kThreads = sizeof bodies / sizeof *bodies };
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) pthread_create(&threads[i], NULL, bodies[i], (void*)(intptr_t)i);
  while (started < kThreads) nanosleep(&kShort, NULL);
  for (int i = 0; i < kWorkers; ++i) {
    while (steps[i] < 3) nanosleep(&kShort, NULL);
  }
  static struct inside before, after;
  look(&before);
  publish(argv[1], "ready", "");
  char byte = 'x';
  for (uint64_t turns = 0; !is_time_to_go(); ++turns) {
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1 || byte != 'x') return 3;
    shared[turns % kShared] = 't';
    note(nanosleep(&kShort, NULL));
  }
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
  look(&after);
  must(end_companion(companion));  // it has an end of the pipe, too
  close(there[1]);
  int status = -1;
  waitpid(child, &status, 0);
  uint64_t sum = 0;
  for (int i = 0; i < kWorkers; ++i) sum = sum * 31 + sums[i];
  uint64_t count = 0;
  const int ready = epoll_wait(epoll, &watch, 1, 0);
  const int read_back = read(event, &count, sizeof count) == (ssize_t)sizeof count;
  char text[200];
  snprintf(text, sizeof text, "%ld\n", interrupted);
  publish(argv[1], "interrupts", text);
  snprintf(text, sizeof text, "%016lx child %d event %d %d %lu memory %d handled %ld wrong %ld inside %s\n",
           (unsigned long)sum, status, ready, read_back, (unsigned long)count, is_filled(memory, kPrivate), handled,
           wrong, memcmp(&before, &after, sizeof before) == 0 ? "same" : "changed");
  publish(argv[1], "result", text);
  return 0;
}
