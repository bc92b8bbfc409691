#include "resource/bpf_map/bpf_map.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "resource/bpf_map/entries.h"
#include "resource/common/payload.h"

namespace baton {
namespace {

constexpr std::string_view kName = "bpf_map";
constexpr std::array<uint32_t, 7> kTypes{BPF_MAP_TYPE_HASH,         BPF_MAP_TYPE_ARRAY,    BPF_MAP_TYPE_PERCPU_HASH,
                                         BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH,
                                         BPF_MAP_TYPE_LPM_TRIE};

using Payload = pb::BpfMapPayload;

bool IsKnownType(uint32_t type) { return std::ranges::find(kTypes, type) != kTypes.end(); }

std::string SpaceOf(const Payload& message) { return fmt::format("bpf-map/{}", message.id()); }

Result<Payload> Describe(const FdFacts& file) {
  BATON_TRY(const bpf_map_info info, MapInfo(file.copy));
  if (!IsKnownType(info.type) || info.btf_id != 0 || info.ifindex != 0) {
    return MakeError(ErrorCode::kNotSupported,
                     "a BPF map of type {}{}: only plain hashes, arrays and prefix trees can be saved", info.type,
                     info.btf_id != 0 ? " with BTF types" : "");
  }
  Payload message;
  message.set_id(info.id);
  message.set_type(info.type);
  message.set_key_bytes(info.key_size);
  message.set_value_bytes(info.value_size);
  message.set_most_entries(info.max_entries);
  message.set_flags(info.map_flags);
  message.set_name(std::string(info.name, strnlen(info.name, sizeof info.name)));
  BATON_TRY(const auto frozen, FdInfoNumber<uint32_t>(file.info, "frozen"));
  message.set_frozen(frozen != 0);
  message.set_access(file.info.flags & O_ACCMODE);
  return message;
}

Result<Payload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<Payload>(payload, kName));
  const bool sane = IsKnownType(message.type()) && message.key_bytes() > 0 && message.value_bytes() > 0 &&
                    message.most_entries() > 0 && message.name().size() < BPF_OBJ_NAME_LEN &&
                    message.access() <= O_RDWR;
  if (sane) return message;
  return MakeError(ErrorCode::kCorrupt, "BPF map {}: type {}, {} entries", message.id(), message.type(),
                   message.most_entries());
}

Result<int64_t> CallInHolder(RestoreContext& context, const char* what, bpf_cmd command, const bpf_attr& attributes) {
  RemoteSyscalls& holder = context.holder();
  holder.ResetArguments();
  BATON_TRY(const auto at, holder.PutValue(attributes));
  return holder.Do(what, SYS_bpf, command, at, sizeof attributes);
}

// The holder's own descriptor of the map.
Result<int> MakeMap(const Payload& message, RestoreContext& context) {
  bpf_attr attributes{};
  attributes.map_type = message.type();
  attributes.key_size = message.key_bytes();
  attributes.value_size = message.value_bytes();
  attributes.max_entries = message.most_entries();
  attributes.map_flags = message.flags();
  std::ranges::copy(message.name(), attributes.map_name);
  BATON_TRY(const int64_t made, CallInHolder(context, "make a BPF map", BPF_MAP_CREATE, attributes));
  BATON_TRY(const UniqueFd own, context.CopyFromHolder(static_cast<int>(made)));
  BATON_TRY(const std::vector<std::byte> bytes, context.Content(SpaceOf(message)));
  BATON_TRY(const auto content,
            ParsePayload<pb::BpfMapContent>({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, kName));
  BATON_CHECKED(WriteEntries(own.get(), message, content));
  if (message.frozen()) {
    bpf_attr freeze{};
    freeze.map_fd = static_cast<uint32_t>(own.get());
    BATON_CHECKED(CallBpf(BPF_MAP_FREEZE, freeze, "freeze it"));
  }
  return static_cast<int>(made);
}

class BpfMapKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override { return file.IsAnonInode("anon_inode:bpf-map"); }

  Result<> Check(const FdFacts& file, const CaptureContext&) const override {
    auto described = baton::Describe(file);
    if (described) return {};
    if (described.error().saved_errno() != EPERM) return described.Fail();
    return MakeError(ErrorCode::kNotSupported, "a BPF map, which only root may read: run Baton as root");
  }

  Result<std::string> Capture(const FdFacts& file, CaptureContext& context) const override {
    BATON_TRY(const Payload message, baton::Describe(file));
    if (!context.HasContent(SpaceOf(message))) {
      BATON_TRY(const UniqueFd map, OpenMap(message.id()));
      BATON_TRY(const pb::BpfMapContent content, ReadEntries(map.get(), message));
      const std::string bytes = content.SerializeAsString();
      const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
      context.AddContent(SpaceOf(message), {data, data + bytes.size()});
    }
    return message.SerializeAsString();
  }

  // By its number each open file of one map is one of its own.
  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const Payload message, Parse(payload));
    const auto [map, fresh] = context.shared().try_emplace(SpaceOf(message), -1);
    if (fresh) {
      BATON_TRY(map->second, MakeMap(message, context));
    }
    BATON_TRY(const UniqueFd own, context.CopyFromHolder(map->second));
    BATON_TRY(const bpf_map_info info, MapInfo(own.get()));
    bpf_attr open{};
    open.map_id = info.id;
    if (message.access() == O_RDONLY) open.open_flags = BPF_F_RDONLY;
    if (message.access() == O_WRONLY) open.open_flags = BPF_F_WRONLY;
    BATON_TRY(const int64_t fd, CallInHolder(context, "open a BPF map", BPF_MAP_GET_FD_BY_ID, open));
    return static_cast<int>(fd);
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const Payload message, Parse(payload));
    return fmt::format("BPF map {} of type {}, up to {} entries of {} and {} bytes{}", message.name(), message.type(),
                       message.most_entries(), message.key_bytes(), message.value_bytes(),
                       message.frozen() ? ", frozen" : "");
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakeBpfMapKind() { return std::make_unique<BpfMapKind>(); }

}  // namespace baton
