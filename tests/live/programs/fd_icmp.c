// Sockets that speak to the kernel's ICMP: "ping" sockets, where net.ipv4.ping_group_range allows them, and raw ones.
// live-cases: ping raw
// live-needs: ping read first last < /proc/sys/net/ipv4/ping_group_range && test "$first" -le 0 -a "$last" -ge 1000
// Raw sockets are for root.
// live-without: user.raw user-pid.raw
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include "target.h"

enum { kIcmpFilter = 1 };  // <linux/icmp.h>, which clashes

static struct sockaddr_in loopback(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}
static int option(int fd) {
  int value = 0;
  socklen_t length = sizeof value;
  OK(getsockopt(fd, IPPROTO_RAW, kIcmpFilter, &value, &length));
  return value;
}
static void until_go(void) {
  ready();
  wait_go();
}
static void ping_with(int fd, unsigned short id) {
  struct icmphdr request = {.type = ICMP_ECHO, .un.echo = {htons(id), htons(1)}};
  unsigned sum = 0;
  unsigned short words[4];
  memcpy(words, &request, sizeof words);
  for (int i = 0; i < 4; i++) sum += words[i];
  request.checksum = (unsigned short)~(sum + (sum >> 16));
  struct sockaddr_in to = loopback();
  SAME(OK(sendto(fd, &request, sizeof request, 0, (struct sockaddr*)&to, sizeof to)), sizeof request);
}
static void ping(void) {
  int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
  if (fd < 0) skip("net.ipv4.ping_group_range does not allow it here");
  until_go();
  ping_with(fd, 0);
  struct icmphdr answer;
  SAME(OK(recv(fd, &answer, sizeof answer, 0)), sizeof answer);
  SAME(answer.type, ICMP_ECHOREPLY);
}
static void raw(void) {
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  if (fd < 0) skip("raw sockets are for root");
  int filter = ~(1 << ICMP_ECHOREPLY);
  OK(setsockopt(fd, IPPROTO_RAW, kIcmpFilter, &filter, sizeof filter));
  until_go();
  SAME(option(fd), filter);
  ping_with(fd, 77);
  struct {
    char ip[20];
    struct icmphdr icmp;
  } answer;
  do {
    OK(recv(fd, &answer, sizeof answer, 0));
  } while (ntohs(answer.icmp.un.echo.id) != 77);
  SAME(answer.icmp.type, ICMP_ECHOREPLY);
}

static const struct live_case cases[] = {{"ping", ping}, {"raw", raw}};
RUN_CASES(cases)
