#include "proc/timens_offsets.h"

#include "proc/text.h"

namespace baton {

namespace {

using proc_text::CorruptLine;

bool ParseOffset(proc_text::Scanner* scanner, TimensOffset* offset) {
  constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
  return scanner->WordNumber(&offset->seconds) && scanner->WordNumber(&offset->nanoseconds) && scanner->done() &&
         offset->nanoseconds >= 0 && offset->nanoseconds < kNanosecondsPerSecond;
}

}  // namespace

Result<TimensOffsets> ParseTimensOffsets(std::string_view text) {
  if (text.empty()) return MakeError(ErrorCode::kNotFound, "no time namespace any more: the process has ended");
  TimensOffsets offsets;
  bool has_monotonic = false;
  bool has_boottime = false;
  std::string_view line;
  while (proc_text::NextLine(&text, &line)) {
    proc_text::Scanner scanner(line);
    // Linux 5.6 wrote the clocks' numbers, CLOCK_MONOTONIC and CLOCK_BOOTTIME; later ones write names.
    const std::string_view clock = scanner.Word();
    const bool monotonic = clock == "monotonic" || clock == "1";
    const bool boottime = clock == "boottime" || clock == "7";
    if (!monotonic && !boottime) return CorruptLine("unknown clock in timens_offsets", line);
    if (!ParseOffset(&scanner, monotonic ? &offsets.monotonic : &offsets.boottime)) {
      return CorruptLine("not a clock's offset", line);
    }
    has_monotonic |= monotonic;
    has_boottime |= boottime;
  }
  if (!has_monotonic || !has_boottime) return MakeError(ErrorCode::kCorrupt, "timens_offsets lacks a clock's line");
  return offsets;
}

}  // namespace baton
