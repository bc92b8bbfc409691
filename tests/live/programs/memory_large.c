// So much memory that a checkpoint that lets the program go on reads it from a shadow (a copy on write): all of it is
// as it was at the freeze, also what a copy made by fork(2) lacks, although the program writes to it meanwhile; and the
// program is told of no child.
// live-cases: written dontfork wipeonfork children subreaper
#include "target.h"

enum { kLength = 24 << 20 };

static unsigned char* memory;
static _Atomic unsigned rounds;

// Keeps every page's first eight bytes equal all over the memory, but for the one place where it is just now.
static void* write_on(void* unused) {
  for (unsigned value = 1; !go(); value++) {
    for (size_t at = 0; at < kLength; at += kPage) *(uint64_t volatile*)(memory + at) = value;
    rounds = value;
  }
  return unused;
}

static void check_one_moment(void) {
  uint64_t first = *(uint64_t*)memory, last = *(uint64_t*)(memory + kLength - kPage);
  CHECK(first == last, "first page says %llu, last %llu", (unsigned long long)first, (unsigned long long)last);
  size_t changes = 0;
  for (size_t at = kPage; at < kLength; at += kPage) {
    changes += *(uint64_t*)(memory + at) != *(uint64_t*)(memory + at - kPage);
  }
  CHECK(changes == 0, "%zu changes", changes);
}

static void written(void) {
  memory = map_anon(kLength, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  pthread_t writer = thread(write_on, NULL);
  while (rounds < 2) pause_ms(1);
  ready();
  pthread_join(writer, NULL);  // it ends its round: then all pages say the same, unless one was of another moment
  check_one_moment();
}

static void advised(int advice) {
  memory = map_anon(kLength, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  OK(madvise(memory + kLength / 2, kLength / 2, advice));
  fill(memory, kLength, 5);
  ready();
  wait_go();
  check_filled(memory, kLength, 5, "memory");
}
static void dontfork(void) { advised(MADV_DONTFORK); }
static void wipeonfork(void) { advised(MADV_WIPEONFORK); }

static void no_children(bool subreaper) {
  if (subreaper) OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
  memory = map_anon(kLength, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  fill(memory, kLength, 6);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  OK(sigprocmask(SIG_BLOCK, &set, NULL));
  ready();
  while (!go()) {
    pid_t pid = waitpid(-1, NULL, WNOHANG | __WALL);
    CHECK(pid == -1 && errno == ECHILD, "there is a child: %d, %s", pid, strerror(errno));
  }
  OK(sigpending(&set));
  SAME(sigismember(&set, SIGCHLD), 0);
  check_filled(memory, kLength, 6, "memory");
}
static void children(void) { no_children(false); }
static void subreaper(void) { no_children(true); }

static const struct live_case cases[] = {{"written", written},
                                         {"dontfork", dontfork},
                                         {"wipeonfork", wipeonfork},
                                         {"children", children},
                                         {"subreaper", subreaper}};
RUN_CASES(cases)
