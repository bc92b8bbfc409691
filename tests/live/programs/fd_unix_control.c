// UNIX sockets: what comes beside the bytes (descriptors, credentials), options, SO_PEERCRED, epoll, signals.
// live-cases: rights rights_stream rights_only_there rights_pipe rights_nested rights_file passcred passcred_stream
// live-cases: options timeouts filter peercred_pair peercred_accepted peek_off sigio in_epoll
// live-cases: blocked_reader blocked_writer
#include <linux/filter.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "target.h"

static int pair[2];

static void make(int type) { OK(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair)); }
static void until_go(void) {
  ready();
  wait_go();
}

// Sends text with descriptors.
static void send_with(int to, const char* text, const int* fds, size_t count) {
  char control[CMSG_SPACE(4 * sizeof(int))] = {0};
  struct iovec io = {(void*)text, strlen(text)};
  struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control};
  message.msg_controllen = CMSG_SPACE(count * sizeof(int));
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  SAME(OK(sendmsg(to, &message, 0)), strlen(text));
}
struct taken {
  int fds[8];
  size_t count;
  struct ucred credentials;
};
// Receives exactly this text, in one read of at most `room` bytes.
static struct taken take(int from, const char* text, size_t room) {
  struct taken taken = {.count = 0};
  char bytes[64] = {0}, control[256];
  struct iovec io = {bytes, room};
  struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t got = OK(recvmsg(from, &message, MSG_DONTWAIT));
  CHECK(got == (ssize_t)strlen(text) && !memcmp(bytes, text, strlen(text)), "%zd bytes, '%s', not '%s'", got, bytes,
        text);
  for (struct cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_type == SCM_CREDENTIALS) memcpy(&taken.credentials, CMSG_DATA(header), sizeof(struct ucred));
    if (header->cmsg_type != SCM_RIGHTS) continue;
    taken.count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(taken.fds, CMSG_DATA(header), taken.count * sizeof(int));
  }
  return taken;
}
static bool same_file(int a, int b) { return syscall(SYS_kcmp, getpid(), getpid(), 0, a, b) == 0; }

static void rights(void) {
  make(SOCK_DGRAM);
  int fds[2] = {OK(open("/dev/null", O_RDWR)), OK(open("/dev/zero", O_RDONLY))};
  send_with(pair[0], "one", fds, 2);
  send_with(pair[0], "two", fds + 1, 1);
  until_go();
  struct taken one = take(pair[1], "one", 10), two = take(pair[1], "two", 10);
  SAME(one.count, 2);
  SAME(two.count, 1);
  CHECK(same_file(one.fds[0], fds[0]) && same_file(one.fds[1], fds[1]) && same_file(two.fds[0], fds[1]), "others");
}

// In a stream the descriptors come with the write that they belong to, not before.
static void rights_stream(void) {
  make(SOCK_STREAM);
  int fds[2] = {OK(open("/dev/null", O_RDWR)), OK(open("/dev/zero", O_RDONLY))};
  SAME(OK(send(pair[0], "plain", 5, 0)), 5);
  send_with(pair[0], "with", fds, 1);
  send_with(pair[0], "more", fds + 1, 1);
  SAME(OK(send(pair[0], "end", 3, 0)), 3);
  until_go();
  SAME(take(pair[1], "plain", 5).count, 0);
  struct taken with = take(pair[1], "with", 20);
  SAME(with.count, 1);
  CHECK(same_file(with.fds[0], fds[0]), "another file");
  struct taken more = take(pair[1], "mo", 2);
  SAME(more.count, 1);
  CHECK(same_file(more.fds[0], fds[1]), "another file");
  take(pair[1], "reend", 20);
}

