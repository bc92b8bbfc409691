// What the kernel does for a thread when it ends, with addresses it was told before: robust mutexes, clear_child_tid.
// live-cases: robust robust_shared clear_child_tid join
#include <linux/futex.h>
#include <stdatomic.h>

#include "target.h"

static pthread_mutex_t* mutex;
static atomic_int locked;

static void make_mutex(bool shared) {
  pthread_mutexattr_t attributes;
  mutex = map_anon(kPage, PROT_READ | PROT_WRITE, shared ? MAP_SHARED : MAP_PRIVATE);
  SAME(pthread_mutexattr_init(&attributes), 0);
  SAME(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
  if (shared) SAME(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), 0);
  SAME(pthread_mutex_init(mutex, &attributes), 0);
}

// Ends with the mutex locked, by the bare call: only the kernel can tell the others.
static void* lock_and_end(void* unused) {
  (void)unused;
  SAME(pthread_mutex_lock(mutex), 0);
  locked = 1;
  wait_go();
  syscall(SYS_exit, 0);
  return NULL;
}

static void take_over(void) {
  SAME(pthread_mutex_lock(mutex), EOWNERDEAD);
  SAME(pthread_mutex_consistent(mutex), 0);
  SAME(pthread_mutex_unlock(mutex), 0);
}

static void robust(void) {
  make_mutex(false);
  thread(lock_and_end, NULL);
  while (!locked) pause_ms(1);
  ready();
  wait_go();
  take_over();
}

static void lock_in_child(void* unused) {
  (void)unused;
  SAME(pthread_mutex_lock(mutex), 0);
  mark("locked");
  wait_go();
}

static void robust_shared(void) {
  make_mutex(true);
  pid_t pid = child(lock_in_child, NULL);
  await_mark("locked");
  ready();
  wait_go();
  take_over();
  join_child(pid);
}

static atomic_int tid_word;
static void* own_address(void* unused) {
  (void)unused;
  tid_word = (int)syscall(SYS_set_tid_address, &tid_word);
  locked = 1;
  wait_go();
  syscall(SYS_exit, 0);
  return NULL;
}

static void clear_child_tid(void) {
  thread(own_address, NULL);
  while (!locked) pause_ms(1);
  ready();
  wait_go();
  int value;
  for (int i = 0; (value = tid_word) != 0; i++) {
    CHECK(i < 500, "the word still is %d", value);
    struct timespec limit = {0, 20000000};
    syscall(SYS_futex, &tid_word, FUTEX_WAIT, value, &limit, NULL, 0);
  }
}

static void* returns(void* argument) {
  locked++;
  wait_go();
  return argument;
}

static void join(void) {
  pthread_t threads[8];
  for (intptr_t i = 0; i < 8; i++) threads[i] = thread(returns, (void*)i);
  while (locked < 8) pause_ms(1);
  ready();  // the first thread then waits in a futex until the first other ends
  for (intptr_t i = 0; i < 8; i++) {
    void* value;
    SAME(pthread_join(threads[i], &value), 0);
    SAME((intptr_t)value, i);
  }
}

static const struct live_case cases[] = {
    {"robust", robust}, {"robust_shared", robust_shared}, {"clear_child_tid", clear_child_tid}, {"join", join}};
RUN_CASES(cases)
