// Pipes and FIFOs: bytes and packets in them, flags, size, ends in other processes, and ends that are closed.
// live-cases: bytes full packets flags size two_processes writer_gone reader_gone many fifo fifo_bytes fifo_deleted
// live-cases: fifo_two_openers partly_read blocked_writer
// live-without: pid-running.blocked_writer  its write ends before the stop and it goes on: nothing to compare
#include <stdatomic.h>

#include "target.h"

static int ends[2];

static void make(int flags) { OK(pipe2(ends, O_CLOEXEC | flags)); }
static void put(int fd, size_t length, unsigned seed) {
  char* bytes = malloc(length);
  fill(bytes, length, seed);
  SAME(OK(write(fd, bytes, length)), length);
  free(bytes);
}
static void get(int fd, size_t length, unsigned seed) {
  char* bytes = malloc(length);
  for (size_t have = 0; have < length;) {
    ssize_t got = OK(read(fd, bytes + have, length - have));
    CHECK(got > 0, "ends after %zu of %zu bytes", have, length);
    have += (size_t)got;
  }
  check_filled(bytes, length, seed, "bytes of the pipe");
  free(bytes);
}
static void check_empty(int fd) {
  char byte;
  OK(fcntl(fd, F_SETFL, O_NONBLOCK));
  CHECK(read(fd, &byte, 1) == -1 && errno == EAGAIN, "not empty: %s", strerror(errno));
}
static void until_go(void) {
  ready();
  wait_go();
}

static void bytes(void) {
  make(0);
  put(ends[1], 10000, 1);
  until_go();
  get(ends[0], 10000, 1);
  check_empty(ends[0]);
  put(ends[1], 5, 2);
  get(ends[0], 5, 2);
}

static void full(void) {
  make(O_NONBLOCK);
  size_t count = 0;
  while (write(ends[1], &(char[kPage]){(char)count}, kPage) == kPage) count++;
  until_go();
  CHECK(write(ends[1], "x", 1) == -1 && errno == EAGAIN, "no longer full");
  for (size_t i = 0; i < count; i++) {
    char page[kPage];
    SAME(OK(read(ends[0], page, kPage)), kPage);
    SAME(page[0], (char)i);
  }
  check_empty(ends[0]);
}

static void packets(void) {
  make(O_DIRECT);
  put(ends[1], 10, 1);
  put(ends[1], 4000, 2);
  put(ends[1], 1, 3);
  until_go();
  char buffer[kPage];
  static const int sizes[] = {10, 4000, 1};
  for (int i = 0; i < 3; i++) {
    SAME(OK(read(ends[0], buffer, sizeof buffer)), sizes[i]);
    check_filled(buffer, (size_t)sizes[i], 1 + (unsigned)i, "packet");
  }
  SAME(fcntl(ends[1], F_GETFL) & O_DIRECT, O_DIRECT);
}

static void flags(void) {
  make(0);
  OK(fcntl(ends[0], F_SETFL, O_NONBLOCK));
  until_go();
  SAME(fcntl(ends[0], F_GETFL), O_RDONLY | O_NONBLOCK);
  SAME(fcntl(ends[1], F_GETFL), O_WRONLY);
}

static void size(void) {
  make(0);
  OK(fcntl(ends[1], F_SETPIPE_SZ, 1 << 18));
  put(ends[1], 200000, 7);
  int other[2];
  OK(pipe2(other, O_CLOEXEC));
  OK(fcntl(other[1], F_SETPIPE_SZ, kPage));
  until_go();
  SAME(fcntl(ends[0], F_GETPIPE_SZ), 1 << 18);
  SAME(fcntl(other[0], F_GETPIPE_SZ), kPage);
  get(ends[0], 200000, 7);
}

static void answers(void* argument) {
  int* back = argument;
  mark("child");
  wait_go();
  get(ends[0], 3000, 4);
  get(ends[0], 100, 5);
  put(back[1], 200, 6);
}
static void two_processes(void) {
  int back[2];
  make(0);
  OK(pipe2(back, O_CLOEXEC));
  put(ends[1], 3000, 4);
  pid_t pid = child(answers, back);
  close(ends[0]);
  close(back[1]);
  await_mark("child");
  until_go();
  put(ends[1], 100, 5);
  get(back[0], 200, 6);
  join_child(pid);
  char byte;
  SAME(OK(read(back[0], &byte, 1)), 0);  // no one else has the other end
}

