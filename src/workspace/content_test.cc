#include "workspace/content.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "workspace/manifest.h"
#include "workspace/test_files.h"

namespace baton {
namespace {

// A pool, and files that go into it and out of it again.
class ContentTest : public testing::Test {
 protected:
  UniqueFd Open(const std::string& path, int flags = O_RDWR | O_CREAT) { return *OpenFile(path, flags); }

  ReadContent Read(const std::string& path, bool sparse = false, std::span<const Piece> known = {},
                   uint64_t trusted_bytes = 0) {
    const UniqueFd fd = Open(path);
    auto content = ReadPieces({.fd = fd.get(),
                               .size = static_cast<uint64_t>(StatOf(path).st_size),
                               .sparse = sparse,
                               .known = known,
                               .trusted_bytes = trusted_bytes},
                              store_);
    if (!content) ADD_FAILURE() << content.error().ToString();
    return content.value_or(ReadContent{});
  }

  Result<> Write(const std::string& path, const ReadContent& content, uint64_t size, bool sparse) {
    const UniqueFd fd = Open(path, O_RDWR | O_CREAT | O_TRUNC);
    return WritePieces(pool_, content.pieces, size, sparse, fd.get());
  }

  bool Matches(const std::string& path, const ReadContent& content, uint64_t size) {
    const UniqueFd fd = Open(path);
    const auto plain = ContentMatches(fd.get(), size, false, content.pieces);
    const auto sparse = ContentMatches(fd.get(), size, true, content.pieces);
    EXPECT_TRUE(plain && sparse);
    EXPECT_EQ(plain.value_or(false), sparse.value_or(false));
    return plain.value_or(false);
  }

  TestDir dir_;
  ObjectPool pool_ = *ObjectPool::OpenForWriting(dir_ / "objects");
  PieceStore store_{pool_};
};

constexpr uint64_t kMany = uint64_t{2} * kPieceBytes + 1000;

std::string Pattern(size_t size) {
  std::string text(size, 'x');
  for (size_t i = 0; i < size; i += 997) text[i] = static_cast<char>('a' + i % 26);
  return text;
}

TEST_F(ContentTest, GoesInAndOutAgain) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{kPieceBytes}, size_t{kPieceBytes} + 1, size_t{kMany}}) {
    Put(dir_ / "in", Pattern(size));
    const ReadContent content = Read(dir_ / "in");
    EXPECT_EQ(content.pieces.size(), (size + kPieceBytes - 1) / kPieceBytes);
    ASSERT_TRUE(pool_.Commit());
    ASSERT_TRUE(Write(dir_ / "out", content, size, false));
    EXPECT_TRUE(Get(dir_ / "out") == Pattern(size)) << size;
    EXPECT_TRUE(Matches(dir_ / "out", content, size));
  }
}

TEST_F(ContentTest, OnlyChangedPiecesAreStoredAgain) {
  Put(dir_ / "in", Pattern(kMany));
  const ReadContent first = Read(dir_ / "in");
  const uint64_t before = store_.new_bytes();
  FlipByte(dir_ / "in", kPieceBytes + 7);
  const ReadContent second = Read(dir_ / "in", false, first.pieces);
  EXPECT_EQ(store_.new_bytes() - before, kPieceBytes);
  EXPECT_EQ(second.pieces.at(0), first.pieces.at(0));
  EXPECT_NE(second.pieces.at(1), first.pieces.at(1));
  EXPECT_FALSE(Matches(dir_ / "in", first, kMany));
  EXPECT_TRUE(Matches(dir_ / "in", second, kMany));
}

TEST_F(ContentTest, OfAnAppendedFileOnlyTheTailIsRead) {
  Put(dir_ / "log", Pattern(kMany));
  const ReadContent first = Read(dir_ / "log");
  {
    const UniqueFd fd = Open(dir_ / "log", O_WRONLY | O_APPEND);
    ASSERT_TRUE(WriteAll(fd.get(), std::string_view("more")));
  }
  const ReadContent second = Read(dir_ / "log", false, first.pieces, kMany);
  EXPECT_EQ(second.bytes_read, 1004U);
  EXPECT_TRUE(Matches(dir_ / "log", second, kMany + 4));
  EXPECT_EQ(Read(dir_ / "log", false, first.pieces).bytes_read, kMany + 4) << "without trust everything is read";
}

TEST_F(ContentTest, HolesAreNeitherReadNorWritten) {
  constexpr uint64_t kHuge = uint64_t{1} << 40;
  {
    const UniqueFd fd = Open(dir_ / "holes");
    ASSERT_EQ(ftruncate(fd.get(), kHuge), 0);
    ASSERT_TRUE(PwriteAll(fd.get(), std::as_bytes(std::span(std::string_view(Pattern(5000)))), kHuge / 2 + 100));
    ASSERT_TRUE(PwriteAll(fd.get(), std::as_bytes(std::span(std::string_view(Pattern(10)))), kHuge - 10));
  }
  const ReadContent content = Read(dir_ / "holes", true);
  EXPECT_EQ(content.pieces.size(), 2U);
  EXPECT_LE(content.bytes_read, 2 * kPieceBytes);
  ASSERT_TRUE(pool_.Commit());
  ASSERT_TRUE(Write(dir_ / "out", content, kHuge, true));
  EXPECT_EQ(StatOf(dir_ / "out").st_size, static_cast<off_t>(kHuge));
  EXPECT_LE(StatOf(dir_ / "out").st_blocks, StatOf(dir_ / "holes").st_blocks);
  const UniqueFd out = Open(dir_ / "out");
  EXPECT_TRUE(*ContentMatches(out.get(), kHuge, true, content.pieces));
  ASSERT_TRUE(PwriteAll(out.get(), std::as_bytes(std::span(std::string_view(Pattern(1)))), 12345));
  EXPECT_FALSE(*ContentMatches(out.get(), kHuge, true, content.pieces)) << "data where a hole was";
}

TEST_F(ContentTest, AFileThatShrankMeanwhileIsCutShort) {
  Put(dir_ / "in", Pattern(100));
  const UniqueFd fd = Open(dir_ / "in");
  const auto content = ReadPieces({.fd = fd.get(), .size = 200}, store_);
  ASSERT_TRUE(content);
  EXPECT_TRUE(content->cut_short);
  EXPECT_EQ(content->pieces.at(0).length, 100U);
}

TEST_F(ContentTest, HeldPiecesReachThePoolWithFlush) {
  store_.HoldUpTo(50);
  Put(dir_ / "small", Pattern(40));
  Put(dir_ / "large", Pattern(60));
  const ReadContent small = Read(dir_ / "small");
  const ReadContent large = Read(dir_ / "large");
  ASSERT_TRUE(pool_.Commit());
  EXPECT_FALSE(Write(dir_ / "out", small, 40, false));
  EXPECT_TRUE(Write(dir_ / "out", large, 60, false)) << "more than may be held goes to the pool at once";
  ASSERT_TRUE(store_.Flush());
  ASSERT_TRUE(pool_.Commit());
  EXPECT_TRUE(Write(dir_ / "out", small, 40, false));
}

TEST_F(ContentTest, AMissingObjectIsAnError) {
  Put(dir_ / "in", Pattern(100));
  const ReadContent content = Read(dir_ / "in");
  const auto written = Write(dir_ / "out", content, 100, false);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace baton
