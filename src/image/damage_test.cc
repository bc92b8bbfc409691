// What a damaged image does: it is refused, and the file is named. Two sorts of damage: bytes changed as disks and
// networks do it (checksums find it), and structure changed with the checksums made right again (the checks behind
// them must find it).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "base/file.h"
#include "image/digest.h"
#include "image/framed_file.h"
#include "image/image_test_util.h"
#include "image/reader.h"
#include "image/records_file.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

Result<> OpenAndVerify(const std::string& directory) {
  BATON_TRY(const auto reader, ImageReader::Open(directory));
  return reader->Verify(1);
}

bool IsRefusal(const Result<>& result) {
  return !result && (result.error().code() == ErrorCode::kCorrupt || result.error().code() == ErrorCode::kNotSupported);
}

// ---- bytes ----

struct FlipCase {
  const char* file;
  int zstd_level;
};

class FlipTest : public ImageTestBase, public ::testing::WithParamInterface<FlipCase> {};

void PutByte(const std::string& path, size_t at, char byte) {
  const auto file = OpenFile(path, O_WRONLY);
  ASSERT_TRUE(file);
  ASSERT_TRUE(PwriteAll(file->get(), std::as_bytes(std::span(&byte, 1)), at));
}

TEST_P(FlipTest, AThousandFlippedBytesAreAllFound) {
  ASSERT_TRUE(WriteSample(GetParam().zstd_level));
  ASSERT_TRUE(OpenAndVerify(directory()));
  const std::string path = directory() + "/" + GetParam().file;
  const std::string good = ReadFile(path).value();
  const size_t count = std::max<size_t>(1000, std::min<size_t>(good.size(), 1500));
  for (size_t i = 0; i < count; ++i) {
    const size_t at = i * good.size() / count;
    // Small files: the same byte again, with another bit.
    PutByte(path, at, static_cast<char>(good[at] ^ (1 << (i % 8))));
    ASSERT_TRUE(IsRefusal(OpenAndVerify(directory()))) << "bit " << i % 8 << " of byte " << at;
    PutByte(path, at, good[at]);
  }
  EXPECT_TRUE(OpenAndVerify(directory()));
}

TEST_P(FlipTest, CutOrLengthenedFilesAreFound) {
  ASSERT_TRUE(WriteSample(GetParam().zstd_level));
  const std::string path = directory() + "/" + GetParam().file;
  const std::string good = ReadFile(path).value();
  for (size_t i = 0; i < 200; ++i) {
    ASSERT_TRUE(WriteFile(path, good.substr(0, i * good.size() / 200)));
    ASSERT_TRUE(IsRefusal(OpenAndVerify(directory()))) << "cut to " << i * good.size() / 200;
  }
  ASSERT_TRUE(WriteFile(path, good + '\0'));
  EXPECT_TRUE(IsRefusal(OpenAndVerify(directory())));
}

TEST_P(FlipTest, AFileOfAnotherImageIsFound) {
  ASSERT_TRUE(WriteSample(GetParam().zstd_level));
  const std::string other = directory() + "/other";
  auto writer = ImageWriter::Create(other, {.zstd_level = GetParam().zstd_level, .bypass_cache = true});
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->AddRecord({"unit", 1, "another unit!"}));
  const std::vector<std::byte> pages(8 * kImagePage, std::byte{9});
  ASSERT_TRUE(writer->AddPages("process:7", 0x400000, pages));
  ASSERT_TRUE(writer->Finish());
  fs::copy_file(other + "/" + GetParam().file, directory() + "/" + GetParam().file,
                fs::copy_options::overwrite_existing);
  EXPECT_TRUE(IsRefusal(OpenAndVerify(directory())));
}

TEST_P(FlipTest, AMissingFileIsFound) {
  ASSERT_TRUE(WriteSample(GetParam().zstd_level));
  fs::remove(directory() + "/" + GetParam().file);
  const auto opened = OpenAndVerify(directory());
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().ToString(), HasSubstr(GetParam().file));
}

INSTANTIATE_TEST_SUITE_P(Files, FlipTest,
                         ::testing::Values(FlipCase{"manifest", 0}, FlipCase{"records", 0}, FlipCase{"index", 0},
                                           FlipCase{"pages.0000", 0}, FlipCase{"pages.0000", 3}, FlipCase{"index", 3}),
                         [](const auto& test) {
                           std::string name = fmt::format("{}_{}", test.param.file, test.param.zstd_level);
                           std::ranges::replace(name, '.', '_');
                           return name;
                         });

