// TCP sockets on this machine: listening, connected, with bytes on their way, half closed, and their options.
// live-cases: listening listening_v6 backlog pair both_ways v6 mapped two_processes full blocked_writer half_shut
// live-cases: both_shut shut_reader peer_closed peer_closed_bytes peer_reset refused waiting unconnected bound
// live-cases: options listen_options many nonblocking in_epoll small_buffer
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "target.h"

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};
static int server, client, accepted;

static union address loopback(int domain) {
  union address address = {.any.sa_family = (sa_family_t)domain};
  if (domain == AF_INET) address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (domain == AF_INET6) address.v6.sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
  return address;
}
static socklen_t size_of(const union address* address) {
  return address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
}
static union address name_of(int fd) {
  union address address;
  socklen_t length = sizeof address;
  OK(getsockname(fd, &address.any, &length));
  return address;
}
static union address peer_of(int fd) {
  union address address;
  socklen_t length = sizeof address;
  OK(getpeername(fd, &address.any, &length));
  return address;
}
static void check_same(union address seen, union address wanted) {
  SAME(seen.any.sa_family, wanted.any.sa_family);
  SAME(ntohs(seen.v4.sin_port), ntohs(wanted.v4.sin_port));
  CHECK(!memcmp(&seen, &wanted, size_of(&wanted)), "another address");
}
static void listen_at(union address address, int backlog) {
  server = OK(socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  OK(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)));  // as servers do
  OK(bind(server, &address.any, size_of(&address)));
  OK(listen(server, backlog));
}
static int connected(union address to) {
  int fd = OK(socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  OK(connect(fd, &to.any, size_of(&to)));
  return fd;
}
static void make(int domain) {
  listen_at(loopback(domain), 5);
  client = connected(name_of(server));
  accepted = OK(accept4(server, NULL, NULL, SOCK_CLOEXEC));
}
static int option(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  OK(getsockopt(fd, level, name, &value, &length));
  return value;
}
static void put(int fd, size_t length, unsigned seed) {
  char* bytes = malloc(length);
  fill(bytes, length, seed);
  for (size_t at = 0; at < length;) at += (size_t)OK(send(fd, bytes + at, length - at, MSG_NOSIGNAL));
  free(bytes);
}
static void get(int fd, size_t length, unsigned seed) {
  char* bytes = malloc(length);
  for (size_t have = 0; have < length;) {
    ssize_t got = OK(recv(fd, bytes + have, length - have, 0));
    CHECK(got > 0, "ends after %zu of %zu bytes", have, length);
    have += (size_t)got;
  }
  check_filled(bytes, length, seed, "bytes of the connection");
  free(bytes);
}
static void check_empty(int fd) {
  char byte;
  CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN, "not empty: %s", strerror(errno));
}
static void check_end(int fd) {
  char byte;
  SAME(OK(recv(fd, &byte, 1, 0)), 0);
}
static void until_go(void) {
  ready();
  wait_go();
}
// Everything works: the listening socket, and a connection.
static void check_listening(void) {
  int more = connected(name_of(server));
  int second = OK(accept(server, NULL, NULL));
  put(more, 100, 7);
  get(second, 100, 7);
  close(more);
  check_end(second);
  close(second);
}

static void listening_in(int domain) {
  listen_at(loopback(domain), 5);
  union address before = name_of(server);
  until_go();
  check_same(name_of(server), before);
  check_listening();
}
static void listening(void) { listening_in(AF_INET); }
static void listening_v6(void) { listening_in(AF_INET6); }

static void backlog(void) {
  listen_at(loopback(AF_INET), 2);
  until_go();
  struct tcp_info info;
  socklen_t length = sizeof info;
  OK(getsockopt(server, IPPROTO_TCP, TCP_INFO, &info, &length));
  SAME(info.tcpi_sacked, 2);
  check_listening();
}

static void pair_in(int domain) {
  make(domain);
  put(client, 10000, 1);
  union address names[2] = {name_of(client), name_of(accepted)};
  until_go();
  check_same(name_of(client), names[0]);
  check_same(peer_of(client), names[1]);
  check_same(name_of(accepted), names[1]);
  check_same(peer_of(accepted), names[0]);
  SAME(option(client, SOL_SOCKET, SO_REUSEADDR), 0);
  SAME(option(accepted, SOL_SOCKET, SO_REUSEADDR), 1);
  get(accepted, 10000, 1);
  check_empty(accepted);
  check_empty(client);
  put(accepted, 20000, 2);
  get(client, 20000, 2);
  check_listening();
  close(client);
  check_end(accepted);
}
static void pair(void) { pair_in(AF_INET); }
static void v6(void) { pair_in(AF_INET6); }

