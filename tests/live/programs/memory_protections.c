// Every protection, with content under it: PROT_NONE, read only, write only, execute; also a hole and a guard page.
#include <setjmp.h>

#include "target.h"

static sigjmp_buf out;
static void on_fault(int signal_number) {
  (void)signal_number;
  siglongjmp(out, 1);
}
static bool can_read(const volatile char* address) {
  if (sigsetjmp(out, 1)) return false;
  (void)*address;
  return true;
}
static bool can_write(volatile char* address) {
  if (sigsetjmp(out, 1)) return false;
  *address = *address;
  return true;
}
static bool can_run(char* address) {
  if (sigsetjmp(out, 1)) return false;
  return ((int (*)(void))(uintptr_t)address)() == 42;
}

static const int protections[] = {
    PROT_NONE,  PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC,
    PROT_WRITE, PROT_EXEC};
enum { kCount = sizeof protections / sizeof protections[0] };

static void check(char* memory, int i) {
  int protection = protections[i];
  char what[32];
  snprintf(what, sizeof what, "protection %d", protection);
  // On x86 a page that may be written or run may also be read; protection keys could forbid it for PROT_EXEC alone.
  if (protection != PROT_EXEC) CHECK(can_read(memory) == (protection != 0), "%s: read", what);
  CHECK(can_write(memory) == !!(protection & PROT_WRITE), "%s: write", what);
  CHECK(can_run(memory) == !!(protection & PROT_EXEC), "%s: run", what);
  OK(mprotect(memory, kPage, PROT_READ | PROT_WRITE));
  check_filled(memory + 16, kPage - 16, (unsigned)i, what);
}

int main(void) {
  static const char code[16] = {(char)0xb8, 42, 0, 0, 0, (char)0xc3};  // mov $42, %eax; ret
  signal(SIGSEGV, on_fault);
  char* memory = map_anon((2 * kCount + 1) * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  for (int i = 0; i < kCount; i++) {
    char* here = memory + 2 * i * kPage;
    memcpy(here, code, sizeof code);
    fill(here + 16, kPage - 16, (unsigned)i);
    OK(mprotect(here, kPage, protections[i]));
    if (i == 2) OK(munmap(here + kPage, kPage));
    if (i == 3) OK(mprotect(here + kPage, kPage, PROT_NONE));
  }
  ready();
  wait_go();
  CHECK(!can_read(memory + 5 * kPage), "the hole is mapped");
  CHECK(!can_read(memory + 7 * kPage), "the guard page can be read");
  for (int i = 0; i < kCount; i++) check(memory + 2 * i * kPage, i);
  pass();
}
