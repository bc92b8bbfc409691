#include "proc/maps.h"

#include <fmt/format.h>

#include "proc/parser_test_util.h"

namespace baton {
namespace {

// Linux 6.18.
constexpr std::string_view kMaps =
    R"(55651eb89000-55651eb8a000 r-xp 00001000 fe:00 10952839                   /tmp/dir/s
556531fba000-556531fdb000 rw-p 00000000 00:00 0                          [heap]
7f5b000b5000-7f5b000c2000 rw-p 00000000 00:00 0 
7f5b000c7000-7f5b000c8000 rw-s 00000000 00:01 1026                       /memfd:m f (deleted)
7f5b000cb000-7f5b000cd000 rw-s 00001000 fe:00 10952835                   /tmp/dir/a b\012c\x (deleted)
7f5b000cf000-7f5b000d3000 r--p 00000000 00:00 0                          [vvar]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
)";

std::vector<MapsEntry> Parse(std::string_view text) {
  auto entries = ParseMaps(text);
  EXPECT_TRUE(entries) << entries.error().ToString();
  return entries ? *entries : std::vector<MapsEntry>{};
}

TEST(ProcMaps, FileBackedMapping) {
  const MapsEntry entry = Parse(kMaps).at(0);
  EXPECT_EQ(entry.start, 0x55651eb89000U);
  EXPECT_EQ(entry.end, 0x55651eb8a000U);
  EXPECT_EQ(entry.size(), 0x1000U);
  EXPECT_TRUE(entry.read && entry.exec);
  EXPECT_FALSE(entry.write || entry.shared || entry.deleted);
  EXPECT_EQ(entry.offset, 0x1000U);
  EXPECT_EQ(entry.dev_major, 0xfeU);
  EXPECT_EQ(entry.dev_minor, 0U);
  EXPECT_EQ(entry.inode, 10952839U);
  EXPECT_EQ(entry.path, "/tmp/dir/s");
}

TEST(ProcMaps, OtherMappings) {
  const auto entries = Parse(kMaps);
  ASSERT_EQ(entries.size(), 7U);
  EXPECT_EQ(entries[1].path, "[heap]");
  EXPECT_EQ(entries[2].path, "");
  EXPECT_EQ(entries[3].path, "/memfd:m f");
  EXPECT_TRUE(entries[3].deleted && entries[3].shared);
  EXPECT_EQ(entries[6].start, 0xffffffffff600000U);
  EXPECT_EQ(entries[6].path, "[vsyscall]");
}

TEST(ProcMaps, NewlineInANameIsDecodedAndABackslashStays) {
  const MapsEntry entry = Parse(kMaps).at(4);
  EXPECT_EQ(entry.path, "/tmp/dir/a b\nc\\x");
  EXPECT_TRUE(entry.deleted);  // also of a living file that is really called so: see the header
}

TEST(ProcMaps, FormsOfOtherKernels) {
  // No blank after the inode, no last newline; a large device number; a name given by prctl (Linux 5.17); a 32-bit one.
  EXPECT_EQ(Parse("1000-2000 rw-p 00000000 00:00 0").at(0).path, "");
  EXPECT_EQ(Parse("1000-2000 rw-p 00000000 1fd:fffff 4294967297 /x  y \n").at(0).path, "/x  y ");
  EXPECT_EQ(Parse("7000-8000 rw-p 00000000 00:00 0                          [anon:my name]").at(0).path,
            "[anon:my name]");
  EXPECT_EQ(Parse("08048000-08056000 r-xp 00000000 03:0c 64593      /usr/sbin/gpm").at(0).dev_minor, 12U);
}

TEST(ProcMaps, NoAddressSpace) { EXPECT_TRUE(Parse("").empty()); }

TEST(ProcMaps, TenThousandLines) {
  std::string text;
  for (unsigned i = 0; i < 10000; ++i) {
    text += fmt::format("{:x}-{:x} rw-p 00000000 fe:00 {}                   /some/where/lib{}.so\n", (i + 1) * 0x2000,
                        (i + 1) * 0x2000 + 0x1000, i, i);
  }
  const auto entries = Parse(text);
  ASSERT_EQ(entries.size(), 10000U);
  EXPECT_EQ(entries.back().path, "/some/where/lib9999.so");
}

TEST(ProcMaps, MalformedLinesAreQuoted) {
  for (const std::string_view line : {
           "x",
           "1000 rw-p 00000000 00:00 0",
           "1000-2000",
           "1000-2000 rw-p",
           "1000-2000 rw-p 0 00:00",
           "1000-2000 rw-p 0 0000 5",
           "1000-2000 rw-p 0 00:00 5x",
           "1000-2000 rw-p 0 00:00 -5",
           "1000-2000 rw-x 0 00:00 5",
           "1000-2000 wr-p 0 00:00 5",
           "1000-2000 rw-ps 0 00:00 5",
           "10000000000000000-20000000000000000 rw-p 0 00:00 5",
           " 1000-2000 rw-p 0 00:00 5",
           "2000-1000 rw-p 00000000 00:00 0",
           "2000-2000 rw-p 00000000 00:00 0",
       }) {
    ExpectCorrupt(ParseMaps, line);
  }
  ExpectCorrupt(ParseMaps, "1000-2000 rw-p 00000000 00:00 0 \nnonsense\n", "\"nonsense\"");
  ExpectCorrupt(ParseMaps, "1000-2000 rw-p 00000000 00:00 0 \n\n", "\"\"");
}

}  // namespace
}  // namespace baton