// A server that speaks IPv6, a client that does not.
static void mapped(void) {
  union address any = {.v6 = {.sin6_family = AF_INET6}};
  listen_at(any, 5);
  union address to = loopback(AF_INET);
  to.v4.sin_port = name_of(server).v6.sin6_port;
  client = connected(to);
  accepted = OK(accept(server, NULL, NULL));
  put(client, 100, 1);
  put(accepted, 200, 2);
  union address name = peer_of(accepted);
  until_go();
  check_same(peer_of(accepted), name);
  SAME(name_of(accepted).v6.sin6_family, AF_INET6);
  get(accepted, 100, 1);
  get(client, 200, 2);
  check_listening();
}

static void both_ways(void) {
  make(AF_INET);
  put(client, 60000, 1);
  put(accepted, 50000, 2);
  until_go();
  get(accepted, 60000, 1);
  get(client, 50000, 2);
}

static void answers(void* unused) {
  (void)unused;
  close(client);
  close(server);
  mark("child");
  wait_go();
  get(accepted, 3000, 4);
  get(accepted, 100, 5);
  put(accepted, 200, 6);
}
static void two_processes(void) {
  make(AF_INET);
  put(client, 3000, 4);
  pid_t pid = child(answers, NULL);
  close(accepted);
  await_mark("child");
  until_go();
  put(client, 100, 5);
  get(client, 200, 6);
  join_child(pid);
  check_end(client);
}

// More than the window takes: the rest waits in the sender. The bytes sent.
static size_t fill_up(int from, unsigned seed) {
  enum { kRoom = 32 << 20 };
  char* bytes = malloc(kRoom);
  fill(bytes, kRoom, seed);
  size_t at = 0;
  for (int idle = 0; idle < 20; pause_ms(1)) {
    ssize_t sent = send(from, bytes + at, kRoom - at, MSG_DONTWAIT);
    if (sent <= 0) CHECK(sent < 0 && errno == EAGAIN, "%zd bytes: %s", sent, strerror(errno));
    if (sent > 0) at += (size_t)sent;
    idle = sent > 0 ? 0 : idle + 1;
  }
  free(bytes);
  return at;
}
static void full(void) {
  make(AF_INET);
  size_t there = fill_up(client, 1), back = fill_up(accepted, 2);
  until_go();
  get(accepted, there, 1);
  get(client, back, 2);
  check_empty(accepted);
}

static pid_t helper;
static const size_t kMuch = 12 << 20;
static void* writes(void* unused) {
  __atomic_store_n(&helper, tid(), __ATOMIC_RELEASE);
  put(client, kMuch, 3);
  return unused;
}
static void blocked_writer(void) {
  make(AF_INET);
  pthread_t writer = thread(writes, NULL);
  while (!__atomic_load_n(&helper, __ATOMIC_ACQUIRE)) pause_ms(1);
  await_asleep(helper);
  until_go();
  get(accepted, kMuch, 3);
  pthread_join(writer, NULL);
  check_empty(accepted);
}

static void half_shut(void) {
  make(AF_INET);
  put(client, 100, 1);
  OK(shutdown(client, SHUT_WR));
  until_go();
  CHECK(send(client, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "%s", strerror(errno));
  get(accepted, 100, 1);
  check_end(accepted);
  put(accepted, 50, 2);
  get(client, 50, 2);
  close(accepted);
  check_end(client);
}
static void both_shut(void) {
  make(AF_INET);
  put(client, 100, 1);
  put(accepted, 200, 2);
  OK(shutdown(client, SHUT_WR));
  OK(shutdown(accepted, SHUT_WR));
  until_go();
  get(accepted, 100, 1);
  get(client, 200, 2);
  check_end(accepted);
  check_end(client);
}
static void shut_reader(void) {
  make(AF_INET);
  OK(shutdown(accepted, SHUT_RD));
  until_go();
  check_end(accepted);
  put(accepted, 50, 2);
  get(client, 50, 2);
}
static void peer_closed(void) {
  make(AF_INET);
  close(client);
  until_go();
  check_end(accepted);
  send(accepted, "x", 1, MSG_NOSIGNAL);
  pause_ms(10);
  CHECK(send(accepted, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "%s", strerror(errno));
}
static void peer_closed_bytes(void) {
  make(AF_INET);
  put(accepted, 70000, 1);
  close(accepted);
  until_go();
  get(client, 70000, 1);
  check_end(client);
  check_listening();
}
static void peer_reset(void) {
  make(AF_INET);
  OK(setsockopt(accepted, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger)));
  put(accepted, 50, 1);
  close(accepted);
  until_go();
  int error = 0;
  socklen_t length = sizeof error;
  OK(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &length));
  SAME(error, ECONNRESET);
}
// The connection was refused; the program knows, and may use the socket again.
static void refused(void) {
  listen_at(loopback(AF_INET), 1);
  union address to = name_of(server);
  close(server);
  client = OK(socket(AF_INET, SOCK_STREAM, 0));
  CHECK(connect(client, &to.any, sizeof to.v4) == -1 && errno == ECONNREFUSED, "%s", strerror(errno));
  until_go();
  listen_at(to, 1);
  OK(connect(client, &to.any, sizeof to.v4));
}

