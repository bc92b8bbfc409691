#include "pool/keeper/saved_tree.h"

#include <sodium.h>

#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "base/file.h"
#include "pool/wire/pool_store.h"
#include "store/pending_directory.h"
#include "workspace/manifest.h"

namespace baton {
namespace {

// What is left of a manifest with one of its roots.
Result<pb::WorkspaceManifest> OnlyWork(const pb::WorkspaceManifest& whole) {
  std::optional<uint32_t> work;
  for (int i = 0; i < whole.roots_size(); ++i) {
    if (whole.roots(i).name() == kWorkRoot) work = static_cast<uint32_t>(i);
  }
  if (!work) return MakeError(ErrorCode::kCorrupt, "a workspace without the root '{}'", kWorkRoot);
  pb::WorkspaceManifest kept = whole;
  kept.clear_roots();
  kept.clear_entries();
  *kept.add_roots() = whole.roots(static_cast<int>(*work));
  std::vector<uint32_t> place(static_cast<size_t>(whole.entries_size()));
  for (int i = 0; i < whole.entries_size(); ++i) {
    if (whole.entries(i).root() != *work) continue;
    place[static_cast<size_t>(i)] = static_cast<uint32_t>(kept.entries_size());
    pb::WorkspaceEntry& entry = *kept.add_entries();
    entry = whole.entries(i);
    entry.set_root(0);
    if (entry.type() == pb::WorkspaceEntry::HARD_LINK) entry.set_hard_link_of(place[entry.hard_link_of()]);
  }
  return kept;
}

}  // namespace

Result<std::string> HashOfFile(const std::string& path) {
  BATON_TRY(const std::string bytes, ReadFile(path));
  std::array<unsigned char, 32> hash{};
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                     nullptr, 0);
  std::string text;
  for (const unsigned char byte : hash) text += fmt::format("{:02x}", byte);
  return text;
}

Result<SavedTree> SaveTree(const std::string& from, const std::string& to, const WorkspaceOptions& options) {
  BATON_TRY(PendingDirectory place, PendingDirectory::Create(to));
  WorkspaceOptions saved = options;
  saved.objects_dir = SavedObjects(place.path());
  saved.roots = {{.name = kWorkRoot, .job_path = from, .host_path = from}};
  BATON_TRY(const auto save, WorkspaceSave::PreCopy(std::move(saved), nullptr));
  BATON_CHECKED(save->FinalPass({}));
  BATON_TRY(const WorkspaceStats stats, save->Finish(SavedManifest(place.path())));
  SavedTree tree{.hash = {}, .bytes = stats.before_bytes + stats.freeze_bytes};
  BATON_TRY(tree.hash, HashOfFile(SavedManifest(place.path())));
  BATON_CHECKED(place.Commit());
  return tree;
}

Result<> LoadTree(const std::string& manifest, const std::string& objects_dir, const std::string& to) {
  BATON_TRY(const pb::WorkspaceManifest whole, LoadWorkspaceManifest(manifest));
  BATON_TRY(const pb::WorkspaceManifest work, OnlyWork(whole));
  BATON_CHECKED(ValidateWorkspaceManifest(work));
  BATON_CHECKED(RestoreWorkspace(work, {.objects_dir = objects_dir,
                                        .roots = {{.name = kWorkRoot, .job_path = to, .host_path = to}},
                                        .skip_paths = {},
                                        .set_aside_dir = {}}));
  return {};
}

}  // namespace baton
