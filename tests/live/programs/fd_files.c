// Open regular files and directories: offset, access, status flags, sharing, and names that have changed.
// live-cases: offset append flags read_only write_only dup forked opened_twice deleted deleted_shared deleted_sparse
// live-cases: renamed replaced linked directory directory_position path truncated_after large
#include "target.h"

enum { kSize = 10000 };
static char bytes[kSize];

static int make(const char* name, int flags) {
  fill(bytes, kSize, 1);
  int fd = OK(open(live_path(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  SAME(OK(write(fd, bytes, kSize)), kSize);
  OK(close(fd));
  return OK(open(live_path(name), flags | O_CLOEXEC));
}
static void until_go(void) {
  ready();
  wait_go();
}
static void check_read(int fd, int from, int length) {
  char seen[kSize];
  SAME(OK(read(fd, seen, (size_t)length)), length);
  CHECK(!memcmp(seen, bytes + from, (size_t)length), "content at %d differs", from);
}
static void check_content(int fd) {
  char seen[kSize + 1];
  SAME(OK(pread(fd, seen, sizeof seen, 0)), kSize);
  CHECK(!memcmp(seen, bytes, kSize), "content differs");
}

static void offset(void) {
  int first = make("file", O_RDWR), second = make("other", O_RDWR), third = make("third", O_RDWR);
  check_read(first, 0, 1234);
  OK(lseek(second, 1 << 30, SEEK_SET));
  OK(lseek(third, 0, SEEK_END));
  until_go();
  SAME(lseek(first, 0, SEEK_CUR), 1234);
  check_read(first, 1234, 1000);
  SAME(lseek(second, 0, SEEK_CUR), 1 << 30);
  SAME(lseek(third, 0, SEEK_CUR), kSize);
  check_content(second);
}

static void append(void) {
  int fd = make("file", O_WRONLY | O_APPEND);
  SAME(OK(write(fd, bytes, 100)), 100);
  OK(lseek(fd, 7, SEEK_SET));
  until_go();
  SAME(lseek(fd, 0, SEEK_CUR), 7);
  SAME(OK(write(fd, "end", 3)), 3);
  SAME(lseek(fd, 0, SEEK_CUR), kSize + 103);
  struct stat facts;
  OK(fstat(fd, &facts));
  SAME(facts.st_size, kSize + 103);
}

static void flags(void) {
  static const int flag_sets[] = {O_RDWR | O_NONBLOCK, O_RDONLY | O_NOATIME, O_WRONLY | O_SYNC,
                                  O_RDWR | O_DSYNC | O_APPEND, O_RDONLY | O_NOFOLLOW};
  enum { kSets = sizeof flag_sets / sizeof flag_sets[0] };
  int fds[kSets], before[kSets];
  for (int i = 0; i < kSets; i++) {
    fds[i] = make("file", flag_sets[i]);
    before[i] = OK(fcntl(fds[i], F_GETFL));
  }
  until_go();
  for (int i = 0; i < kSets; i++) SAME(fcntl(fds[i], F_GETFL), before[i]);
}

static void read_only(void) {
  int fd = make("file", O_RDONLY);
  until_go();
  CHECK(write(fd, "x", 1) == -1 && errno == EBADF, "can be written");
  check_read(fd, 0, 100);
}
static void write_only(void) {
  int fd = make("file", O_WRONLY);
  char byte;
  until_go();
  CHECK(read(fd, &byte, 1) == -1 && errno == EBADF, "can be read");
  SAME(OK(write(fd, bytes, 1)), 1);
}

static void dup_(void) {
  int fd = make("file", O_RDWR), same = OK(fcntl(fd, F_DUPFD_CLOEXEC, 50)), kept = OK(dup(fd));
  until_go();
  OK(lseek(fd, 4321, SEEK_SET));
  SAME(lseek(same, 0, SEEK_CUR), 4321);
  SAME(lseek(kept, 0, SEEK_CUR), 4321);
  SAME(fcntl(same, F_GETFD), FD_CLOEXEC);
  SAME(fcntl(kept, F_GETFD), 0);
  OK(fcntl(kept, F_SETFL, O_APPEND));
  SAME(fcntl(fd, F_GETFL) & O_APPEND, O_APPEND);
}

static int shared_fd;
static void mover(void* unused) {
  (void)unused;
  mark("mover");
  wait_go();
  check_read(shared_fd, 500, 500);
  mark("moved");
}
static void with_child(int fd) {
  shared_fd = fd;
  OK(lseek(fd, 500, SEEK_SET));
  pid_t pid = child(mover, NULL);
  await_mark("mover");
  until_go();
  await_mark("moved");
  SAME(lseek(fd, 0, SEEK_CUR), 1000);
  check_read(fd, 1000, 500);
  join_child(pid);
}
static void forked(void) { with_child(make("file", O_RDWR)); }
static void opened_twice(void) {
  int first = make("file", O_RDWR), second = OK(open(live_path("file"), O_RDWR | O_CLOEXEC));
  OK(lseek(first, 10, SEEK_SET));
  OK(lseek(second, 20, SEEK_SET));
  until_go();
  SAME(lseek(first, 0, SEEK_CUR), 10);
  SAME(lseek(second, 0, SEEK_CUR), 20);
  OK(lseek(first, 30, SEEK_SET));
  SAME(lseek(second, 0, SEEK_CUR), 20);
}

static void deleted(void) {
  int fd = make("file", O_RDWR);
  OK(lseek(fd, 77, SEEK_SET));
  OK(unlink(live_path("file")));
  until_go();
  SAME(lseek(fd, 0, SEEK_CUR), 77);
  check_content(fd);
  struct stat facts;
  OK(fstat(fd, &facts));
  SAME(facts.st_nlink, 0);
  SAME(facts.st_mode & 07777, 0644);
  CHECK(access(live_path("file"), F_OK) == -1, "the name is back");
}
static void deleted_shared(void) {
  int fd = make("file", O_RDWR), reading = OK(open(live_path("file"), O_RDONLY | O_CLOEXEC));
  OK(unlink(live_path("file")));
  with_child(fd);
  SAME(OK(pwrite(fd, "changed", 7, 0)), 7);
  char seen[7];
  SAME(OK(pread(reading, seen, 7, 0)), 7);
  CHECK(!memcmp(seen, "changed", 7), "the other descriptor has another file");
}
static void deleted_sparse(void) {
  int fd = make("file", O_RDWR);
  OK(ftruncate(fd, (off_t)1 << 33));
  SAME(OK(pwrite(fd, "far", 3, (off_t)1 << 32)), 3);
  OK(unlink(live_path("file")));
  until_go();
  struct stat facts;
  char seen[3];
  OK(fstat(fd, &facts));
  SAME(facts.st_size, (off_t)1 << 33);
  SAME(OK(pread(fd, seen, 3, (off_t)1 << 32)), 3);
  CHECK(!memcmp(seen, "far", 3), "content differs");
  CHECK(facts.st_blocks < 100000, "the holes are filled: %lld blocks", (long long)facts.st_blocks);
}

static void renamed(void) {
  int fd = make("file", O_RDWR);
  OK(rename(live_path("file"), live_path("new name")));
  until_go();
  check_content(fd);
  struct stat by_fd, by_name;
  OK(fstat(fd, &by_fd));
  OK(stat(live_path("new name"), &by_name));
  SAME(by_fd.st_ino, by_name.st_ino);
}
static void replaced(void) {
  int fd = make("file", O_RDWR);
  OK(lseek(fd, 3, SEEK_SET));
  OK(unlink(live_path("file")));
  int other = OK(open(live_path("file"), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  SAME(OK(write(other, "another", 7)), 7);
  until_go();
  check_content(fd);
  char seen[10];
  SAME(OK(pread(other, seen, 10, 0)), 7);
  CHECK(!memcmp(seen, "another", 7), "the file that has the name now");
}
static void linked(void) {
  int fd = make("file", O_RDWR);
  OK(link(live_path("file"), live_path("second name")));
  OK(unlink(live_path("file")));
  until_go();
  check_content(fd);
  SAME(OK(pwrite(fd, bytes, 1, 0)), 1);
}

static void directory(void) {
  OK(mkdir(live_path("dir"), 0755));
  int fd = OK(open(live_path("dir"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int gone_fd = (OK(mkdir(live_path("gone"), 0700)), OK(open(live_path("gone"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  OK(rmdir(live_path("gone")));
  until_go();
  close(OK(openat(fd, "inside", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)));
  OK(unlinkat(fd, "inside", 0));
  CHECK(openat(gone_fd, "x", O_CREAT | O_WRONLY, 0600) == -1 && errno == ENOENT, "the removed directory is back");
}
enum { kEntries = 200 };
// Counts the entries that one call returns in a small buffer; 0 at the end.
static int read_entries(int fd, int* names) {
  char buffer[700];
  struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
  };
  long got = OK(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
  int count = 0, number;
  for (long at = 0; at < got;) {
    struct entry* entry = (struct entry*)(buffer + at);
    if (sscanf(entry->name, "entry-with-a-long-name-%d", &number) == 1) names[number]++;
    at += entry->length;
    count++;
  }
  return count;
}
static void directory_position(void) {
  int names[kEntries] = {0};
  OK(mkdir(live_path("dir"), 0755));
  for (int i = 0; i < kEntries; i++) {
    char name[64];
    snprintf(name, sizeof name, "dir/entry-with-a-long-name-%d", i);
    close(OK(open(live_path(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)));
  }
  int fd = OK(open(live_path("dir"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < 5; i++) CHECK(read_entries(fd, names) > 0, "the directory ends at once");
  until_go();
  while (read_entries(fd, names) > 0) continue;
  for (int i = 0; i < kEntries; i++) CHECK(names[i] == 1, "entry %d came %d times", i, names[i]);
}

static void path(void) {
  make("file", O_RDONLY);
  int fd = OK(open(live_path("file"), O_PATH | O_CLOEXEC));
  int link_fd = (OK(symlink("file", live_path("link"))), OK(open(live_path("link"), O_PATH | O_NOFOLLOW | O_CLOEXEC)));
  until_go();
  SAME(fcntl(fd, F_GETFL) & O_PATH, O_PATH);
  char name[64];
  CHECK(read(fd, name, 1) == -1 && errno == EBADF, "can be read");
  SAME(OK(readlinkat(link_fd, "", name, sizeof name)), 4);
}

static void truncated_after(void) {
  int fd = make("file", O_RDWR);
  OK(lseek(fd, kSize, SEEK_SET));
  OK(ftruncate(fd, 100));
  until_go();
  SAME(lseek(fd, 0, SEEK_CUR), kSize);
  char byte;
  SAME(OK(read(fd, &byte, 1)), 0);
}
static void large(void) {
  int fd = make("file", O_RDWR);
  OK(lseek(fd, ((off_t)1 << 40) + 5, SEEK_SET));
  until_go();
  SAME(lseek(fd, 0, SEEK_CUR), ((off_t)1 << 40) + 5);
}

static const struct live_case cases[] = {{"offset", offset},
                                         {"append", append},
                                         {"flags", flags},
                                         {"read_only", read_only},
                                         {"write_only", write_only},
                                         {"dup", dup_},
                                         {"forked", forked},
                                         {"opened_twice", opened_twice},
                                         {"deleted", deleted},
                                         {"deleted_shared", deleted_shared},
                                         {"deleted_sparse", deleted_sparse},
                                         {"renamed", renamed},
                                         {"replaced", replaced},
                                         {"linked", linked},
                                         {"directory", directory},
                                         {"directory_position", directory_position},
                                         {"path", path},
                                         {"truncated_after", truncated_after},
                                         {"large", large}};
RUN_CASES(cases)
