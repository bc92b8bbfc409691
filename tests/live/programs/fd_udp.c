// UDP sockets: addresses, what waits in the queue and from whom, options, groups.
// live-cases: bound connected queue queue_connected sender_gone empty_datagrams v6 mapped unbound shared_port
// live-cases: options multicast multicast_v6 shut two_processes large many peek in_epoll corked
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "target.h"

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};
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
static int make(union address address) {
  int fd = OK(socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  OK(bind(fd, &address.any, size_of(&address)));
  return fd;
}
static void join(int fd, union address to) { OK(connect(fd, &to.any, size_of(&to))); }
static void put(int fd, union address to, size_t length, unsigned seed) {
  char* bytes = malloc(length + 1);
  fill(bytes, length, seed);
  SAME(OK(sendto(fd, bytes, length, 0, &to.any, size_of(&to))), length);
  free(bytes);
}
static void get(int fd, size_t length, unsigned seed, const union address* from) {
  char* bytes = malloc(70000);
  union address source;
  socklen_t size = sizeof source;
  struct pollfd asked = {fd, POLLIN, 0};
  SAME(OK(poll(&asked, 1, 5000)), 1);
  SAME(OK(recvfrom(fd, bytes, 70000, MSG_DONTWAIT, &source.any, &size)), length);
  check_filled(bytes, length, seed, "datagram");
  if (from) check_same(source, *from);
  free(bytes);
}
static void check_empty(int fd) {
  char byte;
  CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN, "not empty: %s", strerror(errno));
}
static int option(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  OK(getsockopt(fd, level, name, &value, &length));
  return value;
}
static void set(int fd, int level, int name, int value) { OK(setsockopt(fd, level, name, &value, sizeof value)); }
static void until_go(void) {
  ready();
  wait_go();
}

static void bound(void) {
  int fd = make(loopback(AF_INET)), other = make(loopback(AF_INET));
  union address name = name_of(fd), sender = name_of(other);
  until_go();
  check_same(name_of(fd), name);
  put(other, name, 100, 1);
  get(fd, 100, 1, &sender);
}
static void connected(void) {
  int a = make(loopback(AF_INET)), b = make(loopback(AF_INET)), third = make(loopback(AF_INET));
  union address names[2] = {name_of(a), name_of(b)};
  join(a, names[1]);
  join(b, names[0]);
  until_go();
  check_same(peer_of(a), names[1]);
  check_same(peer_of(b), names[0]);
  put(third, names[0], 5, 9);  // not from its peer: must not arrive
  SAME(OK(send(b, "", 0, 0)), 0);
  get(a, 0, 0, &names[1]);
  check_empty(a);
}
static void queue(void) {
  int fd = make(loopback(AF_INET)), first = make(loopback(AF_INET)), second = make(loopback(AF_INET));
  union address to = name_of(fd), names[2] = {name_of(first), name_of(second)};
  put(first, to, 100, 1);
  put(second, to, 2000, 2);
  put(first, to, 30, 3);
  until_go();
  get(fd, 100, 1, names);
  get(fd, 2000, 2, names + 1);
  get(fd, 30, 3, names);
  check_empty(fd);
  put(second, to, 30, 4);
  get(fd, 30, 4, names + 1);
}
static void queue_connected(void) {
  int a = make(loopback(AF_INET)), b = make(loopback(AF_INET));
  union address names[2] = {name_of(a), name_of(b)};
  join(a, names[1]);
  join(b, names[0]);
  for (unsigned i = 0; i < 20; i++) put(a, names[1], 100 + i, i);
  put(b, names[0], 50, 50);
  until_go();
  for (unsigned i = 0; i < 20; i++) get(b, 100 + i, i, names);
  get(a, 50, 50, names + 1);
}
static void sender_gone(void) {
  int fd = make(loopback(AF_INET)), other = make(loopback(AF_INET));
  union address name = name_of(other);
  put(other, name_of(fd), 100, 1);
  put(other, name_of(fd), 200, 2);
  close(other);
  until_go();
  get(fd, 100, 1, &name);
  get(fd, 200, 2, &name);
  OK(make(name));  // nobody has that port now
}
static void empty_datagrams(void) {
  int fd = make(loopback(AF_INET)), other = make(loopback(AF_INET));
  put(other, name_of(fd), 0, 0);
  put(other, name_of(fd), 10, 1);
  put(other, name_of(fd), 0, 0);
  put(other, name_of(fd), 0, 0);
  until_go();
  get(fd, 0, 0, NULL);
  get(fd, 10, 1, NULL);
  get(fd, 0, 0, NULL);
  get(fd, 0, 0, NULL);
  check_empty(fd);
}
static void v6(void) {
  int fd = make(loopback(AF_INET6)), other = make(loopback(AF_INET6));
  union address to = name_of(fd), name = name_of(other);
  put(other, to, 100, 1);
  until_go();
  get(fd, 100, 1, &name);
  put(other, to, 50, 2);
  get(fd, 50, 2, &name);
}
static void mapped(void) {
  union address any = {.v6 = {.sin6_family = AF_INET6}}, to = loopback(AF_INET);
  int fd = make(any), other = make(loopback(AF_INET));
  to.v4.sin_port = name_of(fd).v6.sin6_port;
  put(other, to, 100, 1);
  until_go();
  get(fd, 100, 1, NULL);
  put(other, to, 50, 2);
  get(fd, 50, 2, NULL);
}
static void unbound(void) {
  int fd = OK(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)), other = make(loopback(AF_INET));
  until_go();
  SAME(name_of(fd).v4.sin_port, 0);
  SAME(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
  put(fd, name_of(other), 10, 1);
  get(other, 10, 1, NULL);
}
// Two sockets with one port; one of them has heard only what its peer said.
static void shared_port(void) {
  union address address = loopback(AF_INET);
  int fds[2], senders[2] = {make(address), make(address)};
  for (int i = 0; i < 2; i++) {
    fds[i] = OK(socket(AF_INET, SOCK_DGRAM, 0));
    set(fds[i], SOL_SOCKET, SO_REUSEADDR, 1);
    OK(bind(fds[i], &address.any, sizeof address.v4));
    address = name_of(fds[0]);
  }
  join(fds[0], name_of(senders[0]));
  join(fds[1], name_of(senders[1]));
  put(senders[0], address, 10, 1);
  put(senders[1], address, 20, 2);
  put(senders[0], address, 30, 3);
  until_go();
  get(fds[0], 10, 1, NULL);
  get(fds[0], 30, 3, NULL);
  get(fds[1], 20, 2, NULL);
  check_empty(fds[0]);
  check_empty(fds[1]);
}

