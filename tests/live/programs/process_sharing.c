// Processes and threads that share memory, signal actions, descriptors, directories with some and not with others, as
// clone(2) and unshare(2) can make it.
// live-cases: brothers_files brothers_directories brothers_memory brothers_memory_actions two_families
// live-cases: grandparent between_has_another memory memory_large memory_all memory_threads silent_child
// live-cases: thread_files thread_directories threads_mixed thread_with_child thread_keeps thread_things
// live-cases: orphan_memory orphan_files
// An orphan is not below the process that is saved; in a capsule all are.
// live-without: pid.orphan_memory pid-running.orphan_memory capsule.orphan_memory user-pid.orphan_memory
// live-without: pid.orphan_files pid-running.orphan_files capsule.orphan_files user-pid.orphan_files
#include <linux/limits.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>

#include "target.h"

// Each task is a puppet: it does what the first one, index 0, asks it for. Those that share memory share what the C
// library has there, too, so that a puppet makes system calls and nothing else.
enum action {
  kOpen,
  kIsOpen,
  kLock,
  kIsLocked,
  kSetMask,
  kGetMask,
  kSetPlain,
  kGetPlain,
  kIgnore,
  kIsIgnored,
  kPicture,
  kClone,
  kUnshare,
  kEnter,
  kWait,
  kEnd
};
enum table { kMemory, kActions, kFiles, kDirectories, kTables };
enum { kMost = 8, kFirstNumber = 400, kNumbers = 500, kLockNumber = 320, kLarge = 24 << 20 };

struct puppet {
  volatile int asked, answered;  // counts
  volatile int action;
  volatile long argument, result;
  int process;  // index of the first thread of its process
  int parent;   // index of that of its parent's; -1: an orphan
  pid_t pid;
  int flags;  // of a puppet that it is to make
  int has[kTables];
  unsigned long picture;
};
static struct puppet* puppets;  // seen by all
static int count;
static char stacks[kMost][32768] __attribute__((aligned(16)));
static volatile long plain;
static char* large;
static char lock_path[2300];
__attribute__((noreturn)) static int live(void* puppet);

static unsigned long mixed(unsigned long sum, const void* data, size_t size) {
  for (size_t i = 0; i < size; i++) sum = (sum ^ ((const unsigned char*)data)[i]) * 1099511628211u;
  return sum;
}
static long current_mask(void) {
  long mask = syscall(SYS_umask, 0);
  syscall(SYS_umask, mask);
  return mask;
}
static bool ignores(void) {
  struct sigaction now;
  sigaction(SIGUSR2, NULL, &now);
  return now.sa_handler == SIG_IGN;
}
// Of all that it may share.
static long picture(void) {
  char path[PATH_MAX] = "";
  syscall(SYS_getcwd, path, sizeof path);
  unsigned long sum = mixed(1, path, strlen(path));
  long seen[] = {current_mask(), ignores(), plain, syscall(SYS_getpid), syscall(SYS_gettid)};
  sum = mixed(sum, seen, sizeof seen);
  for (int i = 0; large && i < kLarge; i += 512) sum = mixed(sum, large + i, 1);
  for (int fd = 0; fd < kNumbers; fd++) {
    long facts[] = {syscall(SYS_fcntl, fd, F_GETFD), syscall(SYS_lseek, fd, 0, SEEK_CUR)};
    sum = mixed(sum, facts, sizeof facts);
  }
  return (long)(sum >> 1);
}
static long open_at(long number) {
  long fd = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
  long moved = syscall(SYS_dup3, fd, number, O_CLOEXEC);
  syscall(SYS_close, fd);
  return moved;
}

// Record locks belong to the table of descriptors.
static long lock_own(long index) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = index * 100, .l_len = 10};
  long fd = syscall(SYS_openat, AT_FDCWD, lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  syscall(SYS_dup3, fd, kLockNumber + index, O_CLOEXEC);
  return syscall(SYS_fcntl, kLockNumber + index, F_SETLK, &lock);
}
static bool is_locked(long self, long index) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = index * 100, .l_len = 10};
  syscall(SYS_fcntl, kLockNumber + self, F_GETLK, &lock);
  return lock.l_type != F_UNLCK;
}

