// What the fault tests save: four threads that compute, one that sleeps, a child that waits on a pipe, all without
// asking for memory once they are ready, so that maps, status and fdinfo stay as they are but for what others do to
// them. Ends when the file argv[1]/go appears and writes the sum of a fixed computation to argv[1]/result.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kThreads = 4, kRounds = 2000 };

static char go_path[4096];
static volatile uint64_t steps[kThreads];
static uint64_t sums[kThreads];
static const struct timespec kShort = {0, 2000000};

static int is_time_to_go(void) { return access(go_path, F_OK) == 0; }

// The same number however often it is stopped on the way: each round starts from where the last one ended.
static void* compute(void* argument) {
  const int me = (int)(intptr_t)argument;
  uint64_t x = 88172645463325252ULL + (uint64_t)me;
  for (uint64_t round = 0; round < kRounds || !is_time_to_go(); ++round) {
    for (int i = 0; i < 500 && round < kRounds; ++i) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
    }
    ++steps[me];
    nanosleep(&kShort, NULL);
  }
  sums[me] = x;
  return NULL;
}

static void* sleep_long(void* unused) {
  (void)unused;
  while (!is_time_to_go()) {
    const struct timespec second = {1, 0};
    nanosleep(&second, NULL);
  }
  return NULL;
}

static int serve(int in, int out) {
  char byte;
  while (read(in, &byte, 1) == 1) {
    if (write(out, &byte, 1) != 1) return 1;
  }
  return 0;
}

static void publish(const char* dir, const char* name, const char* text) {
  char from[4200], to[4200];
  snprintf(from, sizeof from, "%s/.%s", dir, name);
  snprintf(to, sizeof to, "%s/%s", dir, name);
  const int fd = open(from, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) < 0 || rename(from, to) < 0) _exit(2);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  snprintf(go_path, sizeof go_path, "%s/go", argv[1]);
  int there[2], back[2];
  if (pipe(there) || pipe(back)) return 2;
  const pid_t child = fork();
  if (child == 0) {
    close(there[1]);
    close(back[0]);
    _exit(serve(there[0], back[1]));
  }
  close(there[0]);
  close(back[1]);
  const int epoll = epoll_create1(EPOLL_CLOEXEC), event = eventfd(3, 0);
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  const struct itimerspec hour = {{0, 0}, {3600, 0}};
  struct epoll_event watch = {.events = EPOLLIN, .data.u64 = 7};
  timerfd_settime(timer, 0, &hour, NULL);
  epoll_ctl(epoll, EPOLL_CTL_ADD, event, &watch);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigprocmask(SIG_BLOCK, &blocked, NULL);
  raise(SIGUSR1);  // pending all the time
  char* shared = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(shared, 's', 1 << 16);

  pthread_t threads[kThreads + 1];
  for (int i = 0; i < kThreads; ++i) pthread_create(&threads[i], NULL, compute, (void*)(intptr_t)i);
  pthread_create(&threads[kThreads], NULL, sleep_long, NULL);
  for (int i = 0; i < kThreads; ++i) {
    while (steps[i] < 3) nanosleep(&kShort, NULL);
  }
  publish(argv[1], "ready", "");
  char byte = 'x';
  for (uint64_t turns = 0; !is_time_to_go(); ++turns) {
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1 || byte != 'x') return 3;
    shared[turns % (1 << 16)] = 't';
    nanosleep(&kShort, NULL);
  }
  for (int i = 0; i <= kThreads; ++i) pthread_join(threads[i], NULL);
  close(there[1]);
  int status = -1;
  waitpid(child, &status, 0);
  uint64_t sum = 0;
  for (int i = 0; i < kThreads; ++i) sum = sum * 31 + sums[i];
  uint64_t count = 0;
  const int ready = epoll_wait(epoll, &watch, 1, 0);
  const int read_back = read(event, &count, sizeof count) == (ssize_t)sizeof count;
  char text[100];
  snprintf(text, sizeof text, "%016lx child %d event %d %d %lu\n", (unsigned long)sum, status, ready, read_back,
           (unsigned long)count);
  publish(argv[1], "result", text);
  return 0;
}