static void options(void) {
  static const struct {
    int level, name, value, seen;
  } rules[] = {{SOL_SOCKET, SO_BROADCAST, 1, 1},      {SOL_SOCKET, SO_RCVBUF, 30000, 60000},
               {SOL_SOCKET, SO_REUSEPORT, 1, 1},      {SOL_SOCKET, SO_TIMESTAMPNS, 1, 1},
               {SOL_SOCKET, SO_NO_CHECK, 1, 1},       {SOL_SOCKET, SO_RXQ_OVFL, 1, 1},
               {IPPROTO_IP, IP_TOS, 16, 16},          {IPPROTO_IP, IP_TTL, 44, 44},
               {IPPROTO_IP, IP_PKTINFO, 1, 1},        {IPPROTO_IP, IP_RECVERR, 1, 1},
               {IPPROTO_IP, IP_MULTICAST_TTL, 5, 5},  {IPPROTO_IP, IP_MULTICAST_LOOP, 0, 0},
               {IPPROTO_IP, IP_MTU_DISCOVER, 2, 2},   {IPPROTO_IP, IP_FREEBIND, 1, 1},
               {IPPROTO_UDP, 104 /* UDP_GRO */, 1, 1}};
  enum { kRules = sizeof rules / sizeof *rules };
  int fd = make(loopback(AF_INET)), other = make(loopback(AF_INET));
  for (int i = 0; i < kRules; i++) {
    set(fd, rules[i].level, rules[i].name, rules[i].value);
    SAME(option(fd, rules[i].level, rules[i].name), rules[i].seen);
  }
  put(other, name_of(fd), 100, 1);
  until_go();
  for (int i = 0; i < kRules; i++) {
    int seen = option(fd, rules[i].level, rules[i].name);
    CHECK(seen == rules[i].seen, "option %d of level %d is %d", rules[i].name, rules[i].level, seen);
  }
  SAME(option(other, SOL_SOCKET, SO_REUSEPORT), 0);
  get(fd, 100, 1, NULL);
}

// Members of two groups; one is left again after the restore.
static void multicast(void) {
  union address any = {.v4 = {.sin_family = AF_INET}};
  int fd = make(any);
  struct ip_mreqn group = {.imr_ifindex = (int)if_nametoindex("lo")};
  inet_pton(AF_INET, "239.77.1.2", &group.imr_multiaddr);
  OK(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group));
  until_go();
  CHECK(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) == -1 && errno == EADDRINUSE, "%s",
        strerror(errno));
  int sender = OK(socket(AF_INET, SOCK_DGRAM, 0));
  OK(setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, &group, sizeof group));
  union address to = {.v4 = {AF_INET, name_of(fd).v4.sin_port, group.imr_multiaddr, {0}}};
  put(sender, to, 20, 1);
  get(fd, 20, 1, NULL);
  OK(setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof group));
}
static void multicast_v6(void) {
  union address any = {.v6 = {.sin6_family = AF_INET6}};
  int fd = make(any);
  struct ipv6_mreq group = {.ipv6mr_interface = if_nametoindex("lo")};
  inet_pton(AF_INET6, "ff01::77", &group.ipv6mr_multiaddr);
  if (setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &group, sizeof group) != 0) skip("no multicast over IPv6 here");
  until_go();
  OK(setsockopt(fd, IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP, &group, sizeof group));
}