static long perform(struct puppet* self, int action, long argument) {
  switch (action) {
    case kOpen:
      return open_at(argument);
    case kIsOpen:
      return syscall(SYS_fcntl, argument, F_GETFD) >= 0;
    case kLock:
      return lock_own(self - puppets);
    case kIsLocked:
      return is_locked(self - puppets, argument);
    case kSetMask:
      return syscall(SYS_umask, argument);
    case kGetMask:
      return current_mask();
    case kSetPlain:
      return plain = argument;
    case kGetPlain:
      return plain;
    case kIgnore:
      return sigaction(SIGUSR2, &(struct sigaction){.sa_handler = argument ? SIG_IGN : SIG_DFL}, NULL);
    case kIsIgnored:
      return ignores();
    case kPicture:
      return picture();
    case kClone:
      return clone(live, stacks[argument] + sizeof stacks[argument], self->flags, &puppets[argument]);
    case kUnshare:
      return unshare((int)argument);
    case kEnter:
      return syscall(SYS_chdir, argument ? "/" : "/tmp");
    case kWait:
      return syscall(SYS_wait4, argument, NULL, __WALL, NULL);
    default:
      return syscall(self == &puppets[self->process] ? SYS_exit_group : SYS_exit, 0);
  }
}
static void nap(void) { syscall(SYS_nanosleep, &(struct timespec){0, 500000}, NULL); }
static int live(void* puppet) {
  struct puppet* self = puppet;
  self->pid = (pid_t)syscall(SYS_gettid);
  for (;; nap()) {
    if (self->asked == self->answered) continue;
    self->result = perform(self, self->action, self->argument);
    self->answered = self->asked;
  }
}

static long ask(int index, int action, long argument) {
  struct puppet* puppet = &puppets[index];
  if (index == 0) return perform(puppet, action, argument);
  puppet->action = action;
  puppet->argument = argument;
  puppet->asked = puppet->asked + 1;
  if (action == kEnd) return 0;
  while (puppet->answered != puppet->asked) nap();
  return puppet->result;
}