// ---- structure ----

class StructureTest : public ImageTestBase {
 protected:
  void SetUp() override {
    ImageTestBase::SetUp();
    ASSERT_TRUE(WriteSample(0));
  }

  template <typename Message>
  void Load(const char* file, std::string_view magic, Message& message) {
    const std::string bytes = ReadFile(directory() + "/" + file).value();
    ASSERT_TRUE(ParseFramed(file, magic, bytes, message));
  }

  void StoreManifest(const pb::Manifest& manifest) {
    ASSERT_TRUE(WriteFile(directory() + "/manifest", FrameMessage(kImageManifestMagic, manifest).value()));
  }

  // Writes a file and makes its entry in the manifest right.
  void StoreListed(const std::string& name, const std::string& bytes) {
    ASSERT_TRUE(WriteFile(directory() + "/" + name, bytes));
    pb::Manifest manifest;
    Load("manifest", kImageManifestMagic, manifest);
    for (pb::FileEntry& file : *manifest.mutable_files()) {
      if (file.name() != name) continue;
      file.set_bytes(bytes.size());
      file.set_digest(Digest128(std::as_bytes(std::span(bytes))));
    }
    StoreManifest(manifest);
  }

  void ChangeIndex(const std::function<void(pb::PageIndex&)>& change) {
    pb::PageIndex index;
    Load("index", kIndexMagic, index);
    change(index);
    StoreListed("index", FrameMessage(kIndexMagic, index).value());
  }

  void ChangeManifest(const std::function<void(pb::Manifest&)>& change) {
    pb::Manifest manifest;
    Load("manifest", kImageManifestMagic, manifest);
    change(manifest);
    StoreManifest(manifest);
  }

  void ExpectRefused(std::string_view why) {
    const auto opened = OpenAndVerify(directory());
    ASSERT_TRUE(IsRefusal(opened));
    EXPECT_THAT(opened.error().ToString(), HasSubstr(why));
  }
};

TEST_F(StructureTest, RewrittenAsItWasItIsGood) {
  ChangeIndex([](pb::PageIndex&) {});
  ChangeManifest([](pb::Manifest&) {});
  EXPECT_TRUE(OpenAndVerify(directory()));
}

TEST_F(StructureTest, RunsThatOverlap) {
  ChangeIndex([](pb::PageIndex& index) { *index.mutable_spaces(0)->add_runs() = index.spaces(0).runs(0); });
  ExpectRefused("overlap");
}

TEST_F(StructureTest, RunsOutOfOrder) {
  ChangeIndex([](pb::PageIndex& index) { index.mutable_spaces(0)->mutable_runs()->SwapElements(0, 1); });
  ExpectRefused("overlap");
}

TEST_F(StructureTest, ARunBeyondItsSegment) {
  ChangeIndex([](pb::PageIndex& index) {
    pb::PageSpace& space = *index.mutable_spaces(0);
    space.mutable_runs(space.runs_size() - 1)->set_pages(100000);
  });
  ExpectRefused("is not there");
}

TEST_F(StructureTest, ARunInASegmentThatIsNotThere) {
  ChangeIndex([](pb::PageIndex& index) {
    for (pb::PageRun& run : *index.mutable_spaces(0)->mutable_runs()) run.set_segment(5);
  });
  ExpectRefused("segment 5 is not there");
}

TEST_F(StructureTest, ARunThatIsNotAligned) {
  ChangeIndex([](pb::PageIndex& index) {
    for (pb::PageRun& run : *index.mutable_spaces(0)->mutable_runs()) run.set_offset(17);
  });
  ExpectRefused("content at 17");
}

TEST_F(StructureTest, ARunOfNothing) {
  ChangeIndex([](pb::PageIndex& index) { index.mutable_spaces(0)->mutable_runs(0)->set_pages(0); });
  ExpectRefused("0 pages");
}

TEST_F(StructureTest, ARunBeyondAllMemory) {
  ChangeIndex([](pb::PageIndex& index) { index.mutable_spaces(0)->mutable_runs(0)->set_first_page(~uint64_t{0}); });
  ExpectRefused("at page 18446744073709551615");
}

