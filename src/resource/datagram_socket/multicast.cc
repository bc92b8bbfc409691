#include "resource/datagram_socket/multicast.h"

#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

#include "base/file.h"
#include "resource/common/inet_address.h"

namespace baton {
namespace {

constexpr size_t kMaxSources = 64;

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    const size_t end = std::min(line.find_first_of(" \t"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

template <typename T>
std::optional<T> Number(std::string_view text, int base) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Error BadLine(std::string_view line) { return MakeError(ErrorCode::kCorrupt, "multicast groups: \"{}\"", line); }

template <typename Take>
Result<> EachLine(std::string_view text, Take take) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    BATON_CHECKED(take(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

std::string AddressV4(in_addr_t group) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = group;
  return {reinterpret_cast<const char*>(&address), sizeof address};
}

std::optional<std::string> AddressV6(std::string_view hex) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  if (hex.size() != 2 * sizeof address.sin6_addr) return std::nullopt;
  for (size_t i = 0; i < sizeof address.sin6_addr; ++i) {
    const auto byte = Number<uint8_t>(hex.substr(2 * i, 2), 16);
    if (!byte) return std::nullopt;
    address.sin6_addr.s6_addr[i] = *byte;
  }
  return std::string(reinterpret_cast<const char*>(&address), sizeof address);
}

int LevelOf(uint32_t domain) { return domain == AF_INET ? IPPROTO_IP : IPPROTO_IPV6; }

// group_filter with room for the sources behind it.
class Filter {
 public:
  Filter(uint32_t interface, std::string_view group) {
    group_filter& head = *Head();
    head.gf_interface = interface;
    std::memcpy(&head.gf_group, group.data(), std::min(group.size(), sizeof head.gf_group));
    head.gf_numsrc = kMaxSources;
  }
  group_filter* Head() { return reinterpret_cast<group_filter*>(bytes_.data()); }
  void* data() { return bytes_.data(); }
  static constexpr size_t kBytes = GROUP_FILTER_SIZE(kMaxSources);

 private:
  alignas(group_filter) std::array<std::byte, kBytes> bytes_{};
};

std::optional<pb::MulticastGroup> Membership(const InterfaceGroup& candidate, int fd, uint32_t domain) {
  Filter filter(candidate.interface, candidate.group);
  socklen_t length = Filter::kBytes;
  if (getsockopt(fd, LevelOf(domain), MCAST_MSFILTER, filter.data(), &length) != 0) return std::nullopt;
  pb::MulticastGroup group;
  group.set_interface(candidate.interface_name);
  group.set_group(candidate.group);
  group.set_include(filter.Head()->gf_fmode == MCAST_INCLUDE);
  const size_t size = domain == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  for (size_t i = 0; i < std::min<size_t>(filter.Head()->gf_numsrc, kMaxSources); ++i) {
    group.add_sources(&filter.Head()->gf_slist[i], size);
  }
  return group;
}

}  // namespace

// "1\tlo        :     1      V3", then for each group "\t\t\t\t010000E0     1 0:00000000\t\t0"
Result<std::vector<InterfaceGroup>> ParseIgmp(std::string_view text) {
  std::vector<InterfaceGroup> groups;
  InterfaceGroup interface;
  BATON_CHECKED(EachLine(text, [&](std::string_view line) -> Result<> {
    const auto words = Words(line);
    if (words.size() < 3 || words[0] == "Idx") return {};
    if (line.front() != '\t') {
      const auto number = Number<uint32_t>(words[0], 10);
      if (!number) return BadLine(line);
      interface.interface = *number;
      interface.interface_name = words[1].substr(0, words[1].find(':'));
      return {};
    }
    const auto group = Number<in_addr_t>(words[0], 16);
    if (!group) return BadLine(line);
    groups.push_back({interface.interface, interface.interface_name, AddressV4(*group)});
    return {};
  }));
  return groups;
}

// "1    lo              ff020000000000000000000000000001     1 0000000C 0"
Result<std::vector<InterfaceGroup>> ParseIgmp6(std::string_view text) {
  std::vector<InterfaceGroup> groups;
  BATON_CHECKED(EachLine(text, [&](std::string_view line) -> Result<> {
    const auto words = Words(line);
    if (words.empty()) return {};
    const auto number = Number<uint32_t>(words[0], 10);
    const auto group = words.size() > 2 ? AddressV6(words[2]) : std::nullopt;
    if (!number || !group) return BadLine(line);
    groups.push_back({*number, std::string(words[1]), *group});
    return {};
  }));
  return groups;
}

Result<std::vector<pb::MulticastGroup>> CaptureGroups(pid_t host_pid, int fd, uint32_t domain) {
  std::vector<pb::MulticastGroup> joined;
  const auto text = ReadFile(fmt::format("/proc/{}/net/{}", host_pid, domain == AF_INET ? "igmp" : "igmp6"));
  if (!text) return joined;  // a kernel without multicast, or without IPv6
  BATON_TRY(const auto candidates, domain == AF_INET ? ParseIgmp(*text) : ParseIgmp6(*text));
  for (const InterfaceGroup& candidate : candidates) {
    if (auto group = Membership(candidate, fd, domain)) joined.push_back(std::move(*group));
  }
  return joined;
}

bool IsMulticastGroup(const pb::MulticastGroup& group, uint32_t domain) {
  return IsInetAddress(group.group(), domain) && group.interface().size() < IF_NAMESIZE &&
         group.sources_size() <= static_cast<int>(kMaxSources) &&
         std::ranges::all_of(group.sources(), [&](const auto& source) { return IsInetAddress(source, domain); });
}

Result<> JoinGroup(const pb::MulticastGroup& group, uint32_t domain, int fd) {
  const uint32_t interface = if_nametoindex(group.interface().c_str());
  if (interface == 0) return MakeError(ErrorCode::kNotFound, "there is no interface {} any more", group.interface());
  group_req request{};
  request.gr_interface = interface;
  std::memcpy(&request.gr_group, group.group().data(), group.group().size());
  const int joined = setsockopt(fd, LevelOf(domain), MCAST_JOIN_GROUP, &request, sizeof request);
  if (const int error = errno; joined != 0) {
    return ErrnoError(error, "join group {} on {}", ShowInetAddress(group.group()), group.interface());
  }
  if (!group.include() && group.sources().empty()) return {};
  Filter filter(interface, group.group());
  filter.Head()->gf_fmode = group.include() ? MCAST_INCLUDE : MCAST_EXCLUDE;
  filter.Head()->gf_numsrc = static_cast<uint32_t>(group.sources_size());
  for (int i = 0; i < group.sources_size(); ++i) {
    std::memcpy(&filter.Head()->gf_slist[i], group.sources(i).data(), group.sources(i).size());
  }
  const auto size = static_cast<socklen_t>(GROUP_FILTER_SIZE(group.sources_size()));
  const int set = setsockopt(fd, LevelOf(domain), MCAST_MSFILTER, filter.data(), size);
  if (const int error = errno; set != 0) return ErrnoError(error, "filter of group {}", ShowInetAddress(group.group()));
  return {};
}

}  // namespace baton