static void waiting(void) {
  listen_at(loopback(AF_INET), 5);
  int first = connected(name_of(server));
  pause_ms(5);
  int second = connected(name_of(server));
  union address names[2] = {name_of(first), name_of(second)};
  until_go();
  put(second, 20, 2);
  put(first, 10, 1);
  accepted = OK(accept(server, NULL, NULL));
  check_same(peer_of(accepted), names[0]);
  get(accepted, 10, 1);
  accepted = OK(accept(server, NULL, NULL));
  check_same(peer_of(accepted), names[1]);
  get(accepted, 20, 2);
  put(accepted, 30, 3);
  get(second, 30, 3);
  OK(fcntl(server, F_SETFL, O_NONBLOCK));
  CHECK(accept(server, NULL, NULL) == -1 && errno == EAGAIN, "a third one waits");
}

static void unconnected(void) {
  client = OK(socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0));
  OK(setsockopt(client, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int)));
  until_go();
  int only = 0;
  socklen_t length = sizeof only;
  OK(getsockopt(client, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length));
  SAME(only, 1);
  SAME(fcntl(client, F_GETFL), O_RDWR | O_NONBLOCK);
  SAME(name_of(client).v6.sin6_port, 0);
  CHECK(recv(client, &only, 1, 0) == -1 && errno == ENOTCONN, "%s", strerror(errno));
}
static void bound(void) {
  union address address = loopback(AF_INET);
  server = OK(socket(AF_INET, SOCK_STREAM, 0));
  OK(bind(server, &address.any, sizeof address.v4));
  address = name_of(server);
  until_go();
  check_same(name_of(server), address);
  OK(listen(server, 1));
  check_listening();
}

struct rule {
  int level, name, value, seen;
};
static void set_all(int fd, const struct rule* rules, size_t count) {
  for (size_t i = 0; i < count; i++) {
    OK(setsockopt(fd, rules[i].level, rules[i].name, &rules[i].value, sizeof(int)));
    SAME(option(fd, rules[i].level, rules[i].name), rules[i].seen);
  }
}
static void check_all(int fd, const struct rule* rules, size_t count) {
  for (size_t i = 0; i < count; i++) {
    int seen = option(fd, rules[i].level, rules[i].name);
    CHECK(seen == rules[i].seen, "option %d of level %d is %d, not %d", rules[i].name, rules[i].level, seen,
          rules[i].seen);
  }
}
static void options(void) {
  static const struct rule rules[] = {{SOL_SOCKET, SO_REUSEADDR, 1, 1},
                                      {SOL_SOCKET, SO_KEEPALIVE, 1, 1},
                                      {SOL_SOCKET, SO_OOBINLINE, 1, 1},
                                      {SOL_SOCKET, SO_RCVLOWAT, 5, 5},
                                      {SOL_SOCKET, SO_SNDBUF, 30000, 60000},
                                      {SOL_SOCKET, SO_RCVBUF, 40000, 80000},
                                      {IPPROTO_TCP, TCP_NODELAY, 1, 1},
                                      {IPPROTO_TCP, TCP_KEEPIDLE, 77, 77},
                                      {IPPROTO_TCP, TCP_KEEPINTVL, 11, 11},
                                      {IPPROTO_TCP, TCP_KEEPCNT, 3, 3},
                                      {IPPROTO_TCP, TCP_USER_TIMEOUT, 4321, 4321},
                                      {IPPROTO_TCP, TCP_LINGER2, 9, 9},
                                      {IPPROTO_IP, IP_TTL, 33, 33},
                                      {IPPROTO_IP, IP_TOS, 16, 16}};
  enum { kRules = sizeof rules / sizeof *rules };
  make(AF_INET);
  int nodelay = option(accepted, IPPROTO_TCP, TCP_NODELAY), lowat = option(accepted, SOL_SOCKET, SO_RCVLOWAT);
  set_all(client, rules, kRules);
  put(accepted, 3000, 1);
  until_go();
  check_all(client, rules, kRules);
  SAME(option(accepted, IPPROTO_TCP, TCP_NODELAY), nodelay);
  SAME(option(accepted, SOL_SOCKET, SO_RCVLOWAT), lowat);
  SAME(option(accepted, SOL_SOCKET, SO_REUSEADDR), 1);
  SAME(option(accepted, SOL_SOCKET, 72), 0);  // SO_BUF_LOCK
  get(client, 3000, 1);
}
static void listen_options(void) {
  static const struct rule rules[] = {{SOL_SOCKET, SO_REUSEADDR, 1, 1},
                                      {SOL_SOCKET, SO_REUSEPORT, 1, 1},
                                      {IPPROTO_IPV6, IPV6_V6ONLY, 1, 1},
                                      {IPPROTO_TCP, TCP_DEFER_ACCEPT, 7, 7},
                                      {SOL_SOCKET, SO_RCVBUF, 9000, 18000}};
  server = OK(socket(AF_INET6, SOCK_STREAM, 0));
  set_all(server, rules, 5);
  union address any = {.v6 = {.sin6_family = AF_INET6}};
  OK(bind(server, &any.any, sizeof any.v6));
  OK(listen(server, 3));
  any = name_of(server);
  int other = OK(socket(AF_INET6, SOCK_STREAM, 0));
  set_all(other, rules, 5);
  OK(bind(other, &any.any, sizeof any.v6));
  OK(listen(other, 3));
  until_go();
  check_all(server, rules, 5);
  check_all(other, rules, 5);
  check_same(name_of(other), any);
}

