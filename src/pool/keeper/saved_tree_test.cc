#include "pool/keeper/saved_tree.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/test_dir.h"
#include "pool/wire/pool_store.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

class SavedTrees : public testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  std::string Read(const std::string& name) const { return ReadFile(root_ / name).value_or("?"); }

  TestDir root_;
};

TEST_F(SavedTrees, ADirectoryComesBackAsItWas) {
  Write("in/a", "one");
  Write("in/deep/b", "two");
  fs::create_hard_link(root_ / "in/a", root_ / "in/deep/a2");
  fs::create_symlink("a", root_ / "in/link");
  const std::string saved = root_ / "saved/x";
  const auto tree = SaveTree(root_ / "in", saved);
  ASSERT_TRUE(tree) << tree.error().ToString();
  EXPECT_EQ(tree->hash.size(), 64U);
  EXPECT_EQ(tree->bytes, 6U);
  const auto loaded = LoadTree(SavedManifest(saved), SavedObjects(saved), root_ / "out");
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  EXPECT_EQ(Read("out/a"), "one");
  EXPECT_EQ(Read("out/deep/b"), "two");
  EXPECT_EQ(fs::read_symlink(root_ / "out/link"), "a");
  EXPECT_EQ(fs::hard_link_count(root_ / "out/a"), 2U);
}

TEST_F(SavedTrees, OfAWorkspaceOnlyTheWorkIsTaken) {
  Write("tmp/scratch", "s");
  Write("work/a", "one");
  fs::create_hard_link(root_ / "work/a", root_ / "work/b");
  const std::string objects = root_ / "objects", manifest = root_ / "manifest";
  const auto save =
      WorkspaceSave::PreCopy({.objects_dir = objects,
                              .roots = {{"tmp", "/tmp", root_ / "tmp"}, {kWorkRoot, "/w", root_ / "work"}},
                              .excludes = {},
                              .skip_paths = {}},
                             nullptr);
  ASSERT_TRUE(save) << save.error().ToString();
  ASSERT_TRUE((*save)->FinalPass({}));
  ASSERT_TRUE((*save)->Finish(manifest));
  const auto loaded = LoadTree(manifest, objects, root_ / "out");
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  EXPECT_EQ(Read("out/b"), "one");
  EXPECT_FALSE(fs::exists(root_ / "out/scratch"));
  EXPECT_EQ(fs::hard_link_count(root_ / "out/b"), 2U);
}

TEST_F(SavedTrees, WhatIsThereIsNotReplacedAndDamageIsFound) {
  Write("in/a", "one");
  const std::string saved = root_ / "saved";
  ASSERT_TRUE(SaveTree(root_ / "in", saved));
  EXPECT_EQ(SaveTree(root_ / "in", saved).error().code(), ErrorCode::kConflict);
  for (const auto& entry : fs::recursive_directory_iterator(SavedObjects(saved))) {
    if (!entry.is_regular_file()) continue;
    fs::permissions(entry.path(), fs::perms::owner_all);
    std::ofstream(entry.path()) << "two";
  }
  EXPECT_EQ(LoadTree(SavedManifest(saved), SavedObjects(saved), root_ / "out").error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace baton
