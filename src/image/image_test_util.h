// A sample image for the tests of this folder. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "base/test_dir.h"
#include "image/writer.h"

namespace baton {

class ImageTestBase : public ::testing::Test {
 protected:
  struct Piece {
    std::string space;
    uint64_t address;
    std::vector<std::byte> content;
  };

  const std::string& directory() const { return directory_.path(); }

  // Two spaces, zero pages between, content that packs well and content that does not, over several blocks.
  std::vector<Piece> sample() const {
    std::mt19937_64 random(1);
    std::vector<std::byte> noise(300 * kImagePage);
    for (std::byte& byte : noise) byte = static_cast<std::byte>(random());
    std::vector<std::byte> mixed(40 * kImagePage, std::byte{'a'});
    for (size_t page = 0; page < 40; page += 3) {
      for (size_t i = 0; i < kImagePage; ++i) mixed[page * kImagePage + i] = std::byte{0};
    }
    return {{"process:7", 0x7f0000000000, noise}, {"process:7", 0x400000, mixed}, {"shared:1f", 0, mixed}};
  }

  Result<> WriteSample(int zstd_level) const {
    BATON_TRY(ImageWriter writer,
              ImageWriter::Create(directory_.path(), {.zstd_level = zstd_level, .bypass_cache = false}));
    BATON_CHECKED(writer.AddRecord({"unit", 1, "some metadata"}));
    BATON_CHECKED(writer.AddRecord({"process", 7, std::string(1000, 'p')}));
    BATON_CHECKED(writer.AddRecord({"empty", 1, ""}));
    for (const Piece& piece : sample()) BATON_CHECKED(writer.AddPages(piece.space, piece.address, piece.content));
    writer.SetInfo("engine", "test");
    return writer.Finish();
  }

 private:
  TestDir directory_;
};

}  // namespace baton
