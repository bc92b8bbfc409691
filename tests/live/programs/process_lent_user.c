// live-modes: plain user
// The users of the other modes have one user id, or, being root, all of them.
// live-lent: ids
// Processes of another user than the rest, by an id that /etc/subuid lends: a program with the setuid bit of that user,
// who runs itself once more, so that its files below /proc are that user's and no longer root's.
// live-cases: memory blocked_calls descriptors threads zombie signals private_files
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "target.h"

static const char* lent_program(void) { return getenv("BATON_LIVE_LENT"); }

// Starts the second argument's case as the other user, and waits until it says so.
static pid_t other_user(const char* what) {
  if (!lent_program()) skip("there are no lent ids");
  OK(chmod(live_path("."), 0777));
  pid_t pid = OK(fork());
  if (pid == 0) {
    execl(lent_program(), lent_program(), what, "gained", (char*)NULL);
    fail("%s: %s", lent_program(), strerror(errno));
  }
  await_mark(what);
  return pid;
}
// What the setuid bit gave becomes all there is; running a file again makes the process dumpable.
static void run_again(const char* what) {
  gid_t group = getegid();
  uid_t user = geteuid();
  CHECK(user != getuid(), "the setuid bit gained nothing: %u", user);
  OK(setresgid(group, group, group));
  OK(setresuid(user, user, user));
  execl(lent_program(), lent_program(), what, "itself", (char*)NULL);
  fail("%s: %s", lent_program(), strerror(errno));
}
static char owner[300];
static void check_owner(void) {
  char now_is[300];
  snprintf(now_is, sizeof now_is, "%s|%s", proc_field("/proc/self/status", "Uid"),
           proc_field("/proc/self/status", "Gid"));
  if (!owner[0]) strcpy(owner, now_is);
  CHECK(strcmp(owner, now_is) == 0, "ids are %s, were %s", now_is, owner);
  SAME(prctl(PR_GET_DUMPABLE), 1);
  struct stat own;
  OK(stat("/proc/self", &own));
  SAME(own.st_uid, getuid());
}

static void memory(void) {
  const size_t bytes = 8 << 20;
  char* written = map_anon(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  char* shared = map_anon(bytes, PROT_READ | PROT_WRITE, MAP_SHARED);
  fill(written, bytes, 1);
  fill(shared, bytes, 2);
  OK(mprotect(written, kPage, PROT_READ));
  mark("memory");
  wait_go();
  check_filled(written, bytes, 1, "private");
  check_filled(shared, bytes, 2, "shared");
}

static void* sleeps(void* unused) {
  double before = now(CLOCK_MONOTONIC);
  struct timespec time = {3, 0};
  OK(nanosleep(&time, NULL));
  double slept = now(CLOCK_MONOTONIC) - before;
  wait_go();
  CHECK(slept >= 3 && slept < 3 + allowance(), "slept %f s", slept);
  return unused;
}
static void* polls(void* unused) {
  double before = now(CLOCK_MONOTONIC);
  SAME(poll(NULL, 0, 3000), 0);
  double waited = now(CLOCK_MONOTONIC) - before;
  wait_go();
  CHECK(waited >= 3 && waited < 3 + allowance(), "waited %f s", waited);
  return unused;
}
static void blocked_calls(void) {
  pthread_t both[] = {thread(sleeps, NULL), thread(polls, NULL)};
  mark("blocked_calls");
  for (int i = 0; i < 2; i++) pthread_join(both[i], NULL);
}

static void descriptors(void) {
  char bytes[16] = "";
  int ends[2], event = OK(eventfd(5, EFD_CLOEXEC));
  OK(pipe(ends));
  SAME(OK(write(ends[1], "in the pipe", 11)), 11);
  int nameless = OK(open(live_path("nameless"), O_WRONLY | O_CREAT | O_EXCL, 0600));
  OK(unlink(live_path("nameless")));
  SAME(OK(write(nameless, "abc", 3)), 3);
  int named = OK(open(live_path("named"), O_RDWR | O_CREAT | O_EXCL, 0644));
  SAME(OK(write(named, "0123456789", 10)), 10);
  OK(lseek(named, 4, SEEK_SET));
  mark("descriptors");
  wait_go();
  SAME(OK(read(named, bytes, sizeof bytes)), 6);
  CHECK(memcmp(bytes, "456789", 6) == 0, "%.6s", bytes);
  SAME(lseek(nameless, 0, SEEK_CUR), 3);
  uint64_t count = 0;
  SAME(OK(read(event, &count, sizeof count)), 8);
  SAME(count, 5);
  char again[64];
  snprintf(again, sizeof again, "/proc/self/fd/%d", ends[0]);
  int reader = OK(open(again, O_RDONLY | O_NONBLOCK));
  SAME(OK(read(reader, bytes, sizeof bytes)), 11);
  CHECK(memcmp(bytes, "in the pipe", 11) == 0, "%.11s", bytes);
  snprintf(again, sizeof again, "/proc/self/fd/%d", nameless);
  int file = OK(open(again, O_RDONLY));
  SAME(OK(read(file, bytes, sizeof bytes)), 3);
  CHECK(memcmp(bytes, "abc", 3) == 0, "%.3s", bytes);
}

static pthread_barrier_t together;
static void* counts(void* number) {
  pthread_barrier_wait(&together);
  wait_go();
  pthread_barrier_wait(&together);
  return number;
}
static void threads(void) {
  enum { kThreads = 8 };
  pthread_t all[kThreads];
  SAME(pthread_barrier_init(&together, NULL, kThreads + 1), 0);
  for (intptr_t i = 0; i < kThreads; i++) all[i] = thread(counts, (void*)i);
  pthread_barrier_wait(&together);
  mark("threads");
  pthread_barrier_wait(&together);
  for (intptr_t i = 0; i < kThreads; i++) {
    void* number;
    SAME(pthread_join(all[i], &number), 0);
    SAME((intptr_t)number, i);
  }
}

static void ends_with_7(void* unused) {
  (void)unused;
  _exit(7);
}
static void zombie(void) {
  pid_t dead = child(ends_with_7, NULL);
  while (task_state(dead) != 'Z') pause_ms(1);
  mark("zombie");
  wait_go();
  int status;
  SAME(OK(waitpid(dead, &status, 0)), dead);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status 0x%x", status);
}

static volatile sig_atomic_t heard;
static void hear(int number, siginfo_t* info, void* unused) {
  (void)unused;
  heard = number * 1000 + info->si_value.sival_int;
}
static void signals(void) {
  struct sigaction action = {.sa_sigaction = hear, .sa_flags = SA_SIGINFO};
  OK(sigaction(SIGUSR1, &action, NULL));
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  OK(sigprocmask(SIG_BLOCK, &mask, NULL));
  OK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 42}));
  // Its parent is another user, who may not signal it, nor it him.
  CHECK(kill(getppid(), 0) == -1 && errno == EPERM, "%s", strerror(errno));
  mark("signals");
  wait_go();
  SAME(heard, 0);
  OK(sigprocmask(SIG_UNBLOCK, &mask, NULL));
  SAME(heard, SIGUSR1 * 1000 + 42);
  CHECK(kill(getppid(), 0) == -1 && errno == EPERM, "%s", strerror(errno));
}

