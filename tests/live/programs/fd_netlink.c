// Netlink sockets with nothing in their queue: port, groups, options; packet sockets, which are for root.
// live-cases: unbound bound groups options connected packet packet_bound
// Packet sockets are for root.
// live-without: user.packet user-pid.packet user.packet_bound user-pid.packet_bound
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "target.h"

static struct sockaddr_nl name_of(int fd) {
  struct sockaddr_nl address;
  socklen_t length = sizeof address;
  OK(getsockname(fd, (struct sockaddr*)&address, &length));
  return address;
}
static void until_go(void) {
  ready();
  wait_go();
}
static int option(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  OK(getsockopt(fd, level, name, &value, &length));
  return value;
}
static void set(int fd, int level, int name, int value) { OK(setsockopt(fd, level, name, &value, sizeof value)); }

// Asks for the interface "lo", and reads the answer.
static void ask(int fd) {
  struct {
    struct nlmsghdr header;
    struct ifinfomsg info;
  } request = {{sizeof request, RTM_GETLINK, NLM_F_REQUEST, 7, 0}, {.ifi_index = (int)if_nametoindex("lo")}};
  union {
    struct nlmsghdr header;
    char bytes[32768];
  } answer;
  SAME(OK(send(fd, &request, sizeof request, 0)), sizeof request);
  OK(recv(fd, &answer, sizeof answer, 0));
  SAME(answer.header.nlmsg_type, RTM_NEWLINK);
  SAME(answer.header.nlmsg_seq, 7);
}
static int make(void) { return OK(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)); }

static void unbound(void) {
  int fd = make();
  until_go();
  SAME(name_of(fd).nl_pid, 0);
  ask(fd);
}
static void bound(void) {
  int fd = make();
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_pid = 0x40000000 + (unsigned)getpid()};
  OK(bind(fd, (struct sockaddr*)&address, sizeof address));
  ask(fd);
  until_go();
  SAME(name_of(fd).nl_pid, address.nl_pid);
  ask(fd);
}
static void groups(void) {
  int fd = make();
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR};
  OK(bind(fd, (struct sockaddr*)&address, sizeof address));
  set(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, RTNLGRP_NSID);
  until_go();
  uint32_t words[4] = {0};
  socklen_t length = sizeof words;
  OK(getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, words, &length));
  SAME(words[0], (RTMGRP_LINK | RTMGRP_IPV4_IFADDR | 1u << (RTNLGRP_NSID - 1)));
}
static void options(void) {
  int fd = make();
  set(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  set(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, 1);
  set(fd, SOL_SOCKET, SO_RCVBUF, 50000);
  OK(fcntl(fd, F_SETFL, O_NONBLOCK));
  until_go();
  SAME(option(fd, SOL_NETLINK, NETLINK_EXT_ACK), 1);
  SAME(option(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS), 1);
  SAME(option(fd, SOL_NETLINK, NETLINK_CAP_ACK), 0);
  SAME(option(fd, SOL_SOCKET, SO_RCVBUF), 100000);
  SAME(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
}
// Two programs that talk over NETLINK_USERSOCK.
static void connected(void) {
  int a = OK(socket(AF_NETLINK, SOCK_DGRAM, NETLINK_USERSOCK)),
      b = OK(socket(AF_NETLINK, SOCK_DGRAM, NETLINK_USERSOCK));
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_pid = 0x50000000 + (unsigned)getpid()};
  OK(bind(a, (struct sockaddr*)&address, sizeof address));
  if (connect(b, (struct sockaddr*)&address, sizeof address) != 0) skip("NETLINK_USERSOCK is not for everyone here");
  until_go();
  struct sockaddr_nl peer = {0};
  socklen_t length = sizeof peer;
  OK(getpeername(b, (struct sockaddr*)&peer, &length));
  SAME(peer.nl_pid, address.nl_pid);
}

static void packet(void) {
  int fd = socket(AF_PACKET, SOCK_RAW, 0);
  if (fd < 0) skip("packet sockets are for root");
  until_go();
  struct sockaddr_ll address = {0};
  socklen_t length = sizeof address;
  OK(getsockname(fd, (struct sockaddr*)&address, &length));
  SAME(address.sll_protocol, 0);
  SAME(address.sll_ifindex, 0);
}
static void packet_bound(void) {
  int fd = socket(AF_PACKET, SOCK_DGRAM, 0);
  if (fd < 0) skip("packet sockets are for root");
  int lo = (int)if_nametoindex("lo");
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = lo};
  struct packet_mreq all = {.mr_ifindex = lo, .mr_type = PACKET_MR_ALLMULTI};
  struct sock_filter code[] = {{BPF_RET | BPF_K, 0, 0, 64}};
  struct sock_fprog program = {1, code};
  set(fd, SOL_PACKET, PACKET_AUXDATA, 1);
  OK(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all));
  OK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
  OK(bind(fd, (struct sockaddr*)&address, sizeof address));
  until_go();
  struct sockaddr_ll seen = {0};
  socklen_t length = sizeof seen;
  OK(getsockname(fd, (struct sockaddr*)&seen, &length));
  SAME(seen.sll_protocol, htons(ETH_P_ARP));
  SAME(seen.sll_ifindex, lo);
  SAME(option(fd, SOL_PACKET, PACKET_AUXDATA), 1);
  length = 0;
  OK(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &length));
  SAME(length, 1);
  OK(setsockopt(fd, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &all, sizeof all));
}

static const struct live_case cases[] = {{"unbound", unbound},          {"bound", bound},         {"groups", groups},
                                         {"options", options},          {"connected", connected}, {"packet", packet},
                                         {"packet_bound", packet_bound}};
RUN_CASES(cases)