// Nobody has the descriptor any more.
static void rights_only_there(void) {
  make(SOCK_STREAM);
  int fd = OK(memfd_create("there", 0));
  SAME(OK(write(fd, "content", 7)), 7);
  send_with(pair[0], "x", &fd, 1);
  close(fd);
  until_go();
  struct taken taken = take(pair[1], "x", 10);
  SAME(taken.count, 1);
  char bytes[10] = {0};
  SAME(OK(pread(taken.fds[0], bytes, 10, 0)), 7);
  CHECK(!strcmp(bytes, "content"), "%s", bytes);
  SAME(OK(lseek(taken.fds[0], 0, SEEK_CUR)), 7);
}
static void rights_pipe(void) {
  make(SOCK_SEQPACKET);
  int ends[2];
  OK(pipe(ends));
  SAME(OK(write(ends[1], "in the pipe", 11)), 11);
  send_with(pair[0], "x", ends, 1);
  close(ends[0]);
  until_go();
  struct taken taken = take(pair[1], "x", 10);
  char bytes[20] = {0};
  SAME(OK(write(ends[1], "!", 1)), 1);
  SAME(OK(read(taken.fds[0], bytes, 20)), 12);
  CHECK(!strcmp(bytes, "in the pipe!"), "%s", bytes);
}
static void rights_file(void) {
  make(SOCK_DGRAM);
  int fd = OK(open(live_path("file"), O_RDWR | O_CREAT, 0600));
  SAME(OK(write(fd, "content", 7)), 7);
  send_with(pair[0], "x", &fd, 1);
  close(fd);
  until_go();
  struct taken taken = take(pair[1], "x", 10);
  SAME(OK(lseek(taken.fds[0], 0, SEEK_CUR)), 7);
  SAME(OK(write(taken.fds[0], "!", 1)), 1);
  struct stat status;
  OK(stat(live_path("file"), &status));
  SAME(status.st_size, 8);
}
// A socket on its way in a socket that is on its way itself; and one in its own queue.
static void rights_nested(void) {
  int inner[2];
  make(SOCK_STREAM);
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, inner));
  int fd = OK(open("/dev/zero", O_RDONLY));
  send_with(inner[0], "deep", &fd, 1);
  send_with(pair[0], "mid", inner + 1, 1);
  send_with(pair[0], "own", pair + 1, 1);
  close(inner[1]);
  close(fd);
  until_go();
  struct taken mid = take(pair[1], "mid", 3), own = take(pair[1], "own", 3);
  CHECK(same_file(own.fds[0], pair[1]), "another socket");
  struct taken deep = take(mid.fds[0], "deep", 20);
  char byte = 1;
  SAME(OK(read(deep.fds[0], &byte, 1)), 1);
  SAME(byte, 0);
  SAME(OK(send(inner[0], "again", 5, 0)), 5);
  take(mid.fds[0], "again", 20);
}

static void sends(void* text) {
  SAME(OK(send(pair[0], text, strlen(text), 0)), strlen(text));
  mark(text);
  wait_go();
}
static void credentials_of(int type) {
  make(type);
  OK(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)));
  pid_t first = child(sends, "first");
  await_mark("first");
  pid_t second = child(sends, "second");
  await_mark("second");
  SAME(OK(send(pair[0], "third", 5, 0)), 5);
  until_go();
  struct taken one = take(pair[1], "first", 50), two = take(pair[1], "second", 50), three = take(pair[1], "third", 50);
  SAME(one.credentials.pid, first);
  SAME(one.credentials.uid, getuid());
  SAME(two.credentials.pid, second);
  SAME(three.credentials.pid, getpid());
  SAME(three.credentials.gid, getgid());
  join_child(first);
  join_child(second);
}
static void passcred(void) { credentials_of(SOCK_DGRAM); }
static void passcred_stream(void) { credentials_of(SOCK_STREAM); }

