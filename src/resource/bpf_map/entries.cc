#include "resource/bpf_map/entries.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/file.h"

namespace baton {
namespace {

bool IsForEachProcessor(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

uint64_t Address(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

// "0-3" or "0": the kernel counts up to the last one.
Result<uint64_t> PossibleProcessors() {
  BATON_TRY(const std::string text, ReadFile("/sys/devices/system/cpu/possible"));
  const size_t last = text.find_last_of("-,");
  return std::strtoull(text.c_str() + (last == std::string::npos ? 0 : last + 1), nullptr, 10) + 1;
}

}  // namespace

Result<int> CallBpf(bpf_cmd command, bpf_attr& attributes, const char* what) {
  const auto result = static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
  if (const int error = errno; result < 0) return ErrnoError(error, "BPF map: {}", what);
  return result;
}

Result<bpf_map_info> MapInfo(int map) {
  bpf_map_info info{};
  bpf_attr attributes{};
  attributes.info.bpf_fd = static_cast<uint32_t>(map);
  attributes.info.info_len = sizeof info;
  attributes.info.info = Address(&info);
  BATON_CHECKED(CallBpf(BPF_OBJ_GET_INFO_BY_FD, attributes, "look at it"));
  return info;
}

Result<UniqueFd> OpenMap(uint32_t id) {
  bpf_attr attributes{};
  attributes.map_id = id;
  BATON_TRY(const int map, CallBpf(BPF_MAP_GET_FD_BY_ID, attributes, "open it"));
  return UniqueFd(map);
}

bool IsArray(uint32_t type) { return type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY; }

Result<uint64_t> ValueBytes(uint32_t type, uint32_t value_bytes) {
  if (!IsForEachProcessor(type)) return value_bytes;
  BATON_TRY(const uint64_t processors, PossibleProcessors());
  return (uint64_t{value_bytes} + 7) / 8 * 8 * processors;
}

Result<pb::BpfMapContent> ReadEntries(int map, const pb::BpfMapPayload& payload) {
  BATON_TRY(const uint64_t value_bytes, ValueBytes(payload.type(), payload.value_bytes()));
  std::vector<char> key(payload.key_bytes());
  std::vector<char> value(value_bytes);
  pb::BpfMapContent content;
  bpf_attr next{};
  next.map_fd = static_cast<uint32_t>(map);
  next.next_key = Address(key.data());
  while (true) {
    const auto found = CallBpf(BPF_MAP_GET_NEXT_KEY, next, "look for entries");
    if (!found && found.error().saved_errno() == ENOENT) return content;
    if (!found) return std::unexpected(found.error());
    next.key = next.next_key;  // absent for the first one
    bpf_attr look{};
    look.map_fd = next.map_fd;
    look.key = Address(key.data());
    look.value = Address(value.data());
    BATON_CHECKED(CallBpf(BPF_MAP_LOOKUP_ELEM, look, "read an entry"));
    const bool zero = std::ranges::all_of(value, [](char byte) { return byte == 0; });
    if (zero && IsArray(payload.type())) continue;
    pb::BpfMapEntry* entry = content.add_entries();
    entry->set_key(key.data(), key.size());
    entry->set_value(value.data(), value.size());
  }
}

Result<> WriteEntries(int map, const pb::BpfMapPayload& payload, const pb::BpfMapContent& content) {
  BATON_TRY(const uint64_t value_bytes, ValueBytes(payload.type(), payload.value_bytes()));
  for (const pb::BpfMapEntry& entry : content.entries()) {
    if (entry.key().size() != payload.key_bytes()) {
      return MakeError(ErrorCode::kCorrupt, "BPF map {}: a key of {} bytes", payload.id(), entry.key().size());
    }
    if (entry.value().size() != value_bytes) {
      return MakeError(
          ErrorCode::kNotSupported,
          "BPF map {}: values of {} bytes, here they have {}: this machine has another number of processors",
          payload.id(), entry.value().size(), value_bytes);
    }
    bpf_attr attributes{};
    attributes.map_fd = static_cast<uint32_t>(map);
    attributes.key = Address(entry.key().data());
    attributes.value = Address(entry.value().data());
    BATON_CHECKED(CallBpf(BPF_MAP_UPDATE_ELEM, attributes, "write an entry"));
  }
  return {};
}

}  // namespace baton
