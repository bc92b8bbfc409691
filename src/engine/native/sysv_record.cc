#include "engine/native/sysv_record.h"

#include <fmt/format.h>

#include <bit>
#include <limits>
#include <set>

namespace baton {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kUserSpaceEnd = 0x7ffffffff000;
constexpr uint32_t kAccess = 0777;
constexpr uint32_t kHighestSemaphore = 32767;  // SEMVMX
constexpr int kMostSemaphores = 65536;         // of a set

bool IsPageSize(uint64_t bytes) { return bytes == 0 || (std::has_single_bit(bytes) && bytes > kPage); }

Error Wrong(const char* what, const pb::SysvPermissions& permissions) {
  return MakeError(ErrorCode::kCorrupt, "System V {} {} cannot be (mode {:o})", what, permissions.id(),
                   permissions.mode());
}

template <typename Objects, typename Sane>
Result<> CheckEach(const char* what, const Objects& objects, Sane sane) {
  std::set<int> ids;
  std::set<int> keys;
  for (const auto& object : objects) {
    const pb::SysvPermissions& permissions = object.permissions();
    const bool unique =
        ids.insert(permissions.id()).second && (permissions.key() == 0 || keys.insert(permissions.key()).second);
    const bool allowed = permissions.id() >= 0 && (permissions.mode() & ~kAccess) == 0;
    if (!unique || !allowed || !sane(object)) return Wrong(what, permissions);
  }
  return {};
}

bool SaneSegment(const pb::SysvSegment& segment) {
  return segment.bytes() > 0 && segment.bytes() < kUserSpaceEnd / 2 && IsPageSize(segment.page_bytes()) &&
         segment.page_bytes() < kUserSpaceEnd / 2 && segment.creator_pid() >= 0;
}

bool SaneSemaphores(const pb::SysvSemaphores& set) {
  bool sane = set.values_size() > 0 && set.values_size() <= kMostSemaphores && set.pids_size() == set.values_size();
  for (const uint32_t value : set.values()) sane = sane && value <= kHighestSemaphore;
  for (const int32_t pid : set.pids()) sane = sane && pid >= 0;
  return sane;
}

bool SaneQueue(const pb::SysvQueue& queue) {
  bool sane = queue.most_bytes() <= std::numeric_limits<int32_t>::max() && queue.last_sender() >= 0 &&
              queue.last_receiver() >= 0;
  for (const pb::SysvMessage& message : queue.messages()) sane = sane && message.type() > 0;
  return sane;
}

}  // namespace

std::string SegmentSpace(int id) { return fmt::format("sysv:{}", id); }

uint64_t AttachedBytes(const pb::SysvSegment& segment) {
  const uint64_t unit = segment.page_bytes() == 0 ? kPage : segment.page_bytes();
  return (segment.bytes() + unit - 1) / unit * unit;
}

Result<> CheckSysv(const pb::SysvRecord& record) {
  BATON_CHECKED(CheckEach("shared memory", record.segments(), SaneSegment));
  BATON_CHECKED(CheckEach("semaphores", record.semaphores(), SaneSemaphores));
  return CheckEach("message queue", record.queues(), SaneQueue);
}

Result<> CheckAttached(const pb::SysvRecord& record, const pb::MappingRecord& mapping) {
  for (const pb::SysvSegment& segment : record.segments()) {
    if (static_cast<uint64_t>(segment.permissions().id()) != mapping.object()) continue;
    const uint64_t bytes = AttachedBytes(segment);
    const bool inside = mapping.shared() && mapping.offset() % kPage == 0 && mapping.offset() < bytes &&
                        mapping.bytes() <= bytes - mapping.offset() && mapping.offset() <= mapping.start();
    if (inside) return {};
  }
  return MakeError(ErrorCode::kCorrupt, "mapping {:#x} is of System V shared memory {}, which is not there or smaller",
                   mapping.start(), mapping.object());
}

std::string DescribeSysv(const pb::SysvRecord& record) {
  uint64_t bytes = 0;
  for (const pb::SysvSegment& segment : record.segments()) bytes += segment.bytes();
  return fmt::format("System V: {} segments of shared memory ({} bytes), {} semaphore sets, {} message queues",
                     record.segments_size(), bytes, record.semaphores_size(), record.queues_size());
}

}  // namespace baton
