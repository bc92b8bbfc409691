#include "workspace/objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "workspace/test_files.h"

namespace baton {
namespace {

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

ContentHash PutText(ObjectPool& pool, const std::string& text, bool expect_new = true) {
  const ContentHash hash = HashContent(Bytes(text));
  const auto put = pool.Put(hash, Bytes(text));
  EXPECT_TRUE(put) << put.error().ToString();
  EXPECT_EQ(put.value_or(!expect_new), expect_new);
  return hash;
}

std::string ReadText(const ObjectPool& pool, const ContentHash& hash, size_t size) {
  std::string text(size, '\0');
  const auto read = pool.Read(hash, std::as_writable_bytes(std::span(text)));
  return read ? text : std::string(ErrorCodeName(read.error().code()));
}

std::string PathIn(const TestDir& dir, const ContentHash& hash) {
  return dir / ("objects/" + hash.Hex().substr(0, 2) + "/" + hash.Hex());
}

TEST(ObjectPoolTest, GivesBackWhatWasCommitted) {
  const TestDir dir;
  auto pool = ObjectPool::OpenForWriting(dir / "objects");
  ASSERT_TRUE(pool);
  const ContentHash hash = PutText(*pool, "hello");
  EXPECT_EQ(ReadText(*pool, hash, 5), "not found") << "an object before it was committed";
  ASSERT_TRUE(pool->Commit());
  EXPECT_EQ(ReadText(*pool, hash, 5), "hello");
  PutText(*pool, "hello", /*expect_new=*/false);
}

TEST(ObjectPoolTest, ManyObjectsAreCommittedAtOnce) {
  const TestDir dir;
  auto pool = ObjectPool::OpenForWriting(dir / "objects");
  ASSERT_TRUE(pool);
  std::vector<ContentHash> hashes;
  for (int i = 0; i < 200; ++i) hashes.push_back(PutText(*pool, std::to_string(i)));
  ASSERT_TRUE(pool->Commit());
  for (size_t i = 0; i < hashes.size(); ++i) {
    EXPECT_EQ(ReadText(*pool, hashes[i], std::to_string(i).size()), std::to_string(i));
  }
}

TEST(ObjectPoolTest, ADamagedObjectIsFoundAndReplaced) {
  const TestDir dir;
  ContentHash hash;
  {
    auto pool = ObjectPool::OpenForWriting(dir / "objects");
    ASSERT_TRUE(pool);
    hash = PutText(*pool, "hello");
    ASSERT_TRUE(pool->Commit());
  }
  for (size_t at = 0; at < 5; ++at) {
    FlipByte(PathIn(dir, hash), at);
    auto pool = ObjectPool::OpenForWriting(dir / "objects");
    ASSERT_TRUE(pool);
    EXPECT_EQ(ReadText(*pool, hash, 5), "corrupt");
    PutText(*pool, "hello");
    ASSERT_TRUE(pool->Commit());
    EXPECT_EQ(ReadText(*pool, hash, 5), "hello");
  }
  Put(PathIn(dir, hash), "hell");
  auto pool = ObjectPool::OpenForReading(dir / "objects");
  ASSERT_TRUE(pool);
  EXPECT_EQ(ReadText(*pool, hash, 5), "corrupt");
}

TEST(ObjectPoolTest, WhatWasNotCommittedLeavesNothing) {
  const TestDir dir;
  {
    auto pool = ObjectPool::OpenForWriting(dir / "objects");
    ASSERT_TRUE(pool);
    PutText(*pool, "hello");
    EXPECT_FALSE(std::filesystem::is_empty(dir / "objects"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir / "objects"));
}

TEST(ObjectPoolTest, OnlyOneWriter) {
  const TestDir dir;
  auto first = ObjectPool::OpenForWriting(dir / "objects");
  ASSERT_TRUE(first);
  auto second = ObjectPool::OpenForWriting(dir / "objects");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kUnavailable);
  EXPECT_TRUE(ObjectPool::OpenForReading(dir / "objects"));
}

TEST(ObjectPoolTest, CollectKeepsWhatIsNeeded) {
  const TestDir dir;
  auto pool = ObjectPool::OpenForWriting(dir / "objects");
  ASSERT_TRUE(pool);
  const ContentHash kept = PutText(*pool, "kept");
  const ContentHash dropped = PutText(*pool, "dropped");
  ASSERT_TRUE(pool->Commit());
  Put(dir / "objects/incoming-1-1/rest", "of an interrupted save");
  Put(dir / "objects/notes", "not ours");
  const auto freed = pool->Collect({kept});
  ASSERT_TRUE(freed) << freed.error().ToString();
  EXPECT_EQ(*freed, 7U);
  EXPECT_EQ(ReadText(*pool, kept, 4), "kept");
  EXPECT_EQ(ReadText(*pool, dropped, 7), "not found");
  EXPECT_FALSE(std::filesystem::exists(dir / "objects/incoming-1-1"));
  EXPECT_EQ(Get(dir / "objects/notes"), "not ours");
}

TEST(ObjectPoolTest, AScratchFileHasNoName) {
  const TestDir dir;
  auto pool = ObjectPool::OpenForWriting(dir / "objects");
  ASSERT_TRUE(pool);
  const auto first = pool->MakeScratchFile();
  const auto second = pool->MakeScratchFile();
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(WriteAll(first->get(), std::string_view("x")));
  EXPECT_EQ(StatOf(dir / "objects").st_nlink, 3U) << "one incoming folder";
}

}  // namespace
}  // namespace baton
