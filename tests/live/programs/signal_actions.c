// All fields of all signal actions: handler, flags, mask, restorer; ignored ones; a child with other ones.
#include "target.h"

struct kernel_action {  // as the kernel has it; sigaction() of the C library hides the restorer
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  uint64_t mask;
};

static struct kernel_action wanted[65];
static volatile sig_atomic_t caught;

static void one(int number) { caught = number; }
static void two(int number, siginfo_t* info, void* context) {
  (void)context;
  caught = 1000 + number + info->si_value.sival_int;
}

static void get(int number, struct kernel_action* action) {
  OK(syscall(SYS_rt_sigaction, number, NULL, action, sizeof action->mask));
}

static void set_all(unsigned salt) {
  for (int number = 1; number <= 64; number++) {
    if (number == SIGKILL || number == SIGSTOP || number == 32 || number == 33) continue;
    struct sigaction action = {0};
    unsigned kind = (unsigned)number * 7 + salt;
    if (kind % 4 == 1) action.sa_handler = SIG_IGN;
    if (kind % 4 == 2) action.sa_handler = one;
    if (kind % 4 == 3) action.sa_sigaction = two, action.sa_flags = SA_SIGINFO;
    if (kind % 3 == 1) action.sa_flags |= SA_RESTART | SA_NODEFER;
    if (kind % 5 == 1) action.sa_flags |= SA_ONSTACK;
    if (kind % 11 == 1 && number != SIGCHLD) action.sa_flags |= (int)SA_RESETHAND;
    sigaddset(&action.sa_mask, 1 + number % 31);
    sigaddset(&action.sa_mask, 34 + number % 31);
    if (number == SIGCHLD) action.sa_handler = SIG_DFL, action.sa_flags = SA_NOCLDSTOP;
    OK(sigaction(number, &action, NULL));
  }
  for (int number = 1; number <= 64; number++) get(number, &wanted[number]);
}

static void compare(void) {
  for (int i = 1; i <= 64; i++) {
    struct kernel_action seen;
    get(i, &seen);
    CHECK(seen.handler == wanted[i].handler, "signal %d: handler %p, was %p", i, (void*)(uintptr_t)seen.handler,
          (void*)(uintptr_t)wanted[i].handler);
    CHECK(seen.flags == wanted[i].flags, "signal %d: flags 0x%lx, was 0x%lx", i, seen.flags, wanted[i].flags);
    CHECK(seen.restorer == wanted[i].restorer, "signal %d: restorer", i);
    CHECK(seen.mask == wanted[i].mask, "signal %d: mask 0x%llx, was 0x%llx", i, (long long)seen.mask,
          (long long)wanted[i].mask);
  }
}

static void other(void* unused) {
  (void)unused;
  set_all(3);
  mark("other");
  wait_go();
  compare();
}

int main(void) {
  set_all(0);
  pid_t pid = child(other, NULL);
  await_mark("other");
  ready();
  wait_go();
  compare();
  struct sigaction action = {.sa_sigaction = two, .sa_flags = SA_SIGINFO};
  OK(sigaction(SIGRTMIN + 3, &action, NULL));
  OK(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 500}));
  SAME(caught, 1000 + SIGRTMIN + 3 + 500);
  join_child(pid);
  pass();
}
