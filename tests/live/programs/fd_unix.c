// UNIX sockets: what lies in their queues, names, connections that wait, halves shut down, ends that are closed.
// live-cases: stream dgram seqpacket both_ways two_processes full named abstract client_named relative
// live-cases: relative_left unlinked listening waiting waiting_many peer_closed peer_reset half_shut
// live-cases: shut_reader unconnected dgram_named dgram_one_way dgram_sender_gone dgram_unnamed_target
// live-cases: dgram_peer_gone many relative_unlinked
// Only root is told in which directory a relative name was given, and whether it is there still.
// live-without: user.relative_left user-pid.relative_left user.relative_unlinked user-pid.relative_unlinked
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "target.h"

static int pair[2];

static void make(int type) { OK(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair)); }
static void put(int fd, size_t length, unsigned seed) {
  char* bytes = malloc(length + 1);
  fill(bytes, length, seed);
  SAME(OK(send(fd, bytes, length, 0)), length);
  free(bytes);
}
static void get(int fd, size_t length, unsigned seed) {
  char* bytes = malloc(length);
  for (size_t have = 0; have < length;) {
    ssize_t got = OK(read(fd, bytes + have, length - have));
    CHECK(got > 0, "ends after %zu of %zu bytes", have, length);
    have += (size_t)got;
  }
  check_filled(bytes, length, seed, "bytes of the socket");
  free(bytes);
}
// One message of exactly this length.
static void get_message(int fd, size_t length, unsigned seed) {
  char* bytes = malloc(length + 100);
  SAME(OK(recv(fd, bytes, length + 100, 0)), length);
  check_filled(bytes, length, seed, "message");
  free(bytes);
}
static void check_empty(int fd) {
  char byte;
  CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN, "not empty: %s", strerror(errno));
}
static void check_end(int fd) {
  char byte;
  SAME(OK(read(fd, &byte, 1)), 0);
}
static void until_go(void) {
  ready();
  wait_go();
}