static void shut(void) {
  int a = make(loopback(AF_INET)), b = make(loopback(AF_INET));
  join(a, name_of(b));
  put(b, name_of(a), 10, 1);
  OK(shutdown(a, SHUT_RD));
  until_go();
  get(a, 10, 1, NULL);
  char byte;
  SAME(recv(a, &byte, 1, 0), 0);
  SAME(OK(send(a, "x", 1, 0)), 1);
}

static int shared;
static void answers(void* unused) {
  (void)unused;
  mark("child");
  wait_go();
  get(shared, 100, 1, NULL);
  get(shared, 200, 2, NULL);
}
static void two_processes(void) {
  int other = make(loopback(AF_INET));
  shared = make(loopback(AF_INET));
  put(other, name_of(shared), 100, 1);
  pid_t pid = child(answers, NULL);
  await_mark("child");
  until_go();
  put(other, name_of(shared), 200, 2);
  join_child(pid);
}
static void large(void) {
  int fd = make(loopback(AF_INET)), other = make(loopback(AF_INET));
  put(other, name_of(fd), 65507, 1);
  put(other, name_of(fd), 40000, 2);
  until_go();
  get(fd, 65507, 1, NULL);
  get(fd, 40000, 2, NULL);
}
static void many(void) {
  enum { kMany = 40 };
  int fds[kMany];
  for (int i = 0; i < kMany; i++) fds[i] = make(loopback(AF_INET));
  for (int i = 0; i < kMany; i++) {
    for (int j = 0; j < 5; j++) put(fds[i], name_of(fds[(i * 7 + j) % kMany]), (size_t)i + 1, (unsigned)i);
  }
  until_go();
  char bytes[100];
  int total = 0;
  for (int i = 0; i < kMany; i++) {
    for (ssize_t got; (got = recv(fds[i], bytes, sizeof bytes, MSG_DONTWAIT)) > 0; total++) {
      check_filled(bytes, (size_t)got, (unsigned)got - 1, "datagram");
    }
  }
  SAME(total, kMany * 5);
}
static void peek(void) {
  int fd = make(loopback(AF_INET)), other = make(loopback(AF_INET));
  put(other, name_of(fd), 10, 1);
  until_go();
  char bytes[20];
  SAME(OK(recv(fd, bytes, 20, MSG_PEEK)), 10);
  SAME(option(fd, SOL_SOCKET, SO_PEEK_OFF), -1);
  get(fd, 10, 1, NULL);
}
static void in_epoll(void) {
  int fd = make(loopback(AF_INET)), other = make(loopback(AF_INET)), epoll = OK(epoll_create1(0));
  OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){EPOLLIN, {.u32 = 9}}));
  until_go();
  struct epoll_event event;
  SAME(OK(epoll_wait(epoll, &event, 1, 10)), 0);
  put(other, name_of(fd), 10, 1);
  SAME(OK(epoll_wait(epoll, &event, 1, 1000)), 1);
  SAME(event.data.u32, 9);
}
static void corked(void) {
  int fd = make(loopback(AF_INET)), other = make(loopback(AF_INET));
  join(other, name_of(fd));
  set(other, IPPROTO_UDP, UDP_CORK, 1);
  until_go();
  SAME(option(other, IPPROTO_UDP, UDP_CORK), 1);
  SAME(OK(send(other, "ab", 2, 0)), 2);
  SAME(OK(send(other, "cd", 2, 0)), 2);
  check_empty(fd);
  set(other, IPPROTO_UDP, UDP_CORK, 0);
  char bytes[10];
  SAME(OK(recv(fd, bytes, 10, 0)), 4);
}

static const struct live_case cases[] = {{"bound", bound},
                                         {"connected", connected},
                                         {"queue", queue},
                                         {"queue_connected", queue_connected},
                                         {"sender_gone", sender_gone},
                                         {"empty_datagrams", empty_datagrams},
                                         {"v6", v6},
                                         {"mapped", mapped},
                                         {"unbound", unbound},
                                         {"shared_port", shared_port},
                                         {"options", options},
                                         {"multicast", multicast},
                                         {"multicast_v6", multicast_v6},
                                         {"shut", shut},
                                         {"two_processes", two_processes},
                                         {"large", large},
                                         {"many", many},
                                         {"peek", peek},
                                         {"in_epoll", in_epoll},
                                         {"corked", corked}};
RUN_CASES(cases)
