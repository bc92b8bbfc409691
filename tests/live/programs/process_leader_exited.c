// live-modes: plain refuse refuse-user
// The first thread has ended, another one goes on: the process lives, its leader is a zombie. That is refused.
#include "target.h"

static pthread_t first;

static void* survivor(void* argument) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/status", getpid());
  while (proc_field(path, "State")[0] != 'Z') pause_ms(1);
  char expected[64];
  snprintf(expected, sizeof expected, "process %d\nfirst thread has ended\n", getpid());
  live_publish("expect", expected);
  ready();
  wait_go();
  SAME(tid(), *(pid_t*)argument);
  SAME(proc_field(path, "State")[0], 'Z');
  pass();
}

static void* start(void* unused) {
  (void)unused;
  static pid_t self;
  self = tid();
  return survivor(&self);
}

int main(void) {
  first = thread(start, NULL);
  pthread_exit(NULL);
}