static void begin(void) {
  puppets = mmap(NULL, sizeof *puppets * kMost, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(puppets != MAP_FAILED, "mmap");
  snprintf(lock_path, sizeof lock_path, "%s", live_path("locks"));
  puppets[0].parent = -1;
  count = 1;
}
static int exit_signal = SIGCHLD;
// A new puppet, made by another one. What it has is a number of its own where it does not share it.
static int make(int maker, int flags) {
  static const int bits[kTables] = {CLONE_VM, CLONE_SIGHAND, CLONE_FILES, CLONE_FS};
  int index = count++;
  struct puppet* made = &puppets[index];
  const struct puppet* process = &puppets[puppets[maker].process];
  made->process = flags & CLONE_THREAD ? puppets[maker].process : index;
  made->parent = flags & CLONE_PARENT ? process->parent : puppets[maker].process;
  for (int table = 0; table < kTables; table++)
    made->has[table] = flags & bits[table] ? puppets[maker].has[table] : index;
  puppets[maker].flags = flags | (flags & (CLONE_THREAD | CLONE_PARENT) ? 0 : exit_signal);
  long pid = ask(maker, kClone, index);
  CHECK(pid > 0, "clone %d with flags 0x%x", index, flags);
  while (made->pid == 0) nap();
  return index;
}
static int thread_of(int maker, int shared) {
  return make(maker, CLONE_THREAD | CLONE_VM | CLONE_SIGHAND | CLONE_SYSVSEM | shared);
}
static void give_up(int index, int flag, enum table table) {
  SAME(ask(index, kUnshare, flag), 0);
  puppets[index].has[table] = 100 + index;
}

// By what one does and another sees.
static void check_pair(int table, int does, int sees) {
  static const int set[kTables] = {kSetPlain, kIgnore, kOpen, kSetMask};
  static const int get[kTables] = {kGetPlain, kIsIgnored, kIsOpen, kGetMask};
  bool same = puppets[does].has[table] == puppets[sees].has[table];
  long value = table == kActions ? 1 : table == kFiles ? kFirstNumber + does * kMost + sees : 0700 + does;
  long before = ask(sees, get[table], value);
  CHECK(table != kFiles || !before, "descriptor %ld is open", value);
  ask(does, set[table], value);
  long now = ask(sees, get[table], value);
  long expected = table == kFiles || table == kActions ? 1 : value;
  CHECK((now == expected) == (same || before == expected), "table %d of %d and %d: %ld before, %ld now", table, does,
        sees, before, now);
  if (table == kActions) ask(does, kIgnore, 0);
  if (table == kDirectories) ask(does, kSetMask, before);
  if (table == kMemory) ask(does, kSetPlain, 0);
}
static void end_all(void) {
  for (int i = count - 1; i > 0; i--) {
    struct puppet* puppet = &puppets[i];
    pid_t pid = puppet->pid;
    ask(i, kEnd, 0);
    if (puppet->process != i || puppet->parent < 0) continue;
    SAME(ask(puppet->parent, kWait, pid), pid);
  }
}
static void compare(void) {
  for (int i = 0; i < count; i++) {
    ask(i, kOpen, 300 + i);
    SAME(ask(i, kLock, 0), 0);
    ask(i, kSetMask, 0100 + i);
    ask(i, kSetPlain, 50 + i);
  }
  for (int i = 0; i < count; i++) puppets[i].picture = (unsigned long)ask(i, kPicture, 0);
  ready();
  wait_go();
  for (int i = 0; i < count; i++) {
    CHECK(puppets[i].picture == (unsigned long)ask(i, kPicture, 0), "puppet %d is not as it was", i);
  }
  for (int i = 0; i < count; i++) {
    for (int j = 0; j < i; j++)
      for (int table = 0; table < kTables; table++) {
        check_pair(table, i, j);
        check_pair(table, j, i);
      }
    for (int j = 0; j < count; j++) SAME(ask(i, kIsLocked, j), puppets[i].has[kFiles] != puppets[j].has[kFiles]);
  }
}
static void check(void) {
  compare();
  end_all();
}

static void brothers(int flags) {
  begin();
  int first = make(0, 0);
  make(first, flags | CLONE_PARENT);
  make(first, flags);
  check();
}
static void brothers_files(void) { brothers(CLONE_FILES); }
static void brothers_directories(void) { brothers(CLONE_FS); }
static void brothers_memory(void) { brothers(CLONE_VM); }
static void brothers_memory_actions(void) { brothers(CLONE_VM | CLONE_SIGHAND); }
static void two_families(void) {
  begin();
  int first = make(0, CLONE_FS), second = make(0, 0);
  make(first, CLONE_FILES | CLONE_PARENT);
  make(second, CLONE_FILES | CLONE_FS | CLONE_PARENT);
  make(second, CLONE_FS | CLONE_PARENT);
  check();
}

// What it shares with its child it has from its own parent, and has given it up.
static void grandparent(void) {
  begin();
  int middle = make(0, CLONE_FILES | CLONE_FS);
  make(middle, CLONE_FILES);
  make(middle, CLONE_FS);
  give_up(middle, CLONE_FILES, kFiles);
  give_up(middle, CLONE_FS, kDirectories);
  SAME(ask(middle, kEnter, 1), 0);
  check();
}
static void between_has_another(void) {
  begin();
  int middle = make(0, CLONE_FILES);
  make(middle, CLONE_FILES);
  give_up(middle, CLONE_FILES, kFiles);
  make(middle, CLONE_FILES);
  check();
}

static void memory(void) {
  begin();
  make(make(0, CLONE_VM), CLONE_VM);
  make(0, CLONE_VM | CLONE_FILES);
  make(0, 0);
  check();
}
static void memory_large(void) {
  begin();
  large = mmap(NULL, kLarge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < kLarge; i += 512) large[i] = (char)(i / 512 * 7);
  make(make(0, CLONE_VM), CLONE_VM | CLONE_FILES);
  check();
}
static void memory_all(void) {
  begin();
  int all = CLONE_VM | CLONE_SIGHAND | CLONE_FILES | CLONE_FS;
  make(make(0, all), all);
  make(0, all & ~CLONE_FS);
  check();
}
static void memory_threads(void) {
  begin();
  int other = make(0, CLONE_VM);
  thread_of(other, CLONE_FILES | CLONE_FS);
  thread_of(0, CLONE_FILES | CLONE_FS);
  check();
}
// Nothing tells its parent of its end, and an ordinary wait does not see it.
static void silent_child(void) {
  begin();
  exit_signal = 0;
  make(0, CLONE_VM | CLONE_FILES | CLONE_FS);
  compare();
  CHECK(waitpid(puppets[1].pid, NULL, WNOHANG) == -1 && errno == ECHILD, "it is an ordinary child");
  SAME(waitpid(puppets[1].pid, NULL, WNOHANG | __WCLONE), 0);
  end_all();
}

static void thread_files(void) {
  begin();
  thread_of(0, CLONE_FS);
  thread_of(0, CLONE_FS | CLONE_FILES);
  check();
}
static void thread_directories(void) {
  begin();
  int thread = thread_of(0, CLONE_FILES);
  SAME(ask(thread, kEnter, 1), 0);
  check();
}
static void threads_mixed(void) {
  begin();
  int first = thread_of(0, 0);
  thread_of(first, CLONE_FS);
  thread_of(first, CLONE_FILES | CLONE_FS);
  SAME(ask(thread_of(0, CLONE_FILES), kEnter, 1), 0);
  check();
}
static void thread_with_child(void) {
  begin();
  int thread = thread_of(0, 0);
  make(thread, CLONE_FILES | CLONE_FS);
  make(thread, CLONE_FILES);
  make(0, CLONE_FILES);
  check();
}
// A thread has what its process' first thread has given up.
static void thread_keeps(void) {
  begin();
  int child_ = make(0, CLONE_FILES | CLONE_FS), thread = thread_of(child_, CLONE_FILES | CLONE_FS);
  give_up(child_, CLONE_FILES, kFiles);
  give_up(child_, CLONE_FS, kDirectories);
  make(thread, CLONE_FILES);
  check();
}

// Nobody but this thread has them.
static void* has_things(void* unused) {
  int ends[2], pair[2];
  OK(unshare(CLONE_FILES | CLONE_FS));
  OK(chdir("/"));
  OK(pipe2(ends, O_CLOEXEC));
  OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  int epoll = OK(epoll_create1(EPOLL_CLOEXEC)), events = OK(eventfd(5, EFD_CLOEXEC)),
      fd = OK(open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  OK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &(struct epoll_event){.events = EPOLLIN, .data.u64 = 77}));
  OK(flock(fd, LOCK_EX));
  OK(lseek(fd, 9, SEEK_SET));
  SAME(OK(write(ends[1], "pipe", 4)), 4);
  SAME(OK(write(pair[1], "pair", 4)), 4);
  mark("things");
  wait_go();
  char text[8] = "", place[8];
  struct epoll_event event;
  SAME(OK(epoll_wait(epoll, &event, 1, 1000)), 1);
  SAME(event.data.u64, 77);
  SAME(OK(read(ends[0], text, 4)), 4);
  CHECK(strcmp(text, "pipe") == 0, "%s", text);
  SAME(OK(read(pair[0], text, 4)), 4);
  CHECK(strcmp(text, "pair") == 0, "%s", text);
  uint64_t count_;
  SAME(OK(read(events, &count_, 8)), 8);
  SAME(count_, 5);
  SAME(lseek(fd, 0, SEEK_CUR), 9);
  int other = OK(open(lock_path, O_RDWR | O_CLOEXEC));
  CHECK(flock(other, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK, "the lock is gone");
  CHECK(getcwd(place, sizeof place) && strcmp(place, "/") == 0, "it is elsewhere");
  return unused;
}
static void thread_things(void) {
  char before[PATH_MAX], after[PATH_MAX];
  begin();
  CHECK(getcwd(before, sizeof before), "getcwd");
  pthread_t other = thread(has_things, NULL);
  await_mark("things");
  ready();
  wait_go();
  pthread_join(other, NULL);
  CHECK(getcwd(after, sizeof after) && strcmp(before, after) == 0, "now in %s", after);
  for (int fd = 3; fd < 20; fd++) CHECK(fcntl(fd, F_GETFD) == -1, "descriptor %d is open here", fd);
}

// The one between has ended: its children are the reaper's.
static void orphan(int flags) {
  begin();
  int middle = make(0, flags), first = make(middle, flags), second = make(middle, flags);
  pid_t pid = puppets[middle].pid;
  ask(middle, kEnd, 0);
  SAME(ask(0, kWait, pid), pid);
  puppets[first].parent = puppets[second].parent = -1;
  puppets[middle] = (struct puppet){0};
  count = middle;
  make(0, flags);
  count = second + 1;
  check();
}
static void orphan_memory(void) { orphan(CLONE_VM | CLONE_SIGHAND | CLONE_FS); }
static void orphan_files(void) { orphan(CLONE_FILES); }

static const struct live_case cases[] = {{"brothers_files", brothers_files},
                                         {"brothers_directories", brothers_directories},
                                         {"brothers_memory", brothers_memory},
                                         {"brothers_memory_actions", brothers_memory_actions},
                                         {"two_families", two_families},
                                         {"grandparent", grandparent},
                                         {"between_has_another", between_has_another},
                                         {"memory", memory},
                                         {"memory_large", memory_large},
                                         {"memory_all", memory_all},
                                         {"memory_threads", memory_threads},
                                         {"silent_child", silent_child},
                                         {"thread_files", thread_files},
                                         {"thread_directories", thread_directories},
                                         {"threads_mixed", threads_mixed},
                                         {"thread_with_child", thread_with_child},
                                         {"thread_keeps", thread_keeps},
                                         {"thread_things", thread_things},
                                         {"orphan_memory", orphan_memory},
                                         {"orphan_files", orphan_files}};
RUN_CASES(cases)