static struct sockaddr_un address;
static socklen_t address_length;
static struct sockaddr* name_is(const char* name, size_t length) {
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, name, length);
  address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  return (struct sockaddr*)&address;
}
// A path in the run's directory, or an abstract name made of one.
static struct sockaddr* path_is(const char* name) {
  const char* path = live_path(name);
  return name_is(path, strlen(path) + 1);
}
static struct sockaddr* abstract_is(const char* name) {
  char text[108];
  int length = snprintf(text, sizeof text, "%c%s", 0, live_path(name));
  return name_is(text, (size_t)length);
}
static int bound(int type, struct sockaddr* name) {
  int fd = OK(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  OK(bind(fd, name, address_length));
  return fd;
}
static int connected(int type, struct sockaddr* name) {
  int fd = OK(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  OK(connect(fd, name, address_length));
  return fd;
}
typedef int (*name_call)(int, struct sockaddr*, socklen_t*);
static void check_name(name_call call, int fd, struct sockaddr* wanted) {
  struct sockaddr_un seen;
  socklen_t length = sizeof seen;
  OK(call(fd, (struct sockaddr*)&seen, &length));
  SAME(length, wanted ? address_length : sizeof(sa_family_t));
  if (wanted) CHECK(!memcmp(&seen, wanted, length), "the name is %s", seen.sun_path + !seen.sun_path[0]);
}

static void stream(void) {
  make(SOCK_STREAM);
  put(pair[0], 10000, 1);
  until_go();
  get(pair[1], 10000, 1);
  check_empty(pair[1]);
  check_empty(pair[0]);
  put(pair[1], 100, 2);
  get(pair[0], 100, 2);
}
static void messages_of(int type) {
  make(type);
  put(pair[0], 10, 1);
  put(pair[0], 0, 2);
  put(pair[0], 5000, 3);
  until_go();
  get_message(pair[1], 10, 1);
  get_message(pair[1], 0, 2);
  get_message(pair[1], 5000, 3);
  check_empty(pair[1]);
  put(pair[1], 7, 4);
  get_message(pair[0], 7, 4);
}
static void dgram(void) { messages_of(SOCK_DGRAM); }
static void seqpacket(void) { messages_of(SOCK_SEQPACKET); }

static void both_ways(void) {
  make(SOCK_STREAM);
  put(pair[0], 3000, 1);
  put(pair[1], 4000, 2);
  until_go();
  get(pair[1], 3000, 1);
  get(pair[0], 4000, 2);
}

static void answers(void* unused) {
  (void)unused;
  close(pair[0]);
  mark("child");
  wait_go();
  get(pair[1], 3000, 4);
  get(pair[1], 100, 5);
  put(pair[1], 200, 6);
}
static void two_processes(void) {
  make(SOCK_STREAM);
  put(pair[0], 3000, 4);
  pid_t pid = child(answers, NULL);
  close(pair[1]);
  await_mark("child");
  until_go();
  put(pair[0], 100, 5);
  get(pair[0], 200, 6);
  join_child(pid);
  check_end(pair[0]);
}

static void full(void) {
  make(SOCK_STREAM);
  size_t count = 0;
  while (send(pair[0], &(char[1000]){(char)count}, 1000, MSG_DONTWAIT) == 1000) count++;
  until_go();
  for (size_t i = 0; i < count; i++) {
    char bytes[1000];
    SAME(OK(recv(pair[1], bytes, sizeof bytes, MSG_WAITALL)), 1000);
    SAME(bytes[0], (char)i);
  }
  put(pair[0], 100, 1);
}

// A client and an accepted connection over a listening socket of this name, which goes on listening.
static void over(struct sockaddr* name) {
  int server = bound(SOCK_STREAM, name);
  OK(listen(server, 5));
  int client = connected(SOCK_STREAM, name);
  int accepted = OK(accept4(server, NULL, NULL, SOCK_CLOEXEC));
  put(client, 2000, 1);
  put(accepted, 3000, 2);
  until_go();
  get(accepted, 2000, 1);
  get(client, 3000, 2);
  check_name(getsockname, server, name);
  check_name(getsockname, accepted, name);
  check_name(getpeername, client, name);
  check_name(getsockname, client, NULL);
  int more = connected(SOCK_STREAM, name);
  int second = OK(accept(server, NULL, NULL));
  put(more, 10, 3);
  get(second, 10, 3);
  close(client);
  check_end(accepted);
}
static void named(void) { over(path_is("socket")); }
static void abstract(void) { over(abstract_is("socket")); }

static void client_named(void) {
  int server = bound(SOCK_SEQPACKET, path_is("server"));
  OK(listen(server, 1));
  int client = bound(SOCK_SEQPACKET, path_is("client"));
  OK(connect(client, path_is("server"), address_length));
  int accepted = OK(accept(server, NULL, NULL));
  close(server);
  OK(unlink(live_path("server")));
  put(client, 30, 1);
  until_go();
  check_name(getpeername, client, path_is("server"));
  check_name(getsockname, accepted, path_is("server"));
  check_name(getpeername, accepted, path_is("client"));
  check_name(getsockname, client, path_is("client"));
  get_message(accepted, 30, 1);
  CHECK(access(live_path("server"), F_OK) != 0, "the removed name is back");
}

static void relative_to(const char* then) {
  OK(mkdir(live_path("sub"), 0700));
  OK(chdir(live_path("sub")));
  int server = bound(SOCK_DGRAM, name_is("here", 5));
  OK(chmod("here", 0640));
  if (then) OK(chdir(then));
  until_go();
  check_name(getsockname, server, name_is("here", 5));
  struct stat status;
  OK(stat(live_path("sub/here"), &status));
  CHECK(S_ISSOCK(status.st_mode), "mode 0%o", status.st_mode);
  SAME(status.st_mode & 07777, 0640);
  int client = connected(SOCK_DGRAM, path_is("sub/here"));
  put(client, 10, 1);
  get_message(server, 10, 1);
}

static void relative(void) { relative_to(NULL); }
static void relative_left(void) { relative_to("/"); }

static void relative_unlinked(void) {
  OK(chdir(live_path(".")));
  int server = bound(SOCK_DGRAM, name_is("here", 5)), client = connected(SOCK_DGRAM, name_is("here", 5));
  OK(unlink("here"));
  until_go();
  check_name(getsockname, server, name_is("here", 5));
  CHECK(access("here", F_OK) != 0, "the removed name is back");
  put(client, 10, 1);
  get_message(server, 10, 1);
}

static void unlinked(void) {
  int server = bound(SOCK_STREAM, path_is("socket"));
  OK(listen(server, 1));
  int client = connected(SOCK_STREAM, path_is("socket"));
  int accepted = OK(accept(server, NULL, NULL));
  OK(unlink(live_path("socket")));
  int other = bound(SOCK_DGRAM, path_is("socket"));  // another one has the name by now
  until_go();
  check_name(getsockname, server, path_is("socket"));
  check_name(getpeername, client, path_is("socket"));
  put(client, 10, 1);
  get(accepted, 10, 1);
  int sender = connected(SOCK_DGRAM, path_is("socket"));
  put(sender, 20, 2);
  get_message(other, 20, 2);
}

static void listening(void) {
  int server = bound(SOCK_STREAM, path_is("socket"));
  OK(listen(server, 2));
  until_go();
  int clients[4];
  for (int i = 0; i < 4; i++) {
    clients[i] = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    int done = connect(clients[i], path_is("socket"), address_length);
    CHECK((i < 3) == (done == 0), "connection %d: %s", i, strerror(errno));
  }
  SAME(errno, EAGAIN);
}

static void waiting(void) {
  int server = bound(SOCK_STREAM, path_is("socket"));
  OK(listen(server, 5));
  int first = connected(SOCK_STREAM, path_is("socket"));
  int second = connected(SOCK_STREAM, path_is("socket"));
  until_go();
  put(second, 20, 2);
  put(first, 10, 1);
  int accepted = OK(accept(server, NULL, NULL));
  get(accepted, 10, 1);
  accepted = OK(accept(server, NULL, NULL));
  get(accepted, 20, 2);
  put(accepted, 30, 3);
  get(second, 30, 3);
  OK(fcntl(server, F_SETFL, O_NONBLOCK));
  CHECK(accept(server, NULL, NULL) == -1 && errno == EAGAIN, "a third one waits");
}
static void connects(void* number) {
  int fd = connected(SOCK_SEQPACKET, abstract_is("socket"));
  mark((const char*)number);
  wait_go();
  put(fd, 10, (unsigned)atoi(number));
}
static void waiting_many(void) {
  int server = bound(SOCK_SEQPACKET, abstract_is("socket"));
  OK(listen(server, 100));
  pid_t pids[9];
  char* names[9] = {"1", "2", "3", "4", "5", "6", "7", "8", "9"};
  for (int i = 0; i < 9; i++) {
    pids[i] = child(connects, names[i]);
    await_mark(names[i]);
  }
  until_go();
  for (int i = 0; i < 9; i++) {
    int fd = OK(accept(server, NULL, NULL));
    struct ucred peer;
    socklen_t length = sizeof peer;
    OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length));
    SAME(peer.pid, pids[i]);
    get_message(fd, 10, (unsigned)i + 1);
    close(fd);
    join_child(pids[i]);
  }
}

