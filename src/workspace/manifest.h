// The manifest of a checkpoint's workspace as a file, and the checks that make it safe to act upon.
//
//   "BATONWS1" | WorkspaceManifest (protobuf) | XXH3-64 of all before it (8 bytes, little-endian)
//
// A manifest that was loaded is well-formed: no path leaves its root or is there twice, every parent is a directory,
// all indexes and ranges hold. Whatever is not so is kCorrupt. Thread-safety: free functions without state.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "workspace/manifest.pb.h"

namespace baton {

inline constexpr std::string_view kWorkspaceMagic = "BATONWS1";
inline constexpr uint32_t kPieceBytes = uint32_t{4} << 20;
inline constexpr size_t kHashBytes = 16;
// Names that Baton itself makes in a root: never saved, never set aside.
inline constexpr std::string_view kStagingName = ".baton-restore";
inline constexpr std::string_view kSetAsidePrefix = ".baton-set-aside-";
bool IsReservedName(std::string_view component);

Result<pb::WorkspaceManifest> LoadWorkspaceManifest(const std::string& path);
Result<pb::WorkspaceManifest> ParseWorkspaceManifest(std::string_view content);
// kCorrupt says which entry and what is wrong with it.
Result<> ValidateWorkspaceManifest(const pb::WorkspaceManifest& manifest);

std::string SerializeWorkspaceManifest(const pb::WorkspaceManifest& manifest);
// Creates `path` and syncs it and its directory. kConflict if it exists.
Result<> SaveWorkspaceManifest(const pb::WorkspaceManifest& manifest, const std::string& path);

}  // namespace baton