TEST_F(StructureTest, ARunFromAParentThatIsNotNamed) {
  ChangeIndex([](pb::PageIndex& index) { index.mutable_spaces(0)->mutable_runs(0)->set_kind(pb::PageRun::PARENT); });
  ExpectRefused("parent");
}

TEST_F(StructureTest, TheSameSpaceTwice) {
  ChangeIndex([](pb::PageIndex& index) { *index.add_spaces() = index.spaces(0); });
  ExpectRefused("there twice");
}

TEST_F(StructureTest, ABlockTooMany) {
  ChangeIndex([](pb::PageIndex& index) {
    pb::Segment& segment = *index.mutable_segments(0);
    *segment.add_blocks() = segment.blocks(0);
  });
  ExpectRefused("pages.0000");
}

TEST_F(StructureTest, ABlockWithoutItsLength) {
  ChangeIndex([](pb::PageIndex& index) { index.mutable_segments(0)->mutable_blocks(0)->set_bytes(0); });
  ExpectRefused("a block of 0 bytes");
}

TEST_F(StructureTest, ABlockStoredLargerThanItIs) {
  ChangeIndex([](pb::PageIndex& index) { index.mutable_segments(0)->mutable_blocks(0)->set_stored_bytes(2U << 20); });
  ExpectRefused("stored as 2097152");
}

TEST_F(StructureTest, ARawBlockCalledCompressed) {
  ChangeIndex([](pb::PageIndex& index) {
    pb::Block& block = *index.mutable_segments(0)->mutable_blocks(index.segments(0).blocks_size() - 1);
    block.set_bytes(block.bytes() + kImagePage);
  });
  ExpectRefused("does not unpack");
}

TEST_F(StructureTest, ASegmentMissingFromTheIndex) {
  ChangeIndex([](pb::PageIndex& index) { index.clear_segments(); });
  ExpectRefused("0 segments, 1 in the manifest");
}

TEST_F(StructureTest, AFileListedTwice) {
  ChangeManifest([](pb::Manifest& manifest) { *manifest.add_files() = manifest.files(0); });
  ExpectRefused("there twice");
}

TEST_F(StructureTest, AFileWithAPathForAName) {
  ChangeManifest([](pb::Manifest& manifest) { manifest.add_files()->set_name("../../etc/passwd"); });
  ExpectRefused("list of files");
}

TEST_F(StructureTest, AManifestWithoutRecords) {
  ChangeManifest([](pb::Manifest& manifest) {
    for (pb::FileEntry& file : *manifest.mutable_files()) {
      if (file.name() == kRecordsFile) file.set_name("pages.0001");
    }
  });
  ExpectRefused("list of files");
}

TEST_F(StructureTest, AManifestWithoutAnId) {
  ChangeManifest([](pb::Manifest& manifest) { manifest.clear_id(); });
  ExpectRefused("no id");
}

TEST_F(StructureTest, ADelta) {
  ChangeManifest([](pb::Manifest& manifest) { manifest.set_parent_id(std::string(16, 'x')); });
  ExpectRefused("delta");
}

TEST_F(StructureTest, RecordsWithACountThatIsWrong) {
  for (const uint32_t count : {0U, 2U, 4U, 0xffffffffU}) {
    std::string bytes = ReadFile(directory() + "/records").value();
    EndRecords(bytes, count);
    StoreListed("records", bytes);
    ExpectRefused("records");
  }
}

TEST_F(StructureTest, RecordsOfANewerFormat) {
  std::string bytes = ReadFile(directory() + "/records").value();
  bytes[8] = 2;
  StoreListed("records", bytes);
  ExpectRefused("format version 2");
}

TEST_F(StructureTest, ARecordWithLengthsThatDoNotFit) {
  const std::string good = ReadFile(directory() + "/records").value();
  for (const size_t at : {16U, 19U, 24U, 31U}) {  // name and payload lengths of the first record
    std::string bytes = good;
    bytes[at] = '\x7f';
    StoreListed("records", bytes);
    ExpectRefused("record 0");
  }
}

TEST_F(StructureTest, ADirectoryInPlaceOfAFile) {
  fs::remove(directory() + "/pages.0000");
  fs::create_directory(directory() + "/pages.0000");
  ExpectRefused("pages.0000");
}

}  // namespace
}  // namespace baton
