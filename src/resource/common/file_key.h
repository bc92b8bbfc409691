// One name for a file without a name of its own (deleted, memfd, shared memory), by which all who need it in a restored
// unit find the same one in RestoreContext::shared(): its open files and its mappings.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace baton {

// `device` as st_dev has it.
inline std::string FileKey(uint64_t device, uint64_t inode) { return fmt::format("file:{:x}:{:x}", device, inode); }

}  // namespace baton
