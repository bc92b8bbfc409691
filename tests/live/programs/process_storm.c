// A tree that changes all the time, so that the freeze meets what is being born and what is dying.
// live-cases: threads forks fork_200 grandchildren exec vfork slow_vfork
#include <spawn.h>
#include <stdatomic.h>

#include "target.h"

static atomic_long made, ended;

static void* short_life(void* argument) {
  ended++;
  return argument;
}
static void threads(void) {
  ready();
  while (!go()) {
    pthread_t some[8];
    for (int i = 0; i < 8; i++, made++) some[i] = thread(short_life, &some[i]);
    for (int i = 0; i < 8; i++) {
      void* value;
      SAME(pthread_join(some[i], &value), 0);
      CHECK(value == &some[i], "thread returned %p", value);
    }
  }
  SAME(made, ended);
}

static void leave(void* argument) { _exit((int)(intptr_t)argument); }
static void collect(pid_t pid, int code) {
  int status;
  SAME(OK(waitpid(pid, &status, 0)), pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == code, "child %d: status 0x%x, not exit %d", pid, status, code);
}
static void forks(void) {
  ready();
  while (!go()) {
    pid_t some[4];
    for (int i = 0; i < 4; i++) some[i] = child(leave, (void*)(intptr_t)(10 + i));
    for (int i = 0; i < 4; i++) collect(some[i], 10 + i);
  }
  CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "a child too many");
}

static void waits_for_go(void* argument) {
  wait_go();
  _exit((int)(intptr_t)argument);
}
// Ready at once: the 200 are made while the checkpoint runs.
static void fork_200(void) {
  enum { kMany = 200 };
  pid_t some[kMany];
  ready();
  for (int i = 0; i < kMany; i++) some[i] = child(waits_for_go, (void*)(intptr_t)(i % 100));
  for (int i = 0; i < kMany; i++) collect(some[i], i % 100);
}

static void makes_grandchild(void* unused) {
  (void)unused;
  collect(child(leave, (void*)33), 33);
  _exit(44);
}
static void grandchildren(void) {
  ready();
  while (!go()) collect(child(makes_grandchild, NULL), 44);
}

static void executes(bool by_vfork) {
  extern char** environ;
  char* command[] = {"/bin/sh", "-c", "exit 55", NULL};
  ready();
  while (!go()) {
    pid_t pid;
    if (by_vfork) {
      SAME(posix_spawn(&pid, command[0], NULL, NULL, command, environ), 0);
    } else {
      pid = OK(fork());
      if (pid == 0) {
        execv(command[0], command);
        _exit(1);
      }
    }
    collect(pid, 55);
  }
}
static void exec(void) { executes(false); }
static void vfork_(void) { executes(true); }

// A vfork child that takes its time before it runs another program: the checkpoint waits for that.
static int slow_to_execute(void* command) {
  const struct timespec slow = {0, 150 * 1000 * 1000};
  nanosleep(&slow, NULL);
  execv("/bin/sleep", (char* const*)command);
  _exit(1);
}
static void slow_vfork(void) {
  static char stack[65536] __attribute__((aligned(16)));
  char* command[] = {"/bin/sleep", "0.3", NULL};
  ready();
  while (!go()) {
    collect(OK(clone(slow_to_execute, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, (void*)command)), 0);
  }
}

static const struct live_case cases[] = {
    {"threads", threads}, {"forks", forks},  {"fork_200", fork_200},    {"grandchildren", grandchildren},
    {"exec", exec},       {"vfork", vfork_}, {"slow_vfork", slow_vfork}};
RUN_CASES(cases)
