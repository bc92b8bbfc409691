#include "proc/smaps.h"

#include "proc/parser_test_util.h"

namespace baton {
namespace {

// Linux 6.18; the second one a name that could be taken for an address.
constexpr std::string_view kSmaps =
    R"(5627f0d06000-5627f0d35000 r--p 00000000 fe:00 247101                     /usr/bin/bash
Size:                188 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                 184 kB
Anonymous:             0 kB
Shared_Hugetlb:        0 kB
Swap:                 12 kB
THPeligible:           0
ProtectionKey:         0
VmFlags: rd mr mw me 
7ffe622b7000-7ffe622d8000 rw-p 00000000 00:00 0                          [stack]
Size:                132 kB
KernelPageSize:     2048 kB
Private_Hugetlb:    2048 kB
VmFlags: rd wr mr mw me gd ac ht
)";

// Linux 5.10: fewer lines, THPeligible with more blanks.
constexpr std::string_view kOldSmaps =
    R"(00400000-0040b000 r-xp 00000000 08:01 1045                               /bin/cat
Size:                 44 kB
KernelPageSize:        4 kB
Rss:                  44 kB
THPeligible:    0
VmFlags: rd ex mr mw me dw
)";

TEST(ProcSmaps, MappingsWithTheirSizesAndFlags) {
  const auto entries = ParseSmaps(kSmaps);
  ASSERT_TRUE(entries) << entries.error().ToString();
  ASSERT_EQ(entries->size(), 2U);
  const SmapsEntry& first = entries->front();
  EXPECT_EQ(first.mapping.path, "/usr/bin/bash");
  EXPECT_EQ(first.SizeKb("Rss"), 184U);
  EXPECT_EQ(first.SizeKb("Swap"), 12U);
  EXPECT_EQ(first.SizeKb("THPeligible"), 0U);
  EXPECT_EQ(first.sizes_kb.size(), 7U);
  EXPECT_EQ(first.vm_flags, (std::vector<std::string>{"rd", "mr", "mw", "me"}));
  const SmapsEntry& second = entries->back();
  EXPECT_EQ(second.SizeKb("KernelPageSize"), 2048U);
  EXPECT_EQ(second.SizeKb("Private_Hugetlb"), 2048U);
  EXPECT_TRUE(second.HasFlag("gd"));
  EXPECT_FALSE(second.HasFlag("io"));
}

TEST(ProcSmaps, OlderKernel) {
  const auto entries = ParseSmaps(kOldSmaps);
  ASSERT_TRUE(entries) << entries.error().ToString();
  EXPECT_EQ(entries->at(0).SizeKb("Rss"), 44U);
  EXPECT_EQ(entries->at(0).SizeKb("Swap"), 0U);
  EXPECT_TRUE(entries->at(0).HasFlag("dw"));
}

TEST(ProcSmaps, DetailNamesOfHexadecimalLettersAreNotMappings) {
  const auto entries = ParseSmaps("1000-2000 rw-p 00000000 00:00 0 \nfade:   7 kB\n");
  ASSERT_TRUE(entries) << entries.error().ToString();
  EXPECT_EQ(entries->at(0).SizeKb("fade"), 7U);
}

TEST(ProcSmaps, NoAddressSpace) { EXPECT_TRUE(ParseSmaps("")->empty()); }

TEST(ProcSmaps, MalformedLinesAreQuoted) {
  constexpr std::string_view kHead = "1000-2000 rw-p 00000000 00:00 0 \n";
  ExpectCorrupt(ParseSmaps, "Rss:    4 kB\n", "Rss:    4 kB");
  for (const std::string_view line : {"Rss", "Rss: x kB", "Rss: -4 kB", ": 4 kB", "Rss:", "2000-1000 rw-p 0 00:00 0"}) {
    ExpectCorrupt(ParseSmaps, std::string(kHead) + std::string(line) + "\n", line);
  }
}

}  // namespace
}  // namespace baton
