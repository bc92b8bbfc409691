// What PR_SET_MM sets: code, data, heap, stack, arguments and environment in /proc/self/stat; auxv, cmdline, exe.
// live-cases: stat auxv cmdline environ overwritten exe
#include <elf.h>
#include <sys/auxv.h>

#include "target.h"

// Fields 26-28 and 45-51 of proc_pid_stat(5): startcode endcode startstack start_data ... env_end.
static void stat_fields(unsigned long* values) {
  static const int wanted[] = {26, 27, 28, 45, 46, 47, 48, 49, 50, 51};
  char* text = slurp("/proc/self/stat", NULL);
  char* at = strrchr(text, ')') + 2;
  int next = 0;
  for (int field = 3; *at && next < 10; field++) {
    if (field == wanted[next]) values[next++] = strtoul(at, NULL, 10);
    at += strcspn(at, " ");
    at += strspn(at, " ");
  }
  SAME(next, 10);
  free(text);
}

static void stat_(void) {
  unsigned long before[10], after[10];
  stat_fields(before);
  CHECK(before[0] > 1, "startcode is hidden");
  ready();
  wait_go();
  stat_fields(after);
  for (int i = 0; i < 10; i++) CHECK(before[i] == after[i], "value %d: 0x%lx became 0x%lx", i, before[i], after[i]);
}

static void compare_file(const char* path) {
  size_t length_before, length_after;
  char* before = slurp(path, &length_before);
  CHECK(length_before > 0, "%s is empty", path);
  ready();
  wait_go();
  char* after = slurp(path, &length_after);
  SAME(length_after, length_before);
  CHECK(!memcmp(before, after, length_after), "%s: '%s' became '%s'", path, before, after);
  free(before);
  free(after);
}

static void auxv(void) {
  unsigned long vdso = getauxval(AT_SYSINFO_EHDR);
  compare_file("/proc/self/auxv");
  SAME(getauxval(AT_SYSINFO_EHDR), vdso);
  CHECK(!memcmp((void*)vdso, ELFMAG, SELFMAG), "no vdso at its place");
}
static void cmdline(void) { compare_file("/proc/self/cmdline"); }
static void environ_(void) { compare_file("/proc/self/environ"); }

extern char** environ;
static char* first_argument;
// As daemons do to show their state in ps; nothing but the memory tells.
static void overwritten(void) {
  memset(first_argument, 'x', strlen(first_argument));
  compare_file("/proc/self/cmdline");
  SAME(first_argument[0], 'x');
}

static void exe(void) {
  char before[4096] = "", after[4096] = "";
  OK(readlink("/proc/self/exe", before, sizeof before - 1));
  ready();
  wait_go();
  OK(readlink("/proc/self/exe", after, sizeof after - 1));
  CHECK(!strcmp(before, after), "'%s' became '%s'", before, after);
}

static const struct live_case cases[] = {
    {"stat", stat_}, {"auxv", auxv}, {"cmdline", cmdline}, {"environ", environ_}, {"overwritten", overwritten},
    {"exe", exe}};
int main(int argc, char** argv) {
  first_argument = argv[0];
  live_path("");  // reads the environment, which a case may overwrite
  run_case(cases, sizeof cases / sizeof cases[0], argc, argv);
}
