// Stacks that grow and the program break: they keep their content and can still grow afterwards.
// live-cases: main_stack growsdown brk
#include "target.h"

enum { kDeep = 300 };

static int recurse(int depth, unsigned seed) {
  char frame[kPage];
  fill(frame, sizeof frame, seed + (unsigned)depth);
  int below = depth > 0 ? recurse(depth - 1, seed) : 0;
  check_filled(frame, sizeof frame, seed + (unsigned)depth, "frame");
  return below + 1;
}

static int recurse_then_wait(int depth) {
  char frame[kPage];
  fill(frame, sizeof frame, (unsigned)depth);
  int below = 0;
  if (depth > 0) {
    below = recurse_then_wait(depth - 1);
  } else {
    ready();
    wait_go();
    SAME(recurse(kDeep, 7000), kDeep + 1);  // grows by more than a megabyte
  }
  check_filled(frame, sizeof frame, (unsigned)depth, "frame");
  return below + 1;
}

static void main_stack(void) { SAME(recurse_then_wait(64), 65); }

static void growsdown(void) {
  enum { kArea = 64 * kPage };
  char* area = map_anon(kArea, PROT_NONE, MAP_PRIVATE);
  OK(munmap(area, kArea));
  char* top = area + kArea - kPage;
  OK(mmap(top, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0));
  fill(top, kPage, 1);
  for (int i = 1; i < 4; i++) fill(top - i * kPage, kPage, 1 + (unsigned)i);
  ready();
  wait_go();
  for (int i = 0; i < 4; i++) check_filled(top - i * kPage, kPage, 1 + (unsigned)i, "grown page");
  for (int i = 4; i < 20; i++) fill(top - i * kPage, kPage, 1 + (unsigned)i);
  for (int i = 4; i < 20; i++) check_filled(top - i * kPage, kPage, 1 + (unsigned)i, "page grown afterwards");
}

static void brk_(void) {
  char* start = sbrk(64 * kPage);
  CHECK(start != (void*)-1, "sbrk: %s", strerror(errno));
  fill(start, 64 * kPage, 3);
  char* end = sbrk(0);
  ready();
  wait_go();
  CHECK(sbrk(0) == end, "the break was %p", (void*)end);
  check_filled(start, 64 * kPage, 3, "below the break");
  CHECK(sbrk(16 * kPage) == end, "sbrk: %s", strerror(errno));
  check_zero(end, 16 * kPage, "grown part");
  fill(end, 16 * kPage, 4);
  CHECK(sbrk(-32 * kPage) == end + 16 * kPage, "sbrk back: %s", strerror(errno));
  check_filled(start, 48 * kPage, 3, "below the lower break");
}

static const struct live_case cases[] = {{"main_stack", main_stack}, {"growsdown", growsdown}, {"brk", brk_}};
RUN_CASES(cases)
