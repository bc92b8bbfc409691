// Descriptors that are easily forgotten: memory files with seals, files of /proc, owners of signals, several mappings.
// live-cases: memfd memfd_sealed memfd_mapped proc_self proc_child owner owner_signal exe_deleted
#include <sys/mman.h>

#include "target.h"

static void until_go(void) {
  ready();
  wait_go();
}
static int make_memfd(unsigned flags) {
  char bytes[3 * kPage];
  fill(bytes, sizeof bytes, 3);
  int fd = OK(memfd_create("a memory file", MFD_CLOEXEC | flags));
  SAME(OK(write(fd, bytes, sizeof bytes)), sizeof bytes);
  return fd;
}
static void check_memfd(int fd) {
  char seen[3 * kPage + 1];
  SAME(OK(pread(fd, seen, sizeof seen, 0)), 3 * kPage);
  check_filled(seen, 3 * kPage, 3, "memory file");
}
static void memfd(void) {
  int fd = make_memfd(0);
  OK(lseek(fd, 123, SEEK_SET));
  until_go();
  check_memfd(fd);
  SAME(lseek(fd, 0, SEEK_CUR), 123);
  OK(ftruncate(fd, 1));
}
static void memfd_sealed(void) {
  int fd = make_memfd(MFD_ALLOW_SEALING);
  OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
  until_go();
  check_memfd(fd);
  SAME(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  CHECK(write(fd, "x", 1) == -1 && errno == EPERM, "can be written");
}
static int shared_fd;
static void writes(void* unused) {
  (void)unused;
  mark("child");
  await_mark("checked");
  SAME(OK(pwrite(shared_fd, "Z", 1, kPage)), 1);
}
static void memfd_mapped(void) {
  shared_fd = make_memfd(0);
  char* memory = OK(mmap(NULL, 3 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0));
  pid_t pid = child(writes, NULL);
  await_mark("child");
  until_go();
  check_filled(memory, 3 * kPage, 3, "mapping");
  mark("checked");
  join_child(pid);
  SAME(memory[kPage], 'Z');
  memory[0] = 'A';
  char seen;
  SAME(OK(pread(shared_fd, &seen, 1, 0)), 1);
  SAME(seen, 'A');
}

static void proc_self(void) {
  int status = OK(open("/proc/self/status", O_RDONLY | O_CLOEXEC)), version = OK(open("/proc/version", O_RDONLY));
  int directory = OK(open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  until_go();
  char text[4096], wanted[64];
  text[OK(pread(status, text, sizeof text - 1, 0))] = 0;
  snprintf(wanted, sizeof wanted, "\nPid:\t%d\n", getpid());
  CHECK(strstr(text, wanted), "status is of another process: '%.60s'", text);
  CHECK(OK(read(version, text, 5)) == 5 && !memcmp(text, "Linux", 5), "version: '%.5s'", text);
  close(OK(openat(directory, "maps", O_RDONLY | O_CLOEXEC)));
}
static void waits(void* unused) {
  (void)unused;
  wait_go();
  await_mark("checked");
}
static void proc_child(void) {
  pid_t pid = child(waits, NULL);
  char path[64], text[100] = "";
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = OK(open(path, O_RDONLY | O_CLOEXEC));
  until_go();
  OK(pread(fd, text, sizeof text - 1, 0));
  SAME(atoi(text), pid);
  mark("checked");
  join_child(pid);
}

static volatile sig_atomic_t got_signal, got_fd;
static void on_io(int number, siginfo_t* info, void* unused) {
  (void)unused;
  got_fd = info->si_fd;
  got_signal = number;
}
static void with_owner(int number) {
  int ends[2];
  struct sigaction action = {.sa_sigaction = on_io, .sa_flags = SA_SIGINFO};
  OK(sigaction(number ? number : SIGIO, &action, NULL));
  OK(pipe2(ends, O_CLOEXEC));
  OK(fcntl(ends[0], F_SETOWN, getpid()));
  if (number) OK(fcntl(ends[0], F_SETSIG, number));
  OK(fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK));
  until_go();
  SAME(fcntl(ends[0], F_GETOWN), getpid());
  SAME(fcntl(ends[0], F_GETSIG), number);
  SAME(got_signal, 0);
  SAME(OK(write(ends[1], "x", 1)), 1);
  for (int i = 0; !got_signal; i++) {
    CHECK(i < 2000, "no signal for the byte");
    pause_ms(1);
  }
  SAME(got_signal, number ? number : SIGIO);
  if (number) SAME(got_fd, ends[0]);
}
static void owner(void) { with_owner(0); }
static void owner_signal(void) { with_owner(SIGRTMIN + 7); }

// The program runs from a file that no longer exists.
static void exe_deleted(void) {
  char self[4096] = "", after[4096] = "";
  OK(readlink("/proc/self/exe", self, sizeof self - 1));
  if (!getenv("LIVE_COPIED")) {
    char command[9000];
    snprintf(command, sizeof command, "cp '%s' '%s'", self, live_path("copy"));
    SAME(system(command), 0);
    setenv("LIVE_COPIED", "1", 1);
    OK(execl(live_path("copy"), "copy", "exe_deleted", NULL));
  }
  OK(unlink(live_path("copy")));
  OK(readlink("/proc/self/exe", self, sizeof self - 1));
  until_go();
  OK(readlink("/proc/self/exe", after, sizeof after - 1));
  CHECK(strstr(after, "(deleted)"), "exe is '%s', was '%s'", after, self);
}

static const struct live_case cases[] = {{"memfd", memfd},
                                         {"memfd_sealed", memfd_sealed},
                                         {"memfd_mapped", memfd_mapped},
                                         {"proc_self", proc_self},
                                         {"proc_child", proc_child},
                                         {"owner", owner},
                                         {"owner_signal", owner_signal},
                                         {"exe_deleted", exe_deleted}};
RUN_CASES(cases)
