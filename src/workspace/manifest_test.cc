#include "workspace/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"

namespace baton {
namespace {

pb::WorkspaceEntry& Add(pb::WorkspaceManifest& manifest, const std::string& path, pb::WorkspaceEntry::Type type) {
  pb::WorkspaceEntry& entry = *manifest.add_entries();
  entry.set_path(path);
  entry.set_type(type);
  entry.set_mode(0644);
  return entry;
}

// A root with d/, d/f of 10 bytes in one piece, d/l -> f and d/h, a hard link to d/f.
pb::WorkspaceManifest Small() {
  pb::WorkspaceManifest manifest;
  manifest.set_version(1);
  manifest.add_roots()->set_name("work");
  Add(manifest, "", pb::WorkspaceEntry::DIRECTORY);
  Add(manifest, "d", pb::WorkspaceEntry::DIRECTORY);
  pb::WorkspaceEntry& file = Add(manifest, "d/f", pb::WorkspaceEntry::FILE);
  file.set_size(10);
  pb::WorkspacePiece& piece = *file.add_pieces();
  piece.set_length(10);
  piece.set_hash(std::string(kHashBytes, 'h'));
  Add(manifest, "d/l", pb::WorkspaceEntry::SYMLINK).set_link_target("f");
  Add(manifest, "d/h", pb::WorkspaceEntry::HARD_LINK).set_hard_link_of(2);
  return manifest;
}

// Whether a manifest changed by `change` is refused as corrupt, though its checksum is right.
template <typename Change>
std::string Refusal(Change change) {
  pb::WorkspaceManifest manifest = Small();
  change(manifest);
  const auto parsed = ParseWorkspaceManifest(SerializeWorkspaceManifest(manifest));
  if (parsed) return "accepted";
  return parsed.error().code() == ErrorCode::kCorrupt ? "corrupt" : parsed.error().ToString();
}

TEST(ManifestTest, ReadsWhatItWrote) {
  const auto parsed = ParseWorkspaceManifest(SerializeWorkspaceManifest(Small()));
  ASSERT_TRUE(parsed) << parsed.error().ToString();
  EXPECT_EQ(parsed->SerializeAsString(), Small().SerializeAsString());
}

TEST(ManifestTest, EveryDamagedByteAndEveryCutIsCorrupt) {
  const std::string good = SerializeWorkspaceManifest(Small());
  for (size_t i = 0; i < good.size(); ++i) {
    for (const int bit : {0x01, 0x80}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ bit);
      const auto parsed = ParseWorkspaceManifest(bad);
      ASSERT_FALSE(parsed) << "byte " << i;
      EXPECT_EQ(parsed.error().code(), ErrorCode::kCorrupt) << "byte " << i;
    }
    const auto cut = ParseWorkspaceManifest(good.substr(0, i));
    ASSERT_FALSE(cut) << "cut at " << i;
    EXPECT_EQ(cut.error().code(), ErrorCode::kCorrupt) << "cut at " << i;
  }
}

TEST(ManifestTest, PathsThatLeaveTheRootAreCorrupt) {
  const std::string evil[] = {"/etc",
                              "..",
                              "d/..",
                              "d/../../x",
                              "d//x",
                              ".",
                              std::string("d/x\0y", 5),
                              "d/",
                              "./d/x",
                              "d/./x",
                              std::string(5000, 'x'),
                              "d/" + std::string(300, 'x'),
                              ".baton-restore/x"};
  for (const std::string& path : evil) {
    EXPECT_EQ(Refusal([&](auto& m) { m.mutable_entries(2)->set_path(path); }), "corrupt") << path;
  }
}

TEST(ManifestTest, PathsMustBeUniqueAndBelowListedDirectories) {
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(3)->set_path("d/f"); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(3)->set_path("other/f"); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(4)->set_path("d/l/through"); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(3)->set_root(1); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(0)->set_type(pb::WorkspaceEntry::FILE); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.add_roots()->set_name("no entry"); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_roots(0)->set_name("../x"); }), "corrupt");
}

TEST(ManifestTest, ImpossibleFieldsAreCorrupt) {
  EXPECT_EQ(Refusal([](auto& m) { m.set_version(2); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(2)->set_mode(010000); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(2)->set_size(9); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(2)->set_size(~uint64_t{0}); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(2)->mutable_pieces(0)->set_offset(~uint64_t{0} - 5); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(2)->mutable_pieces(0)->set_length(0); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(2)->mutable_pieces(0)->set_hash("short"); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { *m.mutable_entries(2)->add_pieces() = m.entries(2).pieces(0); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { *m.mutable_entries(1)->add_pieces() = m.entries(2).pieces(0); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(2)->set_type(pb::WorkspaceEntry::TYPE_UNSPECIFIED); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(3)->set_link_target(""); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(3)->set_link_target(std::string("a\0b", 3)); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(4)->set_hard_link_of(4); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(4)->set_hard_link_of(1); }), "corrupt");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_entries(2)->add_xattrs()->set_name("trusted.x"); }), "corrupt");
  EXPECT_EQ(Refusal([](auto&) {}), "accepted");
}

TEST(ManifestTest, IsNotWrittenOverAnother) {
  const std::string path = testing::TempDir() + "/manifest_test";
  std::filesystem::remove(path);
  ASSERT_TRUE(SaveWorkspaceManifest(Small(), path));
  const auto again = SaveWorkspaceManifest(Small(), path);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::kConflict);
  EXPECT_TRUE(LoadWorkspaceManifest(path));
  ASSERT_TRUE(WriteFile(path, "BATONWS1"));
  const auto cut = LoadWorkspaceManifest(path);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(cut.error().ToString(), testing::HasSubstr(path));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace baton
