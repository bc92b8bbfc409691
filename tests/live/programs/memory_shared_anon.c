// Shared anonymous memory: content, and that it is still one memory for everyone who has it.
// live-cases: alone parent_child only_children moved part
#include <stdatomic.h>

#include "target.h"

enum { kPages = 32, kSize = kPages * kPage };
static char* memory;

static void wait_for(size_t offset, int value) {
  for (int i = 0; ((atomic_char*)memory)[offset] != value; i++) {
    CHECK(i < 5000, "byte %zu never becomes %d: it is %d", offset, value, memory[offset]);
    pause_ms(1);
  }
}

static void answer(void* unused) {
  (void)unused;
  mark("child");
  wait_go();
  check_filled(memory, kSize - kPage, 5, "in the child");
  wait_for(kSize - 1, 1);
  ((atomic_char*)memory)[kSize - 2] = 2;
}

static void make(void) {
  memory = map_anon(kSize, PROT_READ | PROT_WRITE, MAP_SHARED);
  fill(memory, kSize - kPage, 5);
}

static void ask(void) {
  check_filled(memory, kSize - kPage, 5, "in the parent");
  ((atomic_char*)memory)[kSize - 1] = 1;
  wait_for(kSize - 2, 2);
}

static void alone(void) {
  make();
  ready();
  wait_go();
  check_filled(memory, kSize - kPage, 5, "memory");
  check_zero(memory + kSize - kPage, kPage, "memory");
}

static void parent_child(void) {
  make();
  pid_t pid = child(answer, NULL);
  await_mark("child");
  ready();
  wait_go();
  ask();
  join_child(pid);
}

static void asker(void* unused) {
  (void)unused;
  mark("asker");
  wait_go();
  ask();
}

static void only_children(void) {
  make();
  pid_t first = child(answer, NULL), second = child(asker, NULL);
  OK(munmap(memory, kSize));
  await_mark("child");
  await_mark("asker");
  ready();
  wait_go();
  join_child(first);
  join_child(second);
}

static void moved(void) {
  make();
  pid_t pid = child(answer, NULL);
  await_mark("child");
  char* place = map_anon(kSize + kPage, PROT_NONE, MAP_PRIVATE);
  OK(mremap(memory, kSize, kSize, MREMAP_MAYMOVE | MREMAP_FIXED, place + kPage));
  memory = place + kPage;
  ready();
  wait_go();
  ask();
  join_child(pid);
}

static void part(void) {
  make();
  pid_t pid = child(answer, NULL);
  await_mark("child");
  OK(munmap(memory, 4 * kPage));  // only the parent's view begins later
  ready();
  wait_go();
  ((atomic_char*)memory)[kSize - 1] = 1;
  wait_for(kSize - 2, 2);
  CHECK(msync(memory, kPage, MS_ASYNC) == -1 && errno == ENOMEM, "the unmapped part is mapped");
  join_child(pid);
}

static const struct live_case cases[] = {{"alone", alone},
                                         {"parent_child", parent_child},
                                         {"only_children", only_children},
                                         {"moved", moved},
                                         {"part", part}};
RUN_CASES(cases)
