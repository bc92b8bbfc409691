// The entries of a BPF map, through a descriptor of ours that may read and write.
//
// Thread-safety: as for the map. Errors: of bpf(2); kNotSupported where this machine has another number of processors.
#pragma once

#include <linux/bpf.h>

#include <cstdint>

#include "base/result.h"
#include "base/unique_fd.h"
#include "resource/bpf_map/bpf_map.pb.h"

namespace baton {

// bpf(2). Its result; the error says `what`.
Result<int> CallBpf(bpf_cmd command, bpf_attr& attributes, const char* what);

Result<bpf_map_info> MapInfo(int map);
// Another open file of the map, for reading and writing.
Result<UniqueFd> OpenMap(uint32_t id);

bool IsArray(uint32_t type);
// Bytes of one entry's value, as bpf(2) reads and writes it: kinds for each processor have one for each.
Result<uint64_t> ValueBytes(uint32_t type, uint32_t value_bytes);

Result<pb::BpfMapContent> ReadEntries(int map, const pb::BpfMapPayload& payload);
// kCorrupt for entries that cannot be of this map.
Result<> WriteEntries(int map, const pb::BpfMapPayload& payload, const pb::BpfMapContent& content);

}  // namespace baton
