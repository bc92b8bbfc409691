// /proc/self/maps is the same before and after, but for neighbours of the same kind that the kernel has joined.
// live-cases: plain many_mappings sparse mremap
#include "target.h"

enum { kMost = 4000 };

struct area {
  unsigned long start, end, offset, inode;
  char protection[5], device[16], name[200];
};
static struct area before[kMost], after[kMost];  // nothing here may allocate: it would change the maps
static char text[1 << 20];

static bool joins(const struct area* last, const struct area* next) {
  return last->end == next->start && !strcmp(last->protection, next->protection) && !strcmp(last->name, next->name) &&
         !strcmp(last->device, next->device) && last->inode == next->inode &&
         (!last->inode || last->offset + (last->end - last->start) == next->offset);
}

static int read_maps(struct area* areas) {
  int fd = OK(open("/proc/self/maps", O_RDONLY | O_CLOEXEC)), count = 0;
  size_t size = 0;
  for (ssize_t got; (got = OK(read(fd, text + size, sizeof text - 1 - size))) > 0;) size += (size_t)got;
  close(fd);
  text[size] = 0;
  for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
    struct area* area = &areas[count];
    int name_at = 0;
    *end = 0;
    SAME(sscanf(line, "%lx-%lx %4s %lx %15s %lu %n", &area->start, &area->end, area->protection, &area->offset,
                area->device, &area->inode, &name_at),
         6);
    snprintf(area->name, sizeof area->name, "%s", line + name_at);
    if (count > 0 && joins(area - 1, area)) {
      area[-1].end = area->end;
    } else if (++count == kMost) {
      fail("too many mappings");
    }
  }
  return count;
}

static void describe(char* to, size_t size, const struct area* area) {
  snprintf(to, size, "%lx-%lx %s %lx %lu %s", area->start, area->end, area->protection, area->offset, area->inode,
           area->name);
}

static bool same(const struct area* a, const struct area* b) {
  return a->start == b->start && a->end == b->end && a->offset == b->offset && a->inode == b->inode &&
         !strcmp(a->protection, b->protection) && !strcmp(a->name, b->name);
}

static void compare(void) {
  int count = read_maps(before);
  ready();
  wait_go();
  int now_count = read_maps(after);
  for (int i = 0; i < count && i < now_count; i++) {
    char was[400], is[400];
    describe(was, sizeof was, &before[i]);
    describe(is, sizeof is, &after[i]);
    CHECK(same(&before[i], &after[i]), "was '%s', is '%s'", was, is);
  }
  SAME(now_count, count);
}

static void plain(void) { compare(); }

static void many_mappings(void) {
  char* memory = map_anon(2000 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  for (int page = 0; page < 2000; page += 2) {
    memory[page * kPage] = (char)page;
    OK(mprotect(memory + page * kPage, kPage, PROT_READ));
  }
  compare();
  for (int page = 0; page < 2000; page += 2) SAME(memory[page * kPage], (char)page);
}

static void sparse(void) {
  size_t size = (size_t)1 << 40;
  char* memory = map_anon(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE);
  for (unsigned i = 0; i < 64; i++) fill(memory + ((size_t)i << 34), 100, i);
  compare();
  for (unsigned i = 0; i < 64; i++) check_filled(memory + ((size_t)i << 34), 100, i, "island");
}

static void mremap_(void) {
  char* memory = map_anon(16 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  fill(memory, 16 * kPage, 1);
  char* place = map_anon(64 * kPage, PROT_NONE, MAP_PRIVATE);
  char* moved = OK(mremap(memory, 8 * kPage, 32 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, place));
  compare();
  char bytes[16 * kPage];
  fill(bytes, sizeof bytes, 1);
  CHECK(!memcmp(moved, bytes, 8 * kPage), "the moved part differs");
  CHECK(!memcmp(memory + 8 * kPage, bytes + 8 * kPage, 8 * kPage), "the part that stayed differs");
  check_zero(moved + 8 * kPage, 24 * kPage, "the grown part");
}

static const struct live_case cases[] = {
    {"plain", plain}, {"many_mappings", many_mappings}, {"sparse", sparse}, {"mremap", mremap_}};
RUN_CASES(cases)
