// Memory copied by fork: pages neither wrote to, and pages that parent or child changed, in three processes.
#include "target.h"

enum { kPages = 64 };
static char* memory;

static void check(unsigned self) {
  for (unsigned page = 0; page < kPages; page++) {
    check_filled(memory + page * kPage, kPage, page % 4 == self ? 1000 * self + page : page, "page");
  }
}

static void other(void* argument) {
  unsigned self = (unsigned)(uintptr_t)argument;
  for (unsigned page = self; page < kPages; page += 4) fill(memory + page * kPage, kPage, 1000 * self + page);
  char name[16];
  snprintf(name, sizeof name, "%u", self);
  mark(name);
  wait_go();
  check(self);
}

int main(void) {
  memory = map_anon(kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  for (unsigned page = 0; page < kPages; page++) fill(memory + page * kPage, kPage, page);
  pid_t first = child(other, (void*)1), second = child(other, (void*)2);
  await_mark("1");
  await_mark("2");
  ready();
  wait_go();
  check(7);
  join_child(first);
  join_child(second);
  pass();
}
