// Memory from a file: private with some pages written, shared, read only, and of a file that was deleted.
// live-cases: private private_part shared shared_two read_only deleted_private deleted_shared past_end
#include "target.h"

enum { kPages = 16, kSize = kPages * kPage };

static const char* file_name(void) { return live_path("mapped file"); }

static char* map_file(int protection, int flags, size_t length, off_t offset) {
  char* bytes = malloc(kSize);
  fill(bytes, kSize, 9);
  int fd = OK(open(file_name(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  SAME(OK(write(fd, bytes, kSize)), kSize);
  free(bytes);
  char* memory = OK(mmap(NULL, length, protection, flags, fd, offset));
  OK(close(fd));
  return memory;
}

static void check_file(const char* what) {
  size_t length;
  char* bytes = slurp(file_name(), &length);
  SAME(length, kSize);
  check_filled(bytes, kSize, 9, what);
  free(bytes);
}

static void until_go(void) {
  ready();
  wait_go();
}

static void check_written_pages(const char* memory, const char* original) {
  for (unsigned page = 0; page < kPages; page++) {
    if (page % 3 == 0) check_filled(memory + page * kPage, kPage, page, "written page");
    if (page % 3 != 0) CHECK(!memcmp(memory + page * kPage, original + page * kPage, kPage), "page %u differs", page);
  }
}

static void written_private(bool deleted) {
  char original[kSize];
  char* memory = map_file(PROT_READ | PROT_WRITE, MAP_PRIVATE, kSize, 0);
  fill(original, kSize, 9);
  for (unsigned page = 0; page < kPages; page += 3) fill(memory + page * kPage, kPage, page);
  if (deleted) OK(unlink(file_name()));
  until_go();
  check_written_pages(memory, original);
  if (!deleted) check_file("the file under a private mapping");
  memory[kPage] ^= 1;
}
static void private_(void) { written_private(false); }
static void deleted_private(void) { written_private(true); }

static void private_part(void) {
  char original[kSize];
  char* memory = map_file(PROT_READ | PROT_WRITE, MAP_PRIVATE, 4 * kPage, 8 * kPage);
  fill(original, kSize, 9);
  memory[0] ^= 0x55;
  until_go();
  memory[0] ^= 0x55;
  CHECK(!memcmp(memory, original + 8 * kPage, 4 * kPage), "content differs");
}

static void shared(void) {
  char* memory = map_file(PROT_READ | PROT_WRITE, MAP_SHARED, kSize, 0);
  until_go();
  check_filled(memory, kSize, 9, "memory");
  int fd = OK(open(file_name(), O_RDWR | O_CLOEXEC));
  char seen = 0;
  memory[77] ^= 1;  // goes to the file, and back for the next one who looks
  SAME(OK(pread(fd, &seen, 1, 77)), 1);
  SAME(seen, memory[77]);
  memory[77] ^= 1;
  check_file("the file under a shared mapping");
}

static char* both;
static void reader(void* unused) {
  (void)unused;
  mark("reader");
  wait_go();
  for (int i = 0; both[5] != 77; i++) {
    CHECK(i < 5000, "the parent's write is not seen");
    pause_ms(1);
  }
}
static void shared_two(void) {
  both = map_file(PROT_READ | PROT_WRITE, MAP_SHARED, kSize, 0);
  char before = both[5];
  pid_t pid = child(reader, NULL);
  await_mark("reader");
  until_go();
  both[5] = 77;
  join_child(pid);
  both[5] = before;
  check_file("the file under two mappings");
}

static void read_only(void) {
  char* memory = map_file(PROT_READ, MAP_SHARED, kSize, 0);
  until_go();
  check_filled(memory, kSize, 9, "memory");
}

static void deleted_shared(void) {
  char* memory = map_file(PROT_READ | PROT_WRITE, MAP_SHARED, kSize, 0);
  OK(unlink(file_name()));
  fill(memory + kPage, kPage, 3);
  both = memory;
  pid_t pid = child(reader, NULL);
  await_mark("reader");
  until_go();
  check_filled(memory + kPage, kPage, 3, "memory");
  memory[5] = 77;
  join_child(pid);
}

static void past_end(void) {
  char* memory = map_file(PROT_READ | PROT_WRITE, MAP_PRIVATE, 2 * kSize, 0);
  fill(memory + kPage, kPage, 4);
  until_go();
  check_filled(memory + kPage, kPage, 4, "memory");
  unsigned char resident[2 * kPages];
  OK(mincore(memory, 2 * kSize, resident));  // the whole range is still mapped
}

static const struct live_case cases[] = {{"private", private_},
                                         {"private_part", private_part},
                                         {"shared", shared},
                                         {"shared_two", shared_two},
                                         {"read_only", read_only},
                                         {"deleted_private", deleted_private},
                                         {"deleted_shared", deleted_shared},
                                         {"past_end", past_end}};
RUN_CASES(cases)
