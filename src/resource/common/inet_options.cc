#include "resource/common/inet_options.h"

#include <linux/in6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include <array>

namespace baton {
namespace {

// Younger than the C library's headers, or clashing with them.
constexpr int kIpLocalPortRange = 51;
constexpr int kUdpNoCheck6Tx = 101;
constexpr int kUdpNoCheck6Rx = 102;
constexpr int kUdpSegment = 103;
constexpr int kUdpGro = 104;
constexpr int kTcpInq = 36;
constexpr int kTcpTxDelay = 37;
constexpr int kIcmpFilter = 1;  // ICMPV6_FILTER likewise
constexpr unsigned kIcmpV6FilterBytes = 32;
constexpr int kIpv6Checksum = 7;
constexpr int kUdpliteSendCover = 10;
constexpr int kUdpliteReceiveCover = 11;
constexpr unsigned kCongestionName = 16;
constexpr auto kLast = OptionTime::kLast;

constexpr size_t kTcpOnly = 18;
constexpr size_t kDatagramOnly = 20;
constexpr std::array kRules{
    // TCP's own
    OptionRule{IPPROTO_TCP, TCP_NODELAY},
    OptionRule{IPPROTO_TCP, TCP_KEEPIDLE},
    OptionRule{IPPROTO_TCP, TCP_KEEPINTVL},
    OptionRule{IPPROTO_TCP, TCP_KEEPCNT},
    OptionRule{IPPROTO_TCP, TCP_SYNCNT},
    OptionRule{IPPROTO_TCP, TCP_LINGER2},
    OptionRule{IPPROTO_TCP, TCP_DEFER_ACCEPT},
    OptionRule{IPPROTO_TCP, TCP_CONGESTION, kCongestionName},
    OptionRule{IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS},
    OptionRule{IPPROTO_TCP, TCP_USER_TIMEOUT},
    OptionRule{IPPROTO_TCP, TCP_SAVE_SYN},
    OptionRule{IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    OptionRule{IPPROTO_TCP, kTcpInq, 4, kLast},
    OptionRule{IPPROTO_TCP, kTcpTxDelay, 4, kLast},
    OptionRule{IPPROTO_TCP, TCP_FASTOPEN},
    OptionRule{IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE},
    OptionRule{IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 4, kLast},
    OptionRule{IPPROTO_TCP, TCP_CORK, 4, kLast},
    // of both
    OptionRule{IPPROTO_IP, IP_FREEBIND},
    OptionRule{IPPROTO_IP, IP_TRANSPARENT},
    OptionRule{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT},
    OptionRule{IPPROTO_IP, kIpLocalPortRange},
    OptionRule{IPPROTO_IP, IP_TOS},
    OptionRule{IPPROTO_IP, IP_TTL},
    OptionRule{IPPROTO_IP, IP_MTU_DISCOVER},
    OptionRule{IPPROTO_IP, IP_RECVERR, 4, kLast},
    OptionRule{IPPROTO_IP, IP_PKTINFO, 4, kLast},
    OptionRule{IPPROTO_IP, IP_RECVTTL, 4, kLast},
    OptionRule{IPPROTO_IP, IP_RECVTOS, 4, kLast},
    OptionRule{IPPROTO_IP, IP_RECVOPTS, 4, kLast},
    OptionRule{IPPROTO_IP, IP_RETOPTS, 4, kLast},
    OptionRule{IPPROTO_IP, IP_RECVORIGDSTADDR, 4, kLast},
    OptionRule{IPPROTO_IP, IP_PASSSEC, 4, kLast},
    OptionRule{IPPROTO_IP, IP_CHECKSUM, 4, kLast},
    OptionRule{IPPROTO_IP, IP_RECVFRAGSIZE, 4, kLast},
    OptionRule{IPPROTO_IP, IP_UNICAST_IF},
    OptionRule{IPPROTO_IP, IP_MINTTL},
    OptionRule{IPPROTO_IPV6, IPV6_V6ONLY, 4, OptionTime::kBeforeBind},
    OptionRule{IPPROTO_IPV6, IPV6_FREEBIND},
    OptionRule{IPPROTO_IPV6, IPV6_TRANSPARENT},
    OptionRule{IPPROTO_IPV6, IPV6_UNICAST_HOPS},
    OptionRule{IPPROTO_IPV6, IPV6_UNICAST_IF},
    OptionRule{IPPROTO_IPV6, IPV6_MTU_DISCOVER},
    OptionRule{IPPROTO_IPV6, IPV6_TCLASS},
    OptionRule{IPPROTO_IPV6, IPV6_DONTFRAG},
    OptionRule{IPPROTO_IPV6, IPV6_AUTOFLOWLABEL},
    OptionRule{IPPROTO_IPV6, IPV6_MINHOPCOUNT},
    OptionRule{IPPROTO_IPV6, IPV6_RECVERR, 4, kLast},
    OptionRule{IPPROTO_IPV6, IPV6_RECVPKTINFO, 4, kLast},
    OptionRule{IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 4, kLast},
    OptionRule{IPPROTO_IPV6, IPV6_RECVRTHDR, 4, kLast},
    OptionRule{IPPROTO_IPV6, IPV6_RECVHOPOPTS, 4, kLast},
    OptionRule{IPPROTO_IPV6, IPV6_RECVDSTOPTS, 4, kLast},
    OptionRule{IPPROTO_IPV6, IPV6_RECVPATHMTU, 4, kLast},
    OptionRule{IPPROTO_IPV6, IPV6_RECVTCLASS, 4, kLast},
    OptionRule{IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 4, kLast},
    OptionRule{IPPROTO_IPV6, IPV6_RECVFRAGSIZE, 4, kLast},
    OptionRule{IPPROTO_IPV6, IPV6_FLOWINFO, 4, kLast},
    // not TCP's
    OptionRule{IPPROTO_IP, IP_MULTICAST_TTL},
    OptionRule{IPPROTO_IP, IP_MULTICAST_LOOP},
    OptionRule{IPPROTO_IP, IP_MULTICAST_ALL},
    OptionRule{IPPROTO_IP, IP_MULTICAST_IF, 4},
    OptionRule{IPPROTO_IP, IP_NODEFRAG},
    OptionRule{IPPROTO_IP, IP_HDRINCL, 4, kLast},
    OptionRule{IPPROTO_IPV6, IPV6_MULTICAST_HOPS},
    OptionRule{IPPROTO_IPV6, IPV6_MULTICAST_LOOP},
    OptionRule{IPPROTO_IPV6, IPV6_MULTICAST_ALL},
    OptionRule{IPPROTO_IPV6, IPV6_MULTICAST_IF},
    OptionRule{IPPROTO_UDP, kUdpNoCheck6Tx, 4, kLast},
    OptionRule{IPPROTO_UDP, kUdpNoCheck6Rx, 4, kLast},
    OptionRule{IPPROTO_UDP, kUdpSegment, 4, kLast},
    OptionRule{IPPROTO_UDP, kUdpGro, 4, kLast},
    OptionRule{IPPROTO_UDP, UDP_CORK, 4, kLast},
    OptionRule{IPPROTO_RAW, kIcmpFilter, 4, kLast},
    OptionRule{IPPROTO_ICMPV6, kIcmpFilter, kIcmpV6FilterBytes, kLast},
    OptionRule{IPPROTO_RAW, kIpv6Checksum, 4, kLast},
    OptionRule{IPPROTO_UDPLITE, kUdpliteSendCover, 4, kLast},
    OptionRule{IPPROTO_UDPLITE, kUdpliteReceiveCover, 4, kLast},
};

}  // namespace

std::span<const OptionRule> TcpOptions() { return std::span(kRules).first(kRules.size() - kDatagramOnly); }

std::span<const OptionRule> DatagramOptions() { return std::span(kRules).subspan(kTcpOnly); }

}  // namespace baton
