// What every target program of the live tests is built on.
//
// A program sets something up, calls ready(), goes on until go() is true (most just call wait_go()), checks its own
// state and ends with pass(). In between it is saved, perhaps killed, and restored, once or more; it must not notice.
// Everything here works by files in one directory, so that no kernel object of the harness itself has to be restored:
//   ready   made by the program: it may be saved from now on
//   go      made by the runner: check now; its text is the seconds it may have been dead (allowance())
//   result  made by the program: "PASS", "SKIP: why", or "FAIL: why" of the process that failed first
//   cleanup written by the program: commands for the runner, for what outlives the processes (ipcrm)
//   mark.*  made by processes of one program to tell one another how far they are (mark(), await_mark())
// The directory is $BATON_LIVE_DIR; without it a new one is made and named on stderr, so each program runs by hand.
// In a program of several processes only the first calls ready() and pass(); the others end with _exit(0), and any
// process may call fail(), which ends just that process: the first one finds out by join_child().
#pragma once  // by hand: cc -D_GNU_SOURCE -pthread -I. programs/NAME.c
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNUSED_OK __attribute__((unused))

// A path in the directory of this run; valid until the eighth next call in the same thread.
static UNUSED_OK const char* live_path(const char* name) {
  static char dir[2048], made[] = "/tmp/live.XXXXXX";
  static _Thread_local char paths[8][2300];
  static _Thread_local unsigned next;
  if (!dir[0]) {
    const char* given = getenv("BATON_LIVE_DIR");
    if (!given && mkdtemp(made)) fprintf(stderr, "pid %d: make %s/go to go on, see %s/result\n", getpid(), made, made);
    snprintf(dir, sizeof dir, "%s", given ? given : made);
  }
  char* path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", dir, name);
  return path;
}

// Appears at once with its whole text, or not at all when it is there already.
static UNUSED_OK void live_publish(const char* name, const char* text) {
  char temporary[64];
  snprintf(temporary, sizeof temporary, "new.%d.%ld", getpid(), syscall(SYS_gettid));
  const char* from = live_path(temporary);
  int fd = open(from, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) dprintf(2, "%s: %s\n", from, strerror(errno));
  close(fd);
  if (link(from, live_path(name)) != 0 && errno != EEXIST) dprintf(2, "link %s: %s\n", name, strerror(errno));
  unlink(from);
}

static UNUSED_OK void pause_ms(long ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&time, &time) != 0 && errno == EINTR) continue;
}

__attribute__((noreturn, format(printf, 1, 2))) static UNUSED_OK void fail(const char* format, ...) {
  char text[1024] = "FAIL: ";
  va_list arguments;
  va_start(arguments, format);
  size_t length = strlen(text);
  vsnprintf(text + length, sizeof text - length - 1, format, arguments);
  va_end(arguments);
  length = strlen(text);
  memcpy(text + length, "\n", 2);
  live_publish("result", text);
  _exit(1);
}

