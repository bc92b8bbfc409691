// Pages that fault by their mark (MADV_GUARD_INSTALL), amid memory with content: still there, and nowhere else.
#include <sys/mman.h>

#include "target.h"

enum { kPages = 600, kGuardInstall = 102, kGuardRemove = 103 };
static bool guarded(int page) { return page % 7 == 3 || (page > 100 && page < 120); }

static char* memory;
static bool faults(int page) {
  int ends[2];
  OK(pipe(ends));
  bool failed = write(ends[1], memory + page * kPage, 1) == -1 && errno == EFAULT;
  close(ends[0]);
  close(ends[1]);
  return failed;
}

int main(void) {
  memory = map_anon(kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  for (int i = 0; i < kPages; i++) {
    if (guarded(i) && madvise(memory + i * kPage, kPage, kGuardInstall) != 0) skip("no guard pages here");
    if (!guarded(i)) fill(memory + i * kPage, kPage, (unsigned)i);
  }
  ready();
  wait_go();
  for (int i = 0; i < kPages; i++) {
    CHECK(faults(i) == guarded(i), "page %d", i);
    if (!guarded(i)) check_filled(memory + i * kPage, kPage, (unsigned)i, "page");
  }
  OK(madvise(memory + 3 * kPage, kPage, kGuardRemove));
  check_zero(memory + 3 * kPage, kPage, "a page that was guarded");
  pass();
}
