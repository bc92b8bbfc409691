#include "proc/fdinfo.h"

#include "proc/text.h"

namespace baton {

namespace {

using proc_text::CorruptLine;
using proc_text::ParseNumber;
using proc_text::Scanner;
using proc_text::TrimBlanks;

bool ParsePosition(std::string_view text, uint64_t* pos) {
  if (!text.starts_with('-')) return ParseNumber(text, pos);
  int64_t negative = 0;
  if (!ParseNumber(text, &negative)) return false;
  *pos = static_cast<uint64_t>(negative);
  return true;
}

// The four common lines, each at most once and before all others (a kind may reuse the names further down: epoll's rows
// have a pos and an ino of their own).
class CommonLines {
 public:
  // Whether the line was one of the four; its value is `good` or not.
  bool Take(std::string_view key, std::string_view value, FdInfo* info, bool* good) {
    if (key == "pos" && Once(kPos)) return *good = ParsePosition(value, &info->pos), true;
    if (key == "flags" && Once(kFlags)) return *good = ParseNumber(value, &info->flags, 8), true;
    if (key == "mnt_id" && Once(kMntId)) return *good = ParseNumber(value, &info->mnt_id), true;
    if (key == "ino" && Once(kIno)) return *good = ParseNumber(value, &info->ino), true;
    return false;
  }
  bool complete() const { return (seen_ & kRequired) == kRequired; }

 private:
  static constexpr unsigned kPos = 1, kFlags = 2, kMntId = 4, kIno = 8, kRequired = kPos | kFlags | kMntId;

  bool Once(unsigned line) {
    if ((seen_ & line) != 0) return false;
    seen_ |= line;
    return true;
  }

  unsigned seen_ = 0;
};

}  // namespace

const std::string* FdInfo::Find(std::string_view key) const {
  for (const auto& [own, value] : fields) {
    if (own == key) return &value;
  }
  return nullptr;
}

std::vector<std::string_view> FdInfo::FindAll(std::string_view key) const {
  std::vector<std::string_view> values;
  for (const auto& [own, value] : fields) {
    if (own == key) values.emplace_back(value);
  }
  return values;
}

Result<FdInfo> ParseFdInfo(std::string_view text) {
  FdInfo info;
  CommonLines common;
  const std::string_view whole = text;
  std::string_view line;
  while (proc_text::NextLine(&text, &line)) {
    Scanner scanner(line);
    std::string_view key;
    const bool has_colon = scanner.Until(':', &key);
    key = has_colon ? TrimBlanks(key) : std::string_view();
    const std::string_view value = TrimBlanks(scanner.rest());
    bool good = true;
    if (!common.Take(key, value, &info, &good)) info.fields.emplace_back(key, value);
    if (!good) return CorruptLine("bad value in fdinfo", line);
  }
  if (!common.complete()) return CorruptLine("fdinfo without pos, flags or mnt_id", whole);
  return info;
}

Result<std::vector<FdInfo::Field>> SplitFdInfoField(const FdInfo::Field& field) {
  std::vector<FdInfo::Field> parts;
  Scanner scanner(field.second);
  std::string_view key = field.first;
  while (true) {
    parts.emplace_back(key, scanner.Word());
    scanner.SkipBlanks();
    if (scanner.done()) return parts;
    if (!scanner.Until(':', &key) || key.empty()) return CorruptLine("not \"name:value\" pairs", field.second);
    key = TrimBlanks(key);
  }
}

}  // namespace baton
