#include "resource/file/sqlite_identity.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <string_view>

#include "base/file.h"
#include "proc/process_files.h"
#include "task/page_map.h"

namespace baton {
namespace {

constexpr std::string_view kHeader("SQLite format 3\0", 16);

using Block = std::span<const std::byte>;

template <typename T>
T At(Block block, size_t offset) {
  T value{};
  memcpy(&value, block.data() + offset, sizeof(value));
  return value;
}

// Calls `look` with the private writable memory in blocks that overlap by 8 bytes: 16 bytes that begin at a multiple of
// 8 are whole in one of them.
Result<> ForEachBlock(const RemoteMemory& memory, const std::function<void(uint64_t address, Block block)>& look) {
  constexpr uint64_t kBlock = uint64_t{1} << 20;
  BATON_TRY(const std::vector<MapsEntry> mappings, ReadMaps(memory.pid()));
  BATON_TRY(const PageMap map, PageMap::Open(memory.pid()));
  std::vector<std::byte> buffer(kBlock + sizeof(uint64_t));
  for (const MapsEntry& mapping : mappings) {
    if (!mapping.read || !mapping.write || mapping.shared) continue;
    // What was never touched is not to be touched now.
    BATON_TRY(const auto ranges, map.Scan(mapping.start, mapping.end, PageMap::Want::kPrivate));
    for (const auto& [start, end] : ranges) {
      for (uint64_t at = start; at < end; at += kBlock) {
        const std::span<std::byte> block = std::span(buffer).first(std::min<uint64_t>(end - at, buffer.size()));
        BATON_CHECKED(memory.Read(RemotePtr<>(at), block));
        look(at, block);
      }
    }
  }
  return {};
}

Result<std::vector<uint64_t>> FindPairs(const RemoteMemory& memory, const FileIdentity& identity) {
  std::vector<uint64_t> found;
  BATON_CHECKED(ForEachBlock(memory, [&](uint64_t address, Block block) {
    for (size_t i = 0; i + sizeof(FileIdentity) <= block.size(); i += sizeof(uint64_t)) {
      if (At<FileIdentity>(block, i) == identity) found.push_back(address + i);
    }
  }));
  std::ranges::sort(found);
  found.erase(std::ranges::unique(found).begin(), found.end());
  return found;
}

// Those of `pairs` to which a pointer exists with one of `fds` behind it.
Result<std::vector<uint64_t>> Remembered(const RemoteMemory& memory, const std::vector<uint64_t>& pairs,
                                         std::span<const int> fds) {
  std::map<uint64_t, bool> remembered;
  for (const uint64_t pair : pairs) remembered[pair] = false;
  BATON_CHECKED(ForEachBlock(memory, [&](uint64_t, Block block) {
    for (size_t i = 0; i + sizeof(uint64_t) + sizeof(int) <= block.size(); i += sizeof(uint64_t)) {
      const auto pair = remembered.find(At<uint64_t>(block, i));
      if (pair == remembered.end()) continue;
      if (std::ranges::find(fds, At<int>(block, i + sizeof(uint64_t))) != fds.end()) pair->second = true;
    }
  }));
  std::vector<uint64_t> kept;
  for (const auto& [pair, is_meant] : remembered) {
    if (is_meant) kept.push_back(pair);
  }
  return kept;
}

// Has it SQLite's header, or nothing yet? `link`: a descriptor below /proc.
bool LooksLikeDatabase(const std::string& link, const struct stat& status) {
  if (status.st_size == 0) return true;
  const auto file = OpenFile(link, O_RDONLY);
  std::array<std::byte, kHeader.size()> header{};
  if (!file || !PreadExactly(file->get(), header, 0)) return false;
  return memcmp(header.data(), kHeader.data(), header.size()) == 0;
}

}  // namespace

Result<size_t> RenewIdentity(const RemoteMemory& memory, std::span<const int> fds, const FileIdentity& before,
                             const FileIdentity& now) {
  BATON_TRY(const std::vector<uint64_t> pairs, FindPairs(memory, before));
  if (pairs.empty()) return 0;
  BATON_TRY(const std::vector<uint64_t> meant, Remembered(memory, pairs, fds));
  for (const uint64_t pair : meant) {
    BATON_CHECKED(memory.Write(RemotePtr<>(pair), std::as_bytes(std::span(&now, 1))));
  }
  return meant.size();
}

Result<> RenewSqliteIdentity(const pb::FilePayload& file, std::span<const FdUser> users, ArmContext& context) {
  const bool may_be = file.origin() == pb::FilePayload::PATH && S_ISREG(file.mode()) && !file.of_kernel() &&
                      (file.flags() & O_ACCMODE) == O_RDWR;
  if (!may_be) return {};
  std::map<pid_t, std::vector<int>> fds;
  for (const FdUser& user : users) fds[user.ns_pid].push_back(user.fd);
  const FileIdentity before{.device = file.device(), .inode = file.inode()};
  for (const auto& [ns_pid, numbers] : fds) {
    BATON_TRY(const RemoteSyscalls* process, context.Process(ns_pid));
    const std::string link = fmt::format("/proc/{}/fd/{}", process->tid(), numbers.front());
    struct stat status{};
    const int stated = stat(link.c_str(), &status);
    if (const int error = errno; stated != 0) return ErrnoError(error, "{}", link);
    const FileIdentity now{.device = status.st_dev, .inode = status.st_ino};
    if (now == before || !LooksLikeDatabase(link, status)) continue;
    BATON_CHECKED(RenewIdentity(process->memory(), numbers, before, now));
  }
  return {};
}

}  // namespace baton
