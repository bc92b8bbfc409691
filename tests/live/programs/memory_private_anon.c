// Private anonymous memory: pages written, read only as zeros, never touched, and given back by madvise.
#include "target.h"

enum { kPages = 512 };

int main(void) {
  char* memory = map_anon(kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  for (int page = 0; page < kPages; page++) {
    char* here = memory + page * kPage;
    if (page % 4 < 2) fill(here, kPage, (unsigned)page);
    if (page % 4 == 1) OK(madvise(here, kPage, MADV_DONTNEED));
    if (page % 4 == 2) check_zero(here, kPage, "fresh page");
  }
  ready();
  wait_go();
  for (int page = 0; page < kPages; page++) {
    char* here = memory + page * kPage;
    if (page % 4 == 0) check_filled(here, kPage, (unsigned)page, "written page");
    if (page % 4 != 0) check_zero(here, kPage, "empty page");
    here[5] = 1;  // still writable
  }
  pass();
}
