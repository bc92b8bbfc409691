// Names of threads and processes (comm), also one with blanks, brackets and a line feed.
#include <stdatomic.h>

#include "target.h"

static const char* const names[] = {"plain", "a b) S 1 (c", "line\nfeed", "exactly15chars!", ""};
enum { kNames = sizeof names / sizeof names[0] };
static atomic_int named;

static void* worker(void* argument) {
  const char* name = argument;
  char seen[16] = "";
  OK(prctl(PR_SET_NAME, name));
  named++;
  wait_go();
  OK(prctl(PR_GET_NAME, seen));
  CHECK(strcmp(seen, name) == 0, "'%s' became '%s'", name, seen);
  return NULL;
}

static void process(void* unused) {
  (void)unused;
  OK(prctl(PR_SET_NAME, "the child"));
  mark("child");
  wait_go();
  char seen[16] = "";
  OK(prctl(PR_GET_NAME, seen));
  CHECK(strcmp(seen, "the child") == 0, "'%s'", seen);
}

int main(void) {
  pid_t pid = child(process, NULL);
  pthread_t threads[kNames];
  for (int i = 0; i < kNames; i++) threads[i] = thread(worker, (void*)(uintptr_t)names[i]);
  while (named < kNames) pause_ms(1);
  await_mark("child");
  OK(prctl(PR_SET_NAME, "first thread"));
  ready();
  wait_go();
  char seen[16] = "";
  OK(prctl(PR_GET_NAME, seen));
  CHECK(strcmp(seen, "first thread") == 0, "'%s'", seen);
  for (int i = 0; i < kNames; i++) pthread_join(threads[i], NULL);
  join_child(pid);
  pass();
}
