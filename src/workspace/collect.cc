#include <unordered_set>
#include <vector>

#include "workspace/directory.h"
#include "workspace/known_files.h"
#include "workspace/manifest.h"
#include "workspace/objects.h"
#include "workspace/workspace.h"

namespace baton {

Result<> VerifyWorkspace(const pb::WorkspaceManifest& manifest, const std::string& objects_dir) {
  BATON_CHECKED(ValidateWorkspaceManifest(manifest));
  BATON_TRY(const ObjectPool pool, ObjectPool::OpenForReading(objects_dir));
  std::unordered_set<ContentHash, ContentHashHasher> good;
  std::vector<std::byte> buffer(kPieceBytes);
  for (const pb::WorkspaceEntry& entry : manifest.entries()) {
    for (const Piece& piece : PiecesOf(entry)) {
      if (good.contains(piece.hash)) continue;
      if (auto read = pool.Read(piece.hash, std::span(buffer).first(piece.length)); !read) {
        return read.Fail("{}", JoinPath(manifest.roots(static_cast<int>(entry.root())).name(), entry.path()));
      }
      good.insert(piece.hash);
    }
  }
  return {};
}

Result<uint64_t> CollectObjects(const std::string& objects_dir, const std::vector<std::string>& manifest_paths) {
  // The lock first: a save that ends meanwhile would add a manifest that is not in the list.
  BATON_TRY(ObjectPool pool, ObjectPool::OpenForWriting(objects_dir));
  std::unordered_set<ContentHash, ContentHashHasher> needed;
  for (const std::string& path : manifest_paths) {
    auto manifest = LoadWorkspaceManifest(path);
    if (!manifest) return manifest.Fail("nothing is deleted from {}", objects_dir);
    for (const pb::WorkspaceEntry& entry : manifest->entries()) {
      for (const Piece& piece : PiecesOf(entry)) needed.insert(piece.hash);
    }
  }
  return pool.Collect(needed);
}

}  // namespace baton
