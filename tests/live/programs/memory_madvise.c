// Advice that marks a mapping: its flag in /proc/self/smaps and its content are kept.
// live-cases: DONTFORK DONTDUMP MERGEABLE HUGEPAGE NOHUGEPAGE WIPEONFORK SEQUENTIAL RANDOM
#include "target.h"

enum { kSize = 4 << 20 };

static const struct advice {
  const char* name;
  int advice;
  const char* flag;
} advices[] = {{"DONTFORK", MADV_DONTFORK, "dc"},     {"DONTDUMP", MADV_DONTDUMP, "dd"},
               {"MERGEABLE", MADV_MERGEABLE, "mg"},   {"HUGEPAGE", MADV_HUGEPAGE, "hg"},
               {"NOHUGEPAGE", MADV_NOHUGEPAGE, "nh"}, {"WIPEONFORK", MADV_WIPEONFORK, "wf"},
               {"SEQUENTIAL", MADV_SEQUENTIAL, "sr"}, {"RANDOM", MADV_RANDOM, "rr"}};

static bool has_flag(const char* address, const char* flag) {
  char line[4096], wanted[8];
  FILE* file = fopen("/proc/self/smaps", "re");
  CHECK(file, "smaps: %s", strerror(errno));
  bool inside = false, found = false;
  snprintf(wanted, sizeof wanted, " %s ", flag);
  while (fgets(line, sizeof line, file)) {
    unsigned long start, end;
    if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
      inside = (unsigned long)address >= start && (unsigned long)address < end;
    if (inside && strncmp(line, "VmFlags:", 8) == 0) found = strstr(line, wanted) != NULL;
  }
  fclose(file);
  return found;
}

int main(int argc, char** argv) {
  for (size_t i = 0; argc == 2 && i < sizeof advices / sizeof advices[0]; i++) {
    if (strcmp(argv[1], advices[i].name) != 0) continue;
    char* memory = map_anon(3 * kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    fill(memory, 3 * kSize, 6);
    if (madvise(memory + kSize, kSize, advices[i].advice) != 0) skip("madvise: not in this kernel");
    CHECK(has_flag(memory + kSize, advices[i].flag), "no flag %s before", advices[i].flag);
    ready();
    wait_go();
    CHECK(has_flag(memory + kSize, advices[i].flag), "flag %s is lost", advices[i].flag);
    CHECK(!has_flag(memory, advices[i].flag), "flag %s came before it", advices[i].flag);
    CHECK(!has_flag(memory + 2 * kSize, advices[i].flag), "flag %s came after it", advices[i].flag);
    check_filled(memory, 3 * kSize, 6, argv[1]);
    pass();
  }
  fail("no such case");
}