static void peer_closed(void) {
  make(SOCK_STREAM);
  put(pair[0], 100, 1);
  close(pair[0]);
  until_go();
  get(pair[1], 100, 1);
  check_end(pair[1]);
  CHECK(send(pair[1], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "%s", strerror(errno));
}
static void peer_reset(void) {
  make(SOCK_STREAM);
  put(pair[0], 100, 1);
  put(pair[1], 100, 1);
  close(pair[0]);  // with bytes that it has not read
  until_go();
  int error = 0;
  socklen_t length = sizeof error;
  OK(getsockopt(pair[1], SOL_SOCKET, SO_ERROR, &error, &length));
  SAME(error, ECONNRESET);
  get(pair[1], 100, 1);
  check_end(pair[1]);
}
static void half_shut(void) {
  make(SOCK_STREAM);
  put(pair[0], 100, 1);
  OK(shutdown(pair[0], SHUT_WR));
  until_go();
  CHECK(send(pair[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "%s", strerror(errno));
  get(pair[1], 100, 1);
  check_end(pair[1]);
  put(pair[1], 50, 2);
  get(pair[0], 50, 2);
}
static void shut_reader(void) {
  make(SOCK_SEQPACKET);
  put(pair[0], 100, 1);
  OK(shutdown(pair[1], SHUT_RD));
  until_go();
  get_message(pair[1], 100, 1);
  check_end(pair[1]);
  CHECK(send(pair[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "%s", strerror(errno));
  put(pair[1], 50, 2);
  get_message(pair[0], 50, 2);
}

static void unconnected(void) {
  int plain = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
  int named_one = bound(SOCK_STREAM, path_is("socket"));
  until_go();
  SAME(fcntl(plain, F_GETFL), O_RDWR | O_NONBLOCK);
  check_name(getsockname, plain, NULL);
  check_name(getsockname, named_one, path_is("socket"));
  CHECK(connect(plain, path_is("socket"), address_length) == -1 && errno == ECONNREFUSED, "%s", strerror(errno));
  OK(listen(named_one, 1));
  OK(connect(plain, path_is("socket"), address_length));
}

static void get_from(int fd, size_t length, unsigned seed, struct sockaddr* sender) {
  char bytes[6000];
  struct sockaddr_un from;
  socklen_t from_length = sizeof from;
  SAME(OK(recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr*)&from, &from_length)), length);
  check_filled(bytes, length, seed, "datagram");
  SAME(from_length, sender ? address_length : 0);
  if (sender) CHECK(!memcmp(&from, sender, from_length), "from %s", from.sun_path);
}
static void dgram_named(void) {
  int a = bound(SOCK_DGRAM, path_is("a")), b = bound(SOCK_DGRAM, abstract_is("b"));
  OK(connect(a, abstract_is("b"), address_length));
  OK(connect(b, path_is("a"), address_length));
  for (unsigned i = 0; i < 30; i++) put(a, 100 + i, i);
  put(b, 10, 40);
  until_go();
  for (unsigned i = 0; i < 30; i++) get_from(b, 100 + i, i, path_is("a"));
  get_from(a, 10, 40, abstract_is("b"));
  check_name(getpeername, a, abstract_is("b"));
}
static void dgram_one_way(void) {
  int server = bound(SOCK_DGRAM, path_is("server"));
  int first = connected(SOCK_DGRAM, path_is("server"));
  int second = bound(SOCK_DGRAM, path_is("second"));
  OK(connect(second, path_is("server"), address_length));
  put(first, 10, 1);
  put(second, 20, 2);
  put(first, 30, 3);
  until_go();
  get_from(server, 10, 1, NULL);
  get_from(server, 20, 2, path_is("second"));
  get_from(server, 30, 3, NULL);
  check_empty(server);
  put(second, 40, 4);
  get_from(server, 40, 4, path_is("second"));
  CHECK(send(server, "x", 1, 0) == -1 && errno == ENOTCONN, "%s", strerror(errno));
}
static void dgram_sender_gone(void) {
  int server = bound(SOCK_DGRAM, abstract_is("server"));
  int first = bound(SOCK_DGRAM, abstract_is("first")), second = bound(SOCK_DGRAM, path_is("second"));
  OK(connect(first, abstract_is("server"), address_length));
  OK(connect(second, abstract_is("server"), address_length));
  put(first, 10, 1);
  put(second, 20, 2);
  put(second, 30, 3);
  close(first);
  close(second);
  OK(unlink(live_path("second")));
  until_go();
  get_from(server, 10, 1, abstract_is("first"));
  get_from(server, 20, 2, path_is("second"));
  get_from(server, 30, 3, path_is("second"));
  CHECK(access(live_path("second"), F_OK) != 0, "the removed name is back");
}
// One end of a pair that turned to another socket; the other end still sends to it.
static void dgram_unnamed_target(void) {
  make(SOCK_DGRAM);
  int server = bound(SOCK_DGRAM, path_is("server"));
  OK(connect(pair[1], path_is("server"), address_length));
  int error;
  socklen_t length = sizeof error;
  OK(getsockopt(pair[0], SOL_SOCKET, SO_ERROR, &error, &length));  // its peer turned away
  put(pair[1], 20, 2);
  until_go();
  get_message(server, 20, 2);
  check_empty(pair[1]);
  CHECK(send(pair[0], "x", 1, 0) == -1 && errno == EPERM, "%s", strerror(errno));  // takes only from its own peer
  put(pair[1], 40, 4);
  get_message(server, 40, 4);
}
static void dgram_peer_gone(void) {
  make(SOCK_DGRAM);
  put(pair[0], 100, 1);
  put(pair[0], 200, 2);
  close(pair[0]);
  until_go();
  get_message(pair[1], 100, 1);
  get_message(pair[1], 200, 2);
  CHECK(send(pair[1], "x", 1, 0) == -1 && errno == ECONNREFUSED, "%s", strerror(errno));
}

static void many(void) {
  enum { kPairs = 60 };
  int pairs[kPairs][2];
  for (int i = 0; i < kPairs; i++) {
    OK(socketpair(AF_UNIX, i % 2 ? SOCK_STREAM : SOCK_DGRAM, 0, pairs[i]));
    put(pairs[i][i % 3 == 0], (size_t)i * 30 + 1, (unsigned)i);
  }
  until_go();
  for (int i = 0; i < kPairs; i++) {
    get(pairs[i][i % 3 != 0], (size_t)i * 30 + 1, (unsigned)i);
    check_empty(pairs[i][0]);
    check_empty(pairs[i][1]);
  }
}

static const struct live_case cases[] = {{"stream", stream},
                                         {"dgram", dgram},
                                         {"seqpacket", seqpacket},
                                         {"both_ways", both_ways},
                                         {"two_processes", two_processes},
                                         {"full", full},
                                         {"named", named},
                                         {"abstract", abstract},
                                         {"client_named", client_named},
                                         {"relative", relative},
                                         {"relative_left", relative_left},
                                         {"relative_unlinked", relative_unlinked},
                                         {"unlinked", unlinked},
                                         {"listening", listening},
                                         {"waiting", waiting},
                                         {"waiting_many", waiting_many},
                                         {"peer_closed", peer_closed},
                                         {"peer_reset", peer_reset},
                                         {"half_shut", half_shut},
                                         {"shut_reader", shut_reader},
                                         {"unconnected", unconnected},
                                         {"dgram_named", dgram_named},
                                         {"dgram_one_way", dgram_one_way},
                                         {"dgram_sender_gone", dgram_sender_gone},
                                         {"dgram_unnamed_target", dgram_unnamed_target},
                                         {"dgram_peer_gone", dgram_peer_gone},
                                         {"many", many}};
RUN_CASES(cases)
