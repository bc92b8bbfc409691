// A checkpoint of the store, read and checked in full: what a resume begins with.
//
// Thread-safety: as for plain values.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "image/reader.h"
#include "keeper/checkpoint_record.pb.h"
#include "store/directory_store.h"
#include "workspace/workspace.h"

namespace baton {

struct SavedCheckpoint {
  uint64_t number = 0;
  pb::CheckpointRecord record;
  std::unique_ptr<ImageReader> image;
  std::optional<pb::WorkspaceManifest> workspace;  // --fs work
};

// Every byte is read. kCorrupt or kNotFound for what is damaged or missing.
Result<SavedCheckpoint> LoadCheckpoint(const DirectoryStore& store, const std::string& store_dir,
                                       const std::string& job, uint64_t number);

// The newest that is good; `on_damaged` hears of every newer one that is not. kCorrupt if there is none
// or all are damaged.
Result<SavedCheckpoint> LoadNewestGood(const std::string& store_dir, const std::string& job,
                                       const std::function<void(uint64_t number, const Error& why)>& on_damaged);

}  // namespace baton
