// The bases of fs and gs, thread-local variables in several threads, and selectors left as they were.
#include <asm/prctl.h>
#include <stdatomic.h>

#include "target.h"

enum { kThreads = 5 };
static _Thread_local struct {
  uint64_t number;
  char text[500];
} local = {0, "initial"};
static atomic_int running;
static char gs_areas[kThreads][64];

static uint64_t gs_word(void) {
  uint64_t value;
  asm volatile("movq %%gs:8, %0" : "=r"(value));
  return value;
}

static void* worker(void* argument) {
  uint64_t number = (uint64_t)(uintptr_t)argument;
  unsigned long fs_before, fs = 0, gs = 0;
  memcpy(gs_areas[number] + 8, &(uint64_t){number * 1111}, 8);
  OK(syscall(SYS_arch_prctl, ARCH_SET_GS, gs_areas[number]));
  OK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_before));
  local.number = number + 100;
  fill(local.text, sizeof local.text, (unsigned)number);
  running++;
  while (!go()) {
    SAME(local.number, number + 100);
    SAME(gs_word(), number * 1111);
  }
  OK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
  OK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
  SAME(fs, fs_before);
  SAME(gs, (uintptr_t)gs_areas[number]);
  check_filled(local.text, sizeof local.text, (unsigned)number, "thread-local text");
  return NULL;
}

int main(void) {
  pthread_t threads[kThreads];
  for (uintptr_t i = 0; i < kThreads; i++) threads[i] = thread(worker, (void*)i);
  while (running < kThreads) pause_ms(1);
  ready();
  wait_go();
  for (int i = 0; i < kThreads; i++) pthread_join(threads[i], NULL);
  CHECK(strcmp(local.text, "initial") == 0 && local.number == 0, "thread-local variables of the first thread");
  pass();
}
