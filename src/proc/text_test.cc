#include "proc/text.h"

#include <gtest/gtest.h>

namespace baton::proc_text {
namespace {

TEST(ProcText, CorruptLineQuotesTheLineReadablyAndShortened) {
  const Error error = CorruptLine("bad", std::string_view("a\tb\x01\0c\xff", 7));
  EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
  EXPECT_EQ(error.ToString(), "bad: \"a\tb\\x01\\x00c\\xff\"");
  EXPECT_EQ(CorruptLine("bad", std::string(300, 'x')).ToString(), "bad: \"" + std::string(200, 'x') + "\"...");
}

TEST(ProcText, LinesWithAndWithoutLastNewline) {
  for (std::string_view text : {"one\n\nthree", "one\n\nthree\n"}) {
    std::vector<std::string> lines;
    std::string_view line;
    while (NextLine(&text, &line)) lines.emplace_back(line);
    EXPECT_EQ(lines, (std::vector<std::string>{"one", "", "three"}));
  }
}

TEST(ProcText, NumbersAreWholeAndFit) {
  unsigned number = 0;
  EXPECT_TRUE(ParseNumber("4294967295", &number));
  EXPECT_EQ(number, 4294967295U);
  for (const std::string_view bad : {"", "4294967296", "-1", "+1", " 1", "1 ", "1x"}) {
    EXPECT_FALSE(ParseNumber(bad, &number)) << bad;
  }
  uint64_t address = 0;
  EXPECT_TRUE(ParseHex0x("0xffffffffffffffff", &address));
  EXPECT_EQ(address, ~uint64_t{0});
  for (const std::string_view bad : {"0x", "ff", "0x1ffffffffffffffff", "0x-1"}) {
    EXPECT_FALSE(ParseHex0x(bad, &address)) << bad;
  }
}

TEST(ProcText, ScannerStaysWhereItWasWhenSomethingIsMissing) {
  Scanner scanner("12 ab:cd");
  int number = 0;
  std::string_view part;
  EXPECT_FALSE(scanner.Literal("13"));
  EXPECT_FALSE(scanner.Until('#', &part));
  EXPECT_EQ(scanner.rest(), "12 ab:cd");
  EXPECT_TRUE(scanner.WordNumber(&number));
  EXPECT_FALSE(scanner.WordNumber(&number));
  EXPECT_EQ(scanner.rest(), " ab:cd");
  EXPECT_TRUE(scanner.Until(':', &part));
  EXPECT_EQ(part, " ab");
  EXPECT_EQ(scanner.Word(), "cd");
  EXPECT_TRUE(scanner.done());
  EXPECT_EQ(scanner.Word(), "");
}

TEST(ProcText, OctalEscapes) {
  EXPECT_EQ(DecodeOctalEscapes("a\\040b\\134c\\012"), "a b\\c\n");
  EXPECT_EQ(DecodeOctalEscapes("\\377"), "\xff");
  EXPECT_EQ(DecodeOctalEscapes("\\400\\04\\n\\"), "\\400\\04\\n\\");
}

TEST(ProcText, SplitAt) {
  EXPECT_EQ(SplitAt(',', ""), std::vector<std::string>{});
  EXPECT_EQ(SplitAt(',', "a,,b"), (std::vector<std::string>{"a", "", "b"}));
}

TEST(ProcText, StripSuffixAndTrim) {
  std::string_view text = "x (deleted)";
  EXPECT_TRUE(StripSuffix(" (deleted)", &text));
  EXPECT_EQ(text, "x");
  EXPECT_FALSE(StripSuffix(" (deleted)", &text));
  EXPECT_EQ(TrimBlanks("\t a b \t"), "a b");
  EXPECT_EQ(TrimBlanks(" \t "), "");
}

}  // namespace
}  // namespace baton::proc_text
