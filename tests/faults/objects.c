// What the fault tests save besides target.c: one of each kind of thing that passes a step of its own, and processes
// that do. The same protocol (target.c); what this user may not make is left out, and its kind is not written to
// argv[1]/made.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <net/ethernet.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { kChildren = 8 };

static char cleanup[400], made[600];
static long wrong;
static pid_t children[kChildren];
static int child_count;

static void must_at(int line, int good) {
  if (!good) fprintf(stderr, "line %d: %s\n", line, strerror(errno));
  wrong += !good;
}
#define must(good) must_at(__LINE__, good)
// For what is made: without it there is nothing to test.
static void need_at(int line, int good) {
  must_at(line, good);
  if (!good) exit(1);
}
#define need(good) need_at(__LINE__, good)
static void is_made(const char* what) {
  const size_t used = strlen(made);
  snprintf(made + used, sizeof made - used, "%s\n", what);
}

static void publish(const char* name, const char* text) {
  char temporary[64];
  snprintf(temporary, sizeof temporary, ".%s", name);
  const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) < 0 || rename(temporary, name) < 0) _exit(2);
}

// ---- things ----

static aio_context_t requests;
static int shared_id, semaphore_id, queue_id, queue, event_signals, of_child, space, place, watches, fifo;
static char* shared;
static int pair[2], datagrams, listener, streams[2], route, packets = -1, entries = -1, groups = -1, terminal = -1;

static void make_ipc(void) {
  shared_id = shmget(IPC_PRIVATE, 4096, 0600);
  semaphore_id = semget(IPC_PRIVATE, 1, 0600);
  queue_id = msgget(IPC_PRIVATE, 0600);
  char name[64];
  snprintf(name, sizeof name, "/baton-faults-%d", getpid());
  struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 8};
  queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
  snprintf(cleanup, sizeof cleanup, "ipcrm -m %d\nipcrm -s %d\nipcrm -q %d\nmq_unlink %s\n", shared_id, semaphore_id,
           queue_id, name);
  publish("cleanup", cleanup);
  need(shared_id >= 0 && semaphore_id >= 0 && queue_id >= 0 && queue >= 0);
  shared = shmat(shared_id, NULL, 0);
  need(shared != (void*)-1);
  memcpy(shared, "shared", sizeof "shared");
  need(semctl(semaphore_id, 0, SETVAL, 5) == 0);
  const struct {
    long type;
    char text[8];
  } message = {3, "message"};
  need(msgsnd(queue_id, &message, sizeof message.text, 0) == 0);
  need(mq_send(queue, "posix", 6, 1) == 0);
  need(syscall(SYS_io_setup, 8, &requests) == 0);
  is_made("mqueue");
}
static void check_ipc(void) {
  struct {
    long type;
    char text[8];
  } message;
  char text[8];
  must(strcmp(shared, "shared") == 0 && semctl(semaphore_id, 0, GETVAL) == 5);
  must(msgrcv(queue_id, &message, sizeof message.text, 0, IPC_NOWAIT) == 8 && strcmp(message.text, "message") == 0);
  must(mq_receive(queue, text, sizeof text, NULL) == 6 && strcmp(text, "posix") == 0);
  char byte = 0;
  const int file = open("cleanup", O_RDONLY | O_CLOEXEC);
  struct iocb one = {.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)file, .aio_nbytes = 1, .aio_data = 7};
  one.aio_buf = (uintptr_t)&byte;
  struct iocb* const list[] = {&one};
  struct io_event event = {0};
  must(syscall(SYS_io_submit, requests, 1, list) == 1 && syscall(SYS_io_getevents, requests, 1, 1, &event, NULL) == 1);
  must(event.data == 7 && byte == 'i');
  close(file);
}

