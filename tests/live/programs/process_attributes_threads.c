// What each thread has of its own: affinity, nice, scheduling class, timer slack, no_new_privs, securebits.
#include <stdatomic.h>
#include <sys/resource.h>

#include "target.h"

enum { kThreads = 4 };
static atomic_int set_up;
static cpu_set_t allowed;

static int nth_cpu(int n) {
  int count = CPU_COUNT(&allowed), wanted = n % count;
  for (int cpu = 0;; cpu++) {
    if (CPU_ISSET(cpu, &allowed) && wanted-- == 0) return cpu;
  }
}

static void* worker(void* argument) {
  int number = (int)(intptr_t)argument, policy = number % 2 ? SCHED_BATCH : SCHED_OTHER;
  cpu_set_t mine, seen;
  CPU_ZERO(&mine);
  CPU_SET(nth_cpu(number), &mine);
  OK(sched_setaffinity(0, sizeof mine, &mine));
  struct sched_param parameters = {0};
  OK(sched_setscheduler(0, policy, &parameters));
  OK(setpriority(PRIO_PROCESS, (id_t)tid(), 19 - number));
  OK(prctl(PR_SET_TIMERSLACK, 60000 + number));
  if (number == 2) OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  set_up++;
  wait_go();
  OK(sched_getaffinity(0, sizeof seen, &seen));
  CHECK(CPU_EQUAL(&seen, &mine), "thread %d has %d processors", number, CPU_COUNT(&seen));
  SAME(sched_getscheduler(0), policy);
  SAME(getpriority(PRIO_PROCESS, (id_t)tid()), 19 - number);
  SAME(prctl(PR_GET_TIMERSLACK), 60000 + number);
  SAME(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), number == 2);
  return NULL;
}

int main(void) {
  OK(sched_getaffinity(0, sizeof allowed, &allowed));
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; i++) threads[i] = thread(worker, (void*)(intptr_t)i);
  while (set_up < kThreads) pause_ms(1);
  ready();
  wait_go();
  for (int i = 0; i < kThreads; i++) pthread_join(threads[i], NULL);
  cpu_set_t seen;
  OK(sched_getaffinity(0, sizeof seen, &seen));
  CHECK(CPU_EQUAL(&seen, &allowed), "the first thread has %d processors", CPU_COUNT(&seen));
  pass();
}
