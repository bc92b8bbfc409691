// The first thread has ended, another one goes on: the process lives, its leader is a zombie.
#include "target.h"

static pthread_t first;

static void* survivor(void* argument) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/status", getpid());
  while (proc_field(path, "State")[0] != 'Z') pause_ms(1);
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
