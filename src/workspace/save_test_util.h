// For the tests of saving and restoring: a workspace with one root "work", a store beside it, and a save as one call.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>
#include <string>
#include <vector>

#include "workspace/content.h"
#include "workspace/known_files.h"
#include "workspace/objects.h"
#include "workspace/test_files.h"
#include "workspace/workspace.h"

namespace baton {

class SavedWorkspaceTest : public testing::Test {
 protected:
  SavedWorkspaceTest() { std::filesystem::create_directories(dir_ / "work"); }

  std::string Work(const std::string& path = "") const { return dir_ / ("work" + (path.empty() ? "" : "/" + path)); }
  const std::string& objects() const { return objects_; }
  void UseObjectsIn(const std::string& path) { objects_ = path; }
  std::string last_manifest_path() const { return dir_ / ("manifest-" + std::to_string(saves_)); }
  const WorkspaceStats& last_stats() const { return stats_; }

  WorkspaceOptions Options() const {
    WorkspaceOptions options;
    options.objects_dir = objects_;
    options.roots = {{.name = "work", .job_path = "/work", .host_path = Work()}};
    options.excludes = excludes_;
    return options;
  }

  // A whole save; `between` is done after the pre-copy.
  pb::WorkspaceManifest Save(
      const pb::WorkspaceManifest* previous = nullptr, const std::vector<OpenFileHint>& hints = {},
      const std::function<void()>& between = [] {}) {
    auto save = WorkspaceSave::PreCopy(Options(), previous, hints);
    if (!save) return Failed(save.error());
    between();
    if (auto final_pass = (*save)->FinalPass(hints); !final_pass) return Failed(final_pass.error());
    ++saves_;
    auto stats = (*save)->Finish(last_manifest_path());
    if (!stats) return Failed(stats.error());
    stats_ = *stats;
    return (*save)->manifest();
  }

  static void SetMtime(const std::string& path, time_t seconds, long nanoseconds) {
    const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {.tv_sec = seconds, .tv_nsec = nanoseconds}};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
  }

  // Returns when all changes so far are old enough for their times to be trusted.
  void Settle() const {
    const WalkOptions options{.roots = {{.name = "work", .job_path = "/work", .host_path = Work()}}};
    while (true) {
      const auto listing = WalkTree(options);
      ASSERT_TRUE(listing);
      if (std::ranges::none_of(listing->nodes, &Node::unsettled)) return;
    }
  }

  static std::vector<std::string> PathsOf(const pb::WorkspaceManifest& manifest) {
    std::vector<std::string> paths;
    for (const auto& entry : manifest.entries()) paths.push_back(entry.path());
    return paths;
  }

  static pb::WorkspaceEntry EntryAt(const pb::WorkspaceManifest& manifest, const std::string& path) {
    for (const auto& entry : manifest.entries()) {
      if (entry.path() == path) return entry;
    }
    ADD_FAILURE() << "no entry " << path;
    return {};
  }

  // What the store has as the content of `path`.
  std::string SavedContent(const pb::WorkspaceManifest& manifest, const std::string& path) const {
    const pb::WorkspaceEntry entry = EntryAt(manifest, path);
    const auto pool = ObjectPool::OpenForReading(objects_);
    const auto fd = OpenFile(dir_ / "content", O_RDWR | O_CREAT | O_TRUNC);
    if (!pool || !fd) return "<no store>";
    const auto written = WritePieces(*pool, PiecesOf(entry), entry.size(), entry.sparse(), fd->get());
    return written ? Get(dir_ / "content") : written.error().ToString();
  }

  pb::WorkspaceManifest Failed(const Error& error) const {
    ADD_FAILURE() << error.ToString();
    return {};
  }

  TestDir dir_;
  std::string objects_ = dir_ / "objects";
  std::vector<std::string> excludes_;
  int saves_ = 0;
  WorkspaceStats stats_;
};

}  // namespace baton