// CHECK(condition, "format", ...): what was seen belongs into the text.
#define CHECK(condition, ...)                                                  \
  do {                                                                         \
    if (!(condition)) {                                                        \
      char check_text_[512];                                                   \
      snprintf(check_text_, sizeof check_text_, __VA_ARGS__);                  \
      fail("%s:%d: %s: %s", __FILE_NAME__, __LINE__, #condition, check_text_); \
    }                                                                          \
  } while (0)
// Two integers that must be the same; both are printed.
#define SAME(seen, wanted)                                                                                    \
  do {                                                                                                        \
    long long seen_ = (long long)(seen), wanted_ = (long long)(wanted);                                       \
    CHECK(seen_ == wanted_, "%s is %lld (0x%llx), not %lld (0x%llx)", #seen, seen_, seen_, wanted_, wanted_); \
  } while (0)
// The value of a call that must not fail.
#define OK(call)                                                                                    \
  ({                                                                                                \
    __typeof__(call) value_ = (call);                                                               \
    if ((long)value_ == -1) fail("%s:%d: %s: %s", __FILE_NAME__, __LINE__, #call, strerror(errno)); \
    value_;                                                                                         \
  })
#ifndef __FILE_NAME__
#define __FILE_NAME__ (strrchr("/" __FILE__, '/') + 1)
#endif

// ---- where we are ----

static UNUSED_OK void ready(void) {
  char text[32];
  snprintf(text, sizeof text, "%d\n", getpid());
  live_publish("ready", text);
}
static UNUSED_OK bool go(void) { return access(live_path("go"), F_OK) == 0; }
static UNUSED_OK void wait_go(void) {
  while (!go()) pause_ms(2);
}
__attribute__((noreturn)) static UNUSED_OK void pass(void) {
  live_publish("result", "PASS\n");
  exit(0);
}
// This machine cannot run the program; only before ready().
__attribute__((noreturn)) static UNUSED_OK void skip(const char* why) {
  char text[256];
  snprintf(text, sizeof text, "SKIP: %s\n", why);
  live_publish("result", text);
  _exit(77);
}
static UNUSED_OK void mark(const char* name) {
  char file[128];
  snprintf(file, sizeof file, "mark.%s", name);
  live_publish(file, "");
}
static UNUSED_OK void await_mark(const char* name) {
  char file[128];
  snprintf(file, sizeof file, "mark.%s", name);
  while (access(live_path(file), F_OK) != 0) pause_ms(1);
}

// ---- time ----

static UNUSED_OK double now(clockid_t clock) {
  struct timespec time;
  OK(clock_gettime(clock, &time));
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}
static UNUSED_OK double dead_seconds(int index) {
  FILE* file = fopen(live_path("go"), "re");
  double dead[2] = {0, 0};
  CHECK(file, "go: %s", strerror(errno));
  int got = fscanf(file, "%lf %lf", &dead[0], &dead[1]);
  fclose(file);
  return got == 2 ? dead[index] : 0;
}
// Seconds by which CLOCK_MONOTONIC, or CLOCK_REALTIME, may have gone on while the program was dead, plus what a loaded
// machine may add. Only after go.
static UNUSED_OK double allowance(void) { return dead_seconds(0) + 0.5; }
static UNUSED_OK double wall_allowance(void) { return dead_seconds(1) + 0.5; }

// State of a task as in /proc/PID/stat, such as 'S'.
static UNUSED_OK char task_state(pid_t pid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = OK(open(path, O_RDONLY | O_CLOEXEC));
  ssize_t length = OK(read(fd, text, sizeof text - 1));
  close(fd);
  text[length] = 0;
  char* end = strrchr(text, ')');
  return end ? end[2] : '?';
}
static UNUSED_OK void await_asleep(pid_t pid) {
  for (int seen = 0; seen < 5; pause_ms(2)) seen = task_state(pid) == 'S' ? seen + 1 : 0;
}

// ---- processes and threads ----

// A child that runs `body` and ends with _exit(0).
static UNUSED_OK pid_t child(void (*body)(void*), void* argument) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    body(argument);
    _exit(0);
  }
  return pid;
}
static UNUSED_OK void join_child(pid_t pid) {
  int status;
  SAME(OK(waitpid(pid, &status, 0)), pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child %d ended with status 0x%x", pid, status);
}
static UNUSED_OK pthread_t thread(void* (*body)(void*), void* argument) {
  pthread_t made;
  SAME(pthread_create(&made, NULL, body, argument), 0);
  return made;
}
static UNUSED_OK pid_t tid(void) { return (pid_t)syscall(SYS_gettid); }

// ---- /proc ----

// A field of /proc/PID/status or of a file written like it, as text; "" when it is not there.
static UNUSED_OK const char* proc_field(const char* path, const char* field) {
  static _Thread_local char line[4096];
  FILE* file = fopen(path, "re");
  CHECK(file, "%s: %s", path, strerror(errno));
  size_t length = strlen(field);
  while (fgets(line, sizeof line, file)) {
    if (strncmp(line, field, length) != 0 || line[length] != ':') continue;
    fclose(file);
    line[strcspn(line, "\n")] = 0;
    return line + length + 1 + strspn(line + length + 1, " \t");
  }
  fclose(file);
  return "";
}
// The whole of a small file; the caller frees it.
static UNUSED_OK char* slurp(const char* path, size_t* length) {
  int fd = OK(open(path, O_RDONLY | O_CLOEXEC));
  char* text = calloc(1, 1 << 20);
  size_t size = 0;
  for (ssize_t got; (got = OK(read(fd, text + size, (1 << 20) - 1 - size))) > 0;) size += (size_t)got;
  close(fd);
  if (length) *length = size;
  return text;
}

// ---- memory ----

enum { kPage = 4096 };
// Bytes that differ from page to page and from seed to seed.
static UNUSED_OK void fill(void* memory, size_t length, unsigned seed) {
  uint32_t value = seed * 2654435761u + 1;
  for (size_t i = 0; i < length; i++) {
    value = value * 1664525u + 1013904223u;
    ((unsigned char*)memory)[i] = (unsigned char)(value >> 24);
  }
}
static UNUSED_OK void check_filled(const void* memory, size_t length, unsigned seed, const char* what) {
  uint32_t value = seed * 2654435761u + 1;
  for (size_t i = 0; i < length; i++) {
    value = value * 1664525u + 1013904223u;
    unsigned seen = ((const unsigned char*)memory)[i];
    CHECK(seen == value >> 24, "%s: byte %zu of %zu is 0x%02x, not 0x%02x", what, i, length, seen, value >> 24);
  }
}
static UNUSED_OK void check_zero(const void* memory, size_t length, const char* what) {
  for (size_t i = 0; i < length; i++) {
    CHECK(((const unsigned char*)memory)[i] == 0, "%s: byte %zu is not zero", what, i);
  }
}
static UNUSED_OK void* map_anon(size_t length, int protection, int flags) {
  return OK(mmap(NULL, length, protection, flags | MAP_ANONYMOUS, -1, 0));
}

// ---- programs of several cases, named in a first line "// live-cases: a b" ----

struct live_case {
  const char* name;
  void (*run)(void);
};
static UNUSED_OK void run_case(const struct live_case* cases, size_t count, int argc, char** argv) {
  for (size_t i = 0; argc == 2 && i < count; i++) {
    if (strcmp(cases[i].name, argv[1]) == 0) {
      cases[i].run();
      pass();
    }
  }
  fprintf(stderr, "%s: give one case:", argv[0]);
  for (size_t i = 0; i < count; i++) fprintf(stderr, " %s", cases[i].name);
  fail("no such case: %s", argc == 2 ? argv[1] : "none given");
}
#define RUN_CASES(cases) \
  int main(int argc, char** argv) { run_case(cases, sizeof(cases) / sizeof((cases)[0]), argc, argv); }