static void make_sockets(void) {
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof here;
  need(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && write(pair[0], "unix", 5) == 5);
  datagrams = socket(AF_INET, SOCK_DGRAM, 0);
  need(datagrams >= 0 && bind(datagrams, (struct sockaddr*)&here, length) == 0);
  listener = socket(AF_INET, SOCK_STREAM, 0);
  need(listener >= 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  need(bind(listener, (struct sockaddr*)&here, length) == 0 && listen(listener, 1) == 0);
  getsockname(listener, (struct sockaddr*)&here, &length);
  streams[0] = socket(AF_INET, SOCK_STREAM, 0);
  need(streams[0] >= 0 && connect(streams[0], (struct sockaddr*)&here, length) == 0);
  streams[1] = accept(listener, NULL, NULL);
  need(write(streams[0], "tcp", 4) == 4);
  route = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  need(streams[1] >= 0 && route >= 0);
  is_made("unix_socket\ndatagram_socket\ntcp_socket\nnetlink_socket");
  packets = socket(AF_PACKET, SOCK_DGRAM, 0);  // of no protocol: nothing arrives
  if (packets >= 0) is_made("packet_socket");
}
static void check_sockets(void) {
  char text[8] = "";
  must(read(pair[1], text, sizeof text) == 5 && strcmp(text, "unix") == 0);
  must(read(streams[1], text, sizeof text) == 4 && strcmp(text, "tcp") == 0);
  int type = 0;
  socklen_t length = sizeof type;
  must(getsockopt(datagrams, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_DGRAM);
  must(getsockopt(route, SOL_SOCKET, SO_DOMAIN, &type, &length) == 0 && type == AF_NETLINK);
  must(packets < 0 || (getsockopt(packets, SOL_SOCKET, SO_DOMAIN, &type, &length) == 0 && type == AF_PACKET));
}

static void make_files(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  sigprocmask(SIG_BLOCK, &set, NULL);
  event_signals = signalfd(-1, &set, SFD_NONBLOCK);
  space = open("/proc/self/ns/uts", O_RDONLY);

  place = open("/dev/null", O_PATH);
  watches = inotify_init1(IN_NONBLOCK);
  mkdir("watched", 0755);
  need(inotify_add_watch(watches, "watched", IN_CREATE) == 1);
  need(mkfifo("fifo", 0600) == 0);
  fifo = open("fifo", O_RDWR);
  need(unlink("fifo") == 0 && write(fifo, "fifo", 5) == 5);
  need(event_signals >= 0 && space >= 0 && place >= 0 && fifo >= 0);
  is_made("signalfd\nnamespace_file\npath_only\ninotify\npipe");
  groups = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_NONBLOCK, O_RDONLY);
  if (groups >= 0) {
    need(fanotify_mark(groups, FAN_MARK_ADD, FAN_CREATE | FAN_ONDIR, AT_FDCWD, "watched") == 0);
    is_made("fanotify");
  }
  union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 2};
  entries = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map);
  if (entries >= 0) is_made("bpf_map");
}
static void check_files(void) {
  raise(SIGUSR2);
  struct signalfd_siginfo info;
  must(read(event_signals, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR2);
  char text[300];
  must(read(fifo, text, sizeof text) == 5 && strcmp(text, "fifo") == 0);
  struct stat one, other;
  must(fstat(place, &one) == 0 && stat("/dev/null", &other) == 0 && one.st_ino == other.st_ino);
  must(fstat(space, &one) == 0 && stat("/proc/self/ns/uts", &other) == 0 && one.st_ino == other.st_ino);
  close(open("watched/new", O_WRONLY | O_CREAT, 0600));
  must(read(watches, text, sizeof text) >= (ssize_t)sizeof(struct inotify_event));
  must(groups < 0 || read(groups, text, sizeof text) >= (ssize_t)sizeof(struct fanotify_event_metadata));
}

// ---- processes ----

static pid_t add_child(void (*body)(void)) {
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (body) body();
    while (1) pause();
  }
  children[child_count++] = pid;
  return pid;
}
static void lead_terminal(void) {
  char name[64];
  setsid();
  if (ptsname_r(terminal, name, sizeof name) != 0) _exit(2);
  const int slave = open(name, O_RDWR);
  if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) != 0) _exit(2);
  publish("terminal", "");
}
static void stand_still(void) { raise(SIGSTOP); }
static void filter_calls(void) {
  struct sock_filter allow[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  struct sock_fprog program = {1, allow};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) _exit(2);
  publish("filtered", "");
}
static pid_t fork_sharing(unsigned long flags) { return (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0); }
// Its child has our descriptors, it itself has its own now.
static void hand_on(void) {
  if (fork_sharing(CLONE_FILES) == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (1) pause();
  }
  if (unshare(CLONE_FILES) != 0) _exit(2);
  publish("handed", "");
  while (1) pause();
}
static volatile long counted;
__attribute__((noreturn)) static int count(void* unused) {
  (void)unused;
  const struct timespec shortly = {0, 2000000};
  for (;; ++counted) syscall(SYS_nanosleep, &shortly, NULL);
}
static void await(const char* file) {
  const struct timespec shortly = {0, 2000000};
  while (access(file, F_OK) != 0) nanosleep(&shortly, NULL);
}

static void make_processes(void) {
  terminal = posix_openpt(O_RDWR | O_NOCTTY);
  need(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
  add_child(lead_terminal);
  await("terminal");
  is_made("terminal\npidfd");
  const pid_t stopped = add_child(stand_still);
  need(waitpid(stopped, NULL, WUNTRACED) == stopped);
  // A group whose first member is gone.
  const pid_t first = add_child(NULL), second = add_child(NULL);
  need(setpgid(first, first) == 0 && setpgid(second, first) == 0);
  need(kill(first, SIGKILL) == 0 && waitpid(first, NULL, 0) == first);
  of_child = (int)syscall(SYS_pidfd_open, second, 0);
  static char stack[65536] __attribute__((aligned(16)));
  children[child_count++] = clone(count, stack + sizeof stack, CLONE_VM | CLONE_SIGHAND | SIGCHLD, NULL);
  const pid_t handing = fork_sharing(CLONE_FILES);
  if (handing == 0) hand_on();
  children[child_count++] = handing;
  await("handed");
  if (geteuid() != 0) return;  // the others' could not be saved
  add_child(filter_calls);
  await("filtered");
}
static void check_processes(void) {
  must(getpgid(children[3]) == children[2] && getsid(children[0]) == children[0]);
  must(write(terminal, "line\n", 5) == 5);
  must(syscall(SYS_pidfd_send_signal, of_child, 0, NULL, 0) == 0);
  const struct timespec shortly = {0, 2000000};
  for (const long before = counted; counted == before;) nanosleep(&shortly, NULL);
  for (int i = 0; i < child_count; ++i) {
    if (i == 2) continue;
    must(kill(children[i], SIGKILL) == 0 && waitpid(children[i], NULL, 0) == children[i]);
  }
}

int main(int argc, char** argv) {
  if (argc < 2 || chdir(argv[1]) != 0) return 2;
  make_ipc();
  make_sockets();
  make_files();
  make_processes();
  publish("made", made);
  publish("ready", "");
  const struct timespec shortly = {0, 2000000};
  while (access("go", F_OK) != 0) nanosleep(&shortly, NULL);
  check_ipc();
  check_sockets();
  check_files();
  check_processes();
  publish("interrupts", "0\n");
  char text[64];
  snprintf(text, sizeof text, "objects: wrong %ld inside same\n", wrong);
  publish("result", text);
  return 0;
}
