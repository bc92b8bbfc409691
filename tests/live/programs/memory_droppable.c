// Memory that the kernel may drop at any time (MAP_DROPPABLE), where newer C libraries keep the state of getrandom(3):
// a restored process must not have what it held, or two of them would draw the same numbers. It is droppable again.
#include <sys/mman.h>

#include "target.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

// A process that was made again began at another time.
static unsigned long long start_time(void) {
  char text[1024] = "";
  int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0, "/proc/self/stat");
  close(fd);
  unsigned long long began = 0;
  CHECK(sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &began) == 1,
        "%s", text);
  return began;
}

static bool has_flag(const void* at, const char* flag) {
  char line[512], begin[32];
  snprintf(begin, sizeof begin, "%lx-", (unsigned long)at);
  FILE* maps = fopen("/proc/self/smaps", "re");
  CHECK(maps != NULL, "smaps");
  bool here = false, found = false;
  while (fgets(line, sizeof line, maps)) {
    here = here || strncmp(line, begin, strlen(begin)) == 0;
    if (!here || strncmp(line, "VmFlags:", 8) != 0) continue;
    found = strstr(line, flag) != NULL;
    break;
  }
  fclose(maps);
  return found;
}

int main(void) {
  char* droppable = mmap(NULL, 4 * kPage, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
  if (droppable == MAP_FAILED) skip("no droppable memory here");
  char* beside = map_anon(4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  CHECK(has_flag(droppable, " dp"), "another name of the flag");
  fill(droppable, 4 * kPage, 1);
  fill(beside, 4 * kPage, 2);
  const unsigned long long began = start_time();
  ready();
  wait_go();
  if (start_time() != began) check_zero(droppable, 4 * kPage, "what may be dropped");
  CHECK(has_flag(droppable, " dp"), "it is not droppable any more");
  CHECK(!has_flag(beside, " dp"), "something else is droppable");
  check_filled(beside, 4 * kPage, 2, "memory beside it");
  fill(droppable, 4 * kPage, 3);
  check_filled(droppable, 4 * kPage, 3, "written again");
  pass();
}
