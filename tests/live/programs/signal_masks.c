// Signal masks of every thread, the mask inside a handler, and alternate stacks, also while one is in use.
// live-cases: masks altstack in_handler on_altstack
#include <stdatomic.h>

#include "target.h"

static atomic_int prepared;

static void* masked(void* argument) {
  int number = (int)(intptr_t)argument;
  sigset_t wanted, seen;
  sigemptyset(&wanted);
  sigaddset(&wanted, 1 + number);
  sigaddset(&wanted, SIGRTMAX - number);
  OK(pthread_sigmask(SIG_SETMASK, &wanted, NULL));
  prepared++;
  wait_go();
  pthread_sigmask(SIG_SETMASK, NULL, &seen);
  CHECK(!memcmp(&seen, &wanted, 8), "mask of thread %d is 0x%llx", number, *(long long*)&seen);
  return NULL;
}

static void masks(void) {
  pthread_t threads[4];
  sigset_t wanted, seen;
  for (int i = 0; i < 4; i++) threads[i] = thread(masked, (void*)(intptr_t)i);
  sigfillset(&wanted);
  pthread_sigmask(SIG_SETMASK, &wanted, NULL);
  pthread_sigmask(SIG_SETMASK, NULL, &wanted);  // without what cannot be blocked
  while (prepared < 4) pause_ms(1);
  ready();
  wait_go();
  pthread_sigmask(SIG_SETMASK, NULL, &seen);
  CHECK(!memcmp(&seen, &wanted, 8), "mask is 0x%llx", *(long long*)&seen);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

static char* volatile stack_seen;
static void on_signal(int unused) {
  char here;
  (void)unused;
  stack_seen = (char*)((uintptr_t)&here | 1);  // hidden from the warning about dangling pointers
}

static void set_altstack(stack_t* stack) {
  stack->ss_sp = map_anon(16 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  stack->ss_size = 16 * kPage;
  stack->ss_flags = 0;
  OK(sigaltstack(stack, NULL));
}

static void check_altstack(const stack_t* stack, int flags) {
  stack_t seen;
  OK(sigaltstack(NULL, &seen));
  SAME((uintptr_t)seen.ss_sp, (uintptr_t)stack->ss_sp);
  SAME(seen.ss_size, stack->ss_size);
  SAME(seen.ss_flags, flags);
}

static void* with_altstack(void* unused) {
  stack_t stack;
  set_altstack(&stack);
  prepared++;
  wait_go();
  check_altstack(&stack, 0);
  stack_seen = NULL;
  OK(syscall(SYS_tgkill, getpid(), tid(), SIGUSR1));
  CHECK(stack_seen > (char*)stack.ss_sp && stack_seen < (char*)stack.ss_sp + stack.ss_size, "handler at %p",
        stack_seen);
  return unused;
}

static void altstack(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
  OK(sigaction(SIGUSR1, &action, NULL));
  pthread_t other = thread(with_altstack, NULL);
  stack_t none = {.ss_flags = SS_DISABLE};
  while (!prepared) pause_ms(1);
  ready();
  wait_go();
  pthread_join(other, NULL);
  OK(sigaltstack(NULL, &none));
  SAME(none.ss_flags, SS_DISABLE);
}

static stack_t main_stack;
static bool check_stack_inside;
static void wait_inside(int number) {
  sigset_t seen;
  ready();
  wait_go();
  pthread_sigmask(SIG_SETMASK, NULL, &seen);
  CHECK(sigismember(&seen, number) && sigismember(&seen, SIGHUP), "mask in the handler");
  if (check_stack_inside) check_altstack(&main_stack, SS_ONSTACK);
}

static void inside(int flags) {
  struct sigaction action = {.sa_handler = wait_inside, .sa_flags = flags};
  sigaddset(&action.sa_mask, SIGHUP);
  OK(sigaction(SIGUSR2, &action, NULL));
  char local[100];
  fill(local, sizeof local, 5);
  OK(raise(SIGUSR2));
  check_filled(local, sizeof local, 5, "locals under the handler");
  sigset_t seen;
  pthread_sigmask(SIG_SETMASK, NULL, &seen);
  CHECK(sigisemptyset(&seen), "mask after the handler");
}
static void in_handler(void) { inside(0); }
static void on_altstack(void) {
  set_altstack(&main_stack);
  check_stack_inside = true;
  inside(SA_ONSTACK);
  check_altstack(&main_stack, 0);
}

static const struct live_case cases[] = {
    {"masks", masks}, {"altstack", altstack}, {"in_handler", in_handler}, {"on_altstack", on_altstack}};
RUN_CASES(cases)