// Nobody else may read these: they are part of the workspace all the same.
static void private_files(void) {
  OK(mkdir(live_path("secret"), 0700));
  int in_there = OK(open(live_path("secret/file"), O_RDWR | O_CREAT | O_EXCL, 0600));
  SAME(OK(write(in_there, "secret", 6)), 6);
  OK(chdir(live_path("secret")));
  int mapped = OK(open("mapped", O_RDWR | O_CREAT | O_EXCL, 0600));
  OK(ftruncate(mapped, kPage));
  char* memory_of = OK(mmap(NULL, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0));
  strcpy(memory_of, "by the mapping");
  mark("private_files");
  wait_go();
  char bytes[8] = "";
  SAME(OK(pread(in_there, bytes, sizeof bytes, 0)), 6);
  CHECK(memcmp(bytes, "secret", 6) == 0, "%.6s", bytes);
  struct stat open_one, named, directory;
  OK(fstat(in_there, &open_one));
  OK(stat("file", &named));
  OK(stat(".", &directory));
  SAME(open_one.st_ino, named.st_ino);
  SAME(named.st_uid, getuid());
  SAME(named.st_mode & 07777, 0600);
  SAME(directory.st_uid, getuid());
  SAME(directory.st_mode & 07777, 0700);
  CHECK(strcmp(memory_of, "by the mapping") == 0, "%s", memory_of);
  char* text = slurp("mapped", NULL);
  CHECK(strcmp(text, "by the mapping") == 0, "%s", text);
}

static const struct live_case cases[] = {
    {"memory", memory},
    {"blocked_calls", blocked_calls},
    {"descriptors", descriptors},
    {"threads", threads},
    {"zombie", zombie},
    {"signals", signals},
    {"private_files", private_files},
};

int main(int argc, char** argv) {
  if (argc == 2) {
    pid_t other = other_user(argv[1]);
    ready();
    join_child(other);
    pass();
  }
  CHECK(argc == 3, "%d arguments", argc);
  if (strcmp(argv[2], "gained") == 0) run_again(argv[1]);
  check_owner();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    if (strcmp(cases[i].name, argv[1]) == 0) cases[i].run();
  }
  check_owner();
  _exit(0);
}