static void writer_gone(void) {
  make(0);
  put(ends[1], 100, 1);
  close(ends[1]);
  until_go();
  get(ends[0], 100, 1);
  char byte;
  SAME(OK(read(ends[0], &byte, 1)), 0);
}
static void reader_gone(void) {
  signal(SIGPIPE, SIG_IGN);
  make(0);
  put(ends[1], 100, 1);
  close(ends[0]);
  until_go();
  CHECK(write(ends[1], "x", 1) == -1 && errno == EPIPE, "write: %s", strerror(errno));
}

static void many(void) {
  enum { kPipes = 100 };
  int pipes[kPipes][2];
  for (int i = 0; i < kPipes; i++) {
    OK(pipe2(pipes[i], O_CLOEXEC));
    put(pipes[i][1], (size_t)i * 30 + 1, (unsigned)i);
  }
  until_go();
  for (int i = 0; i < kPipes; i++) {
    get(pipes[i][0], (size_t)i * 30 + 1, (unsigned)i);
    check_empty(pipes[i][0]);
  }
}

static void partly_read(void) {
  make(0);
  put(ends[1], 3 * kPage, 1);
  char* start = malloc(3 * kPage);
  char seen[3 * kPage];
  fill(start, 3 * kPage, 1);
  SAME(OK(read(ends[0], seen, 5000)), 5000);
  until_go();
  SAME(OK(read(ends[0], seen, sizeof seen)), 3 * kPage - 5000);
  CHECK(!memcmp(seen, start + 5000, 3 * kPage - 5000), "the rest differs");
}

static int make_fifo(void) {
  OK(mkfifo(live_path("fifo"), 0600));
  return OK(open(live_path("fifo"), O_RDWR | O_CLOEXEC));
}
static void fifo(void) {
  int fd = make_fifo();
  until_go();
  put(fd, 10, 1);
  get(fd, 10, 1);
}
static void fifo_bytes(void) {
  int fd = make_fifo();
  put(fd, 9000, 1);
  until_go();
  int reading = OK(open(live_path("fifo"), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // by name it is the same pipe
  get(reading, 9000, 1);
  check_empty(fd);
}
static void fifo_deleted(void) {
  int fd = make_fifo();
  put(fd, 500, 1);
  OK(fchmod(fd, 0620));
  int reading = OK(open(live_path("fifo"), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  OK(unlink(live_path("fifo")));
  until_go();
  struct stat status;
  OK(fstat(fd, &status));
  SAME(status.st_mode, S_IFIFO | 0620);
  SAME(status.st_nlink, 0);
  char link[64], target[2400] = "", wanted[2400];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  OK(readlink(link, target, sizeof target - 1));
  snprintf(wanted, sizeof wanted, "%s (deleted)", live_path("fifo"));
  CHECK(strcmp(target, wanted) == 0, "%s, not %s", target, wanted);
  get(reading, 500, 1);
  CHECK(access(live_path("fifo"), F_OK) == -1, "the name is back");
}
static void opener(void* unused) {
  (void)unused;
  int fd = OK(open(live_path("fifo"), O_WRONLY | O_CLOEXEC));
  put(fd, 1000, 3);
  mark("opener");
  wait_go();
  put(fd, 1000, 4);
}
static void fifo_two_openers(void) {
  OK(mkfifo(live_path("fifo"), 0600));
  pid_t pid = child(opener, NULL);
  int fd = OK(open(live_path("fifo"), O_RDONLY | O_CLOEXEC));
  await_mark("opener");
  until_go();
  get(fd, 1000, 3);
  get(fd, 1000, 4);
  join_child(pid);
  char byte;
  SAME(OK(read(fd, &byte, 1)), 0);
}

static atomic_int writer_tid;
static void* write_all(void* unused) {
  writer_tid = tid();
  put(ends[1], 300000, 9);
  return unused;
}
static void blocked_writer(void) {
  make(0);
  pthread_t writer = thread(write_all, NULL);
  while (!writer_tid) pause_ms(1);
  await_asleep(writer_tid);
  until_go();
  get(ends[0], 300000, 9);
  pthread_join(writer, NULL);
  check_empty(ends[0]);
}

static const struct live_case cases[] = {{"bytes", bytes},
                                         {"full", full},
                                         {"packets", packets},
                                         {"flags", flags},
                                         {"size", size},
                                         {"two_processes", two_processes},
                                         {"writer_gone", writer_gone},
                                         {"reader_gone", reader_gone},
                                         {"many", many},
                                         {"partly_read", partly_read},
                                         {"fifo", fifo},
                                         {"fifo_bytes", fifo_bytes},
                                         {"fifo_deleted", fifo_deleted},
                                         {"fifo_two_openers", fifo_two_openers},
                                         {"blocked_writer", blocked_writer}};
RUN_CASES(cases)