static int option(int fd, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  OK(getsockopt(fd, SOL_SOCKET, name, &value, &length));
  return value;
}
static void options(void) {
  static const int names[] = {SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST, SO_PASSCRED, SO_DONTROUTE, SO_TIMESTAMP};
  make(SOCK_DGRAM);
  for (size_t i = 0; i < 6; i++) OK(setsockopt(pair[0], SOL_SOCKET, names[i], &(int){1}, sizeof(int)));
  OK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){30000}, sizeof(int)));
  OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, &(int){40000}, sizeof(int)));
  OK(setsockopt(pair[0], SOL_SOCKET, SO_PRIORITY, &(int){3}, sizeof(int)));
  int send_buffer = option(pair[1], SO_SNDBUF);
  until_go();
  for (size_t i = 0; i < 6; i++) {
    SAME(option(pair[0], names[i]), 1);
    SAME(option(pair[1], names[i]), 0);
  }
  SAME(option(pair[0], SO_SNDBUF), 60000);
  SAME(option(pair[0], SO_RCVBUF), 80000);
  SAME(option(pair[0], SO_PRIORITY), 3);
  SAME(option(pair[1], SO_SNDBUF), send_buffer);
}
static void timeouts(void) {
  make(SOCK_STREAM);
  struct timeval time = {0, 200000}, seen;
  OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
  OK(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &(struct linger){1, 7}, sizeof(struct linger)));
  until_go();
  socklen_t length = sizeof seen;
  OK(getsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &seen, &length));
  SAME(seen.tv_usec, 200000);
  struct linger linger;
  length = sizeof linger;
  OK(getsockopt(pair[0], SOL_SOCKET, SO_LINGER, &linger, &length));
  SAME(linger.l_linger, 7);
  char byte;
  double begin = now(CLOCK_MONOTONIC);
  CHECK(read(pair[0], &byte, 1) == -1 && errno == EAGAIN, "%s", strerror(errno));
  CHECK(now(CLOCK_MONOTONIC) - begin > 0.19, "it waited %.3f s", now(CLOCK_MONOTONIC) - begin);
}
// Drops what does not begin with 'y'.
static void filter(void) {
  make(SOCK_DGRAM);
  struct sock_filter code[] = {{BPF_LD | BPF_B | BPF_ABS, 0, 0, 0},
                               {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 'y'},
                               {BPF_RET | BPF_K, 0, 0, 1000},
                               {BPF_RET | BPF_K, 0, 0, 0}};
  SAME(OK(send(pair[0], "no", 2, 0)), 2);
  struct sock_fprog program = {4, code};
  OK(setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
  until_go();
  send(pair[0], "not", 3, 0);
  SAME(OK(send(pair[0], "yes", 3, 0)), 3);
  take(pair[1], "no", 10);
  take(pair[1], "yes", 10);
}

static void check_peer(int fd, pid_t pid) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length));
  SAME(peer.pid, pid);
  SAME(peer.uid, getuid());
  SAME(peer.gid, getgid());
}
static void peercred_pair(void) {
  make(SOCK_STREAM);
  until_go();
  check_peer(pair[0], getpid());
  check_peer(pair[1], getpid());
}
static struct sockaddr_un address;
static void connects(void* server) {
  int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));
  OK(connect(fd, (struct sockaddr*)&address, sizeof address));
  mark("connected");
  wait_go();
  check_peer(fd, *(pid_t*)server);
}
static void peercred_accepted(void) {
  pid_t self = getpid();
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof address.sun_path, "%s", live_path("socket"));
  int server = OK(socket(AF_UNIX, SOCK_STREAM, 0));
  OK(bind(server, (struct sockaddr*)&address, sizeof address));
  OK(listen(server, 1));
  pid_t pid = child(connects, &self);
  int accepted = OK(accept(server, NULL, NULL));
  await_mark("connected");
  until_go();
  check_peer(accepted, pid);
  join_child(pid);
}

static void peek_off(void) {
  make(SOCK_STREAM);
  OK(setsockopt(pair[1], SOL_SOCKET, SO_PEEK_OFF, &(int){0}, sizeof(int)));
  SAME(OK(send(pair[0], "abcdef", 6, 0)), 6);
  char bytes[10];
  SAME(OK(recv(pair[1], bytes, 2, MSG_PEEK)), 2);
  until_go();
  SAME(OK(recv(pair[1], bytes, 2, MSG_PEEK)), 2);
  CHECK(bytes[0] == 'c', "peeks at %c", bytes[0]);
  SAME(OK(recv(pair[1], bytes, 10, 0)), 6);
}

