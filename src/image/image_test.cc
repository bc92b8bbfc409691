#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "base/file.h"
#include "image/image_test_util.h"
#include "image/reader.h"
#include "image/writer.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class ImageTest : public ImageTestBase {};

TEST_F(ImageTest, RecordsComeBackInOrder) {
  ASSERT_TRUE(WriteSample(0));
  const auto reader = ImageReader::Open(directory());
  ASSERT_TRUE(reader) << reader.error().ToString();
  ASSERT_THAT((*reader)->records(), SizeIs(3));
  EXPECT_EQ((*reader)->records()[0].kind, "unit");
  EXPECT_EQ((*reader)->records()[1].version, 7U);
  EXPECT_EQ((*reader)->records()[2].payload, "");
  EXPECT_EQ((*reader)->manifest().info().at("engine"), "test");
}

class ImagePagesTest : public ImageTestBase, public ::testing::WithParamInterface<int> {};

TEST_P(ImagePagesTest, PagesComeBack) {
  ASSERT_TRUE(WriteSample(GetParam()));
  const auto reader = ImageReader::Open(directory());
  ASSERT_TRUE(reader) << reader.error().ToString();
  for (unsigned threads = 1; threads <= 4; ++threads) ASSERT_TRUE((*reader)->Verify(threads));
  for (const auto& [space, address, content] : sample()) {
    std::vector<std::byte> read(content.size());
    const auto done = (*reader)->ReadPages(space, address, read);
    ASSERT_TRUE(done) << done.error().ToString();
    EXPECT_EQ(std::memcmp(read.data(), content.data(), content.size()), 0);
  }
}

TEST_P(ImagePagesTest, EveryRunCanBeReadByItself) {
  ASSERT_TRUE(WriteSample(GetParam()));
  const auto reader = ImageReader::Open(directory());
  ASSERT_TRUE(reader);
  for (const baton::Run& run : (*reader)->Runs("process:7")) {
    std::vector<std::byte> read(run.bytes());
    ASSERT_TRUE((*reader)->ReadPages("process:7", run.address, read));
    if (!run.raw) continue;
    std::vector<std::byte> straight(run.bytes());
    ASSERT_TRUE(PreadExactly((*reader)->SegmentFd(run.segment), straight, run.file_offset));
    EXPECT_EQ(straight, read);
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, ImagePagesTest, ::testing::Values(0, 3));

TEST_F(ImageTest, NeighboursAreOneRunAndZerosCostNothing) {
  auto writer = ImageWriter::Create(directory(), {});
  ASSERT_TRUE(writer);
  const std::vector<std::byte> ones(2 * kImagePage, std::byte{1});
  const std::vector<std::byte> zeros(4 * kImagePage);
  ASSERT_TRUE(writer->AddPages("p", 0x10000, ones));
  ASSERT_TRUE(writer->AddPages("p", 0x12000, ones));
  ASSERT_TRUE(writer->AddPages("p", 0x14000, zeros));
  ASSERT_TRUE(writer->Finish());
  const auto reader = ImageReader::Open(directory());
  ASSERT_TRUE(reader) << reader.error().ToString();
  const auto runs = (*reader)->Runs("p");
  ASSERT_THAT(runs, SizeIs(2));
  EXPECT_EQ(runs[0].page_count, 4U);
  EXPECT_EQ(runs[1].kind, RunKind::kZero);
  EXPECT_EQ(ReadFile(directory() + "/pages.0000")->size(), 4 * kImagePage);
}

TEST_F(ImageTest, PagesThatAreNotThereAreNotFound) {
  ASSERT_TRUE(WriteSample(0));
  const auto reader = ImageReader::Open(directory());
  ASSERT_TRUE(reader);
  std::vector<std::byte> page(kImagePage);
  EXPECT_EQ((*reader)->ReadPages("process:7", 0x1000, page).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ((*reader)->ReadPages("nobody", 0x1000, page).error().code(), ErrorCode::kNotFound);
  EXPECT_TRUE((*reader)->Runs("nobody").empty());
}

TEST_F(ImageTest, PagesGivenTwiceAreABugThatIsFound) {
  auto writer = ImageWriter::Create(directory(), {});
  ASSERT_TRUE(writer);
  const std::vector<std::byte> ones(2 * kImagePage, std::byte{1});
  ASSERT_TRUE(writer->AddPages("p", 0x10000, ones));
  ASSERT_TRUE(writer->AddPages("p", 0x11000, ones));
  const auto finished = writer->Finish();
  ASSERT_FALSE(finished);
  EXPECT_THAT(finished.error().ToString(), HasSubstr("given twice"));
}

TEST_F(ImageTest, AnEmptyDirectoryIsNoImage) {
  const auto reader = ImageReader::Open(directory());
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(reader.error().ToString(), HasSubstr("no complete image"));
}

TEST_F(ImageTest, WithoutFinishThereIsNoImage) {
  {
    auto writer = ImageWriter::Create(directory(), {});
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->AddRecord({"unit", 1, "x"}));
  }
  EXPECT_EQ(ImageReader::Open(directory()).error().code(), ErrorCode::kNotFound);
}

TEST_F(ImageTest, AnImageIsNeverOverwritten) {
  ASSERT_TRUE(WriteSample(0));
  const auto writer = ImageWriter::Create(directory(), {});
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code(), ErrorCode::kConflict);
}

}  // namespace
}  // namespace baton
