// Transparent huge pages with content, also one given back in part; pages of hugetlbfs where the machine has some.
// live-cases: transparent transparent_shared_by_fork hugetlb
// live-needs: hugetlb test "$(cat /proc/sys/vm/nr_hugepages)" -ge 8
#include "target.h"

enum { kHuge = 2 << 20, kCount = 4 };

static char* huge_area(void) {
  char* memory = map_anon((kCount + 1) * kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  memory = (char*)(((uintptr_t)memory + kHuge - 1) / kHuge * kHuge);
  if (madvise(memory, kCount * kHuge, MADV_HUGEPAGE) != 0) skip("no transparent huge pages in this kernel");
  for (int i = 0; i < kCount; i++) fill(memory + i * kHuge, kHuge, (unsigned)i);
  return memory;
}

static void check_huge(const char* memory) {
  check_filled(memory, kHuge, 0, "first");
  check_filled(memory + kHuge, kPage, 1, "second before the hole");
  check_zero(memory + kHuge + kPage, kPage, "hole");
  check_filled(memory + 2 * kHuge, kHuge, 2, "third");
}

static void transparent(void) {
  char* memory = huge_area();
  OK(madvise(memory + kHuge + kPage, kHuge - kPage, MADV_DONTNEED));
  ready();
  wait_go();
  check_huge(memory);
  fill(memory, kHuge, 8);
  check_filled(memory, kHuge, 8, "written again");
}

static char* forked;
static void other(void* unused) {
  (void)unused;
  fill(forked + 3 * kHuge, kPage, 50);
  mark("other");
  wait_go();
  check_huge(forked);
  check_filled(forked + 3 * kHuge, kPage, 50, "the child's page");
}
static void transparent_shared_by_fork(void) {
  forked = huge_area();
  OK(madvise(forked + kHuge + kPage, kHuge - kPage, MADV_DONTNEED));
  pid_t pid = child(other, NULL);
  await_mark("other");
  ready();
  wait_go();
  check_huge(forked);
  check_filled(forked + 3 * kHuge, kHuge, 3, "the parent's page");
  join_child(pid);
}

static void hugetlb(void) {
  char* memory = mmap(NULL, kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
  if (memory == MAP_FAILED) skip("no pages reserved in /proc/sys/vm/nr_hugepages");
  fill(memory, kHuge, 11);
  ready();
  wait_go();
  check_filled(memory, kHuge, 11, "hugetlb page");
}

static const struct live_case cases[] = {
    {"transparent", transparent}, {"transparent_shared_by_fork", transparent_shared_by_fork}, {"hugetlb", hugetlb}};
RUN_CASES(cases)