static volatile sig_atomic_t signals;
static void count(int signal) { signals += signal == SIGUSR1; }
static void sigio(void) {
  make(SOCK_DGRAM);
  signal(SIGUSR1, count);
  OK(fcntl(pair[1], F_SETOWN, getpid()));
  OK(fcntl(pair[1], F_SETSIG, SIGUSR1));
  OK(fcntl(pair[1], F_SETFL, O_ASYNC | O_NONBLOCK));
  until_go();
  SAME(signals, 0);
  SAME(fcntl(pair[1], F_GETFL), O_RDWR | O_ASYNC | O_NONBLOCK);
  SAME(OK(send(pair[0], "x", 1, 0)), 1);
  while (!signals) pause_ms(1);
}

static void in_epoll(void) {
  make(SOCK_STREAM);
  int epoll = OK(epoll_create1(0));
  OK(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[1], &(struct epoll_event){EPOLLIN | EPOLLRDHUP, {.u32 = 9}}));
  until_go();
  struct epoll_event event;
  SAME(OK(epoll_wait(epoll, &event, 1, 10)), 0);
  SAME(OK(send(pair[0], "x", 1, 0)), 1);
  SAME(OK(epoll_wait(epoll, &event, 1, 1000)), 1);
  SAME(event.data.u32, 9);
  SAME(event.events, EPOLLIN);
}

static pid_t helper;
static void* reads(void* unused) {
  char byte;
  __atomic_store_n(&helper, tid(), __ATOMIC_RELEASE);
  SAME(OK(read(pair[1], &byte, 1)), 1);
  SAME(byte, 'z');
  return unused;
}
static void await_helper(void) {
  while (!__atomic_load_n(&helper, __ATOMIC_ACQUIRE)) pause_ms(1);
  await_asleep(helper);
}
static void blocked_reader(void) {
  make(SOCK_STREAM);
  pthread_t reader = thread(reads, NULL);
  await_helper();
  until_go();
  SAME(OK(send(pair[0], "z", 1, 0)), 1);
  pthread_join(reader, NULL);
}
static const size_t kMuch = 3 << 20;
static void* writes(void* unused) {
  char* bytes = malloc(kMuch);
  fill(bytes, kMuch, 3);
  __atomic_store_n(&helper, tid(), __ATOMIC_RELEASE);
  // As after SIGSTOP, a call that has put some of its bytes says so.
  for (size_t at = 0; at < kMuch;) at += (size_t)OK(send(pair[0], bytes + at, kMuch - at, 0));
  free(bytes);
  return unused;
}
static void blocked_writer(void) {
  make(SOCK_STREAM);
  pthread_t writer = thread(writes, NULL);
  await_helper();
  until_go();
  char* bytes = malloc(kMuch);
  SAME(OK(recv(pair[1], bytes, kMuch, MSG_WAITALL)), kMuch);
  check_filled(bytes, kMuch, 3, "what was written");
  pthread_join(writer, NULL);
  CHECK(recv(pair[1], bytes, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN, "more bytes");
}

static const struct live_case cases[] = {{"rights", rights},
                                         {"rights_stream", rights_stream},
                                         {"rights_only_there", rights_only_there},
                                         {"rights_pipe", rights_pipe},
                                         {"rights_nested", rights_nested},
                                         {"rights_file", rights_file},
                                         {"passcred", passcred},
                                         {"passcred_stream", passcred_stream},
                                         {"options", options},
                                         {"timeouts", timeouts},
                                         {"filter", filter},
                                         {"peercred_pair", peercred_pair},
                                         {"peercred_accepted", peercred_accepted},
                                         {"peek_off", peek_off},
                                         {"sigio", sigio},
                                         {"in_epoll", in_epoll},
                                         {"blocked_reader", blocked_reader},
                                         {"blocked_writer", blocked_writer}};
RUN_CASES(cases)
