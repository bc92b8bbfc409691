#include "resource/inotify/watches.h"

#include <algorithm>

#include "resource/common/payload.h"

namespace baton {
namespace {

Result<SeenWatch> ParseWatch(const FdInfo::Field& field) {
  BATON_TRY(const auto parts, SplitFdInfoField(field));
  SeenWatch watch;
  for (const FdInfo::Field& part : parts) {
    const auto& [key, value] = part;
    if (key == "inotify wd") {
      BATON_TRY(watch.number, ParseFdInfoNumber<int>(key, value, 16));
    } else if (key == "mask") {
      BATON_TRY(watch.mask, ParseFdInfoNumber<uint32_t>(key, value, 16));
    } else {
      BATON_CHECKED(ReadHandleField(part, watch.handle));
    }
  }
  return watch;
}

}  // namespace

Result<std::vector<SeenWatch>> ParseInotify(const FdInfo& info) {
  std::vector<SeenWatch> watches;
  for (const FdInfo::Field& field : info.fields) {
    if (field.first != "inotify wd") continue;
    BATON_TRY(SeenWatch watch, ParseWatch(field));
    if (watch.number <= 0) return MakeError(ErrorCode::kCorrupt, "fdinfo: inotify watch \"{}\"", field.second);
    watches.push_back(std::move(watch));
  }
  std::ranges::sort(watches, {}, &SeenWatch::number);
  return watches;
}

}  // namespace baton