static void many(void) {
  enum { kMany = 30 };
  int clients[kMany], ends[kMany];
  listen_at(loopback(AF_INET), kMany);
  for (int i = 0; i < kMany; i++) {
    clients[i] = connected(name_of(server));
    ends[i] = OK(accept(server, NULL, NULL));
    put(clients[i], (size_t)i * 100 + 1, (unsigned)i);
    put(ends[i], (size_t)i * 50 + 1, (unsigned)i + 100);
  }
  until_go();
  for (int i = 0; i < kMany; i++) {
    get(ends[i], (size_t)i * 100 + 1, (unsigned)i);
    get(clients[i], (size_t)i * 50 + 1, (unsigned)i + 100);
  }
  check_listening();
}

static void nonblocking(void) {
  make(AF_INET);
  OK(fcntl(client, F_SETFL, O_NONBLOCK));
  until_go();
  SAME(fcntl(client, F_GETFL), O_RDWR | O_NONBLOCK);
  SAME(fcntl(accepted, F_GETFL), O_RDWR);
  SAME(fcntl(accepted, F_GETFD), FD_CLOEXEC);
}
static void in_epoll(void) {
  make(AF_INET);
  int epoll = OK(epoll_create1(0));
  OK(epoll_ctl(epoll, EPOLL_CTL_ADD, accepted, &(struct epoll_event){EPOLLIN | EPOLLRDHUP, {.u32 = 9}}));
  OK(epoll_ctl(epoll, EPOLL_CTL_ADD, server, &(struct epoll_event){EPOLLIN, {.u32 = 8}}));
  until_go();
  struct epoll_event event;
  SAME(OK(epoll_wait(epoll, &event, 1, 10)), 0);
  put(client, 1, 1);
  SAME(OK(epoll_wait(epoll, &event, 1, 1000)), 1);
  SAME(event.data.u32, 9);
  SAME(event.events, EPOLLIN);
}
// A receiver whose program keeps its buffer small, and a sender that waits for it.
static void small_buffer(void) {
  server = OK(socket(AF_INET, SOCK_STREAM, 0));
  OK(setsockopt(server, SOL_SOCKET, SO_RCVBUF, &(int){5000}, sizeof(int)));
  OK(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)));
  union address address = loopback(AF_INET);
  OK(bind(server, &address.any, sizeof address.v4));
  OK(listen(server, 1));
  client = connected(name_of(server));
  accepted = OK(accept(server, NULL, NULL));
  size_t there = fill_up(client, 1);
  until_go();
  SAME(option(accepted, SOL_SOCKET, SO_RCVBUF), 10000);
  get(accepted, there, 1);
  put(client, 30000, 5);
  get(accepted, 30000, 5);
}

static const struct live_case cases[] = {{"listening", listening},
                                         {"listening_v6", listening_v6},
                                         {"backlog", backlog},
                                         {"pair", pair},
                                         {"both_ways", both_ways},
                                         {"v6", v6},
                                         {"mapped", mapped},
                                         {"two_processes", two_processes},
                                         {"full", full},
                                         {"blocked_writer", blocked_writer},
                                         {"half_shut", half_shut},
                                         {"both_shut", both_shut},
                                         {"shut_reader", shut_reader},
                                         {"peer_closed", peer_closed},
                                         {"peer_closed_bytes", peer_closed_bytes},
                                         {"peer_reset", peer_reset},
                                         {"refused", refused},
                                         {"waiting", waiting},
                                         {"unconnected", unconnected},
                                         {"bound", bound},
                                         {"options", options},
                                         {"listen_options", listen_options},
                                         {"many", many},
                                         {"nonblocking", nonblocking},
                                         {"in_epoll", in_epoll},
                                         {"small_buffer", small_buffer}};
RUN_CASES(cases)
