// 64 threads that count under a mutex and each in its own thread-local variable, all through the checkpoint.
#include <stdatomic.h>

#include "target.h"

enum { kThreads = 64 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long total;
static _Thread_local long mine;
static atomic_int running;
static struct slot {
  pid_t tid;
  long counted;
} slots[kThreads];

static void* worker(void* argument) {
  struct slot* slot = argument;
  slot->tid = tid();
  running++;
  while (!go()) {
    pthread_mutex_lock(&mutex);
    total++;
    pthread_mutex_unlock(&mutex);
    mine++;
    pause_ms(1);
  }
  SAME(tid(), slot->tid);
  slot->counted = mine;
  return slot;
}

int main(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; i++) threads[i] = thread(worker, &slots[i]);
  while (running < kThreads) pause_ms(1);
  ready();
  wait_go();
  long sum = 0;
  for (int i = 0; i < kThreads; i++) {
    void* returned;
    SAME(pthread_join(threads[i], &returned), 0);
    CHECK(returned == &slots[i], "thread %d returned %p", i, returned);
    sum += slots[i].counted;
  }
  SAME(sum, total);
  pthread_t more = thread(worker, &slots[0]);  // a new one can still be made
  SAME(pthread_join(more, NULL), 0);
  pass();
}
