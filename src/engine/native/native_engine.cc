#include "engine/native/native_engine.h"

#include <algorithm>

#include "engine/native/record_names.h"
#include "engine/native/unit_capture.h"
#include "engine/native/unit_image.h"
#include "engine/native/unit_restore.h"

namespace baton {

Result<std::unique_ptr<UnitCapture>> NativeEngine::BeginCapture(CaptureRequest request) {
  call_memory_.Load();
  return std::make_unique<NativeCapture>(std::move(request), call_memory_);
}

Result<std::unique_ptr<UnitRestore>> NativeEngine::BeginRestore(RestoreRequest request) {
  auto restore = std::make_unique<NativeRestore>(std::move(request), call_memory_);
  BATON_CHECKED(restore->Load());
  return restore;
}

Result<SavedClocks> NativeEngine::ReadClocks(const ImageReader& image) {
  for (const Record& record : image.records()) {
    if (record.kind != kUnitRecord) continue;
    pb::UnitRecord unit;
    if (!unit.ParseFromString(record.payload)) return MakeError(ErrorCode::kCorrupt, "the unit record does not parse");
    return SavedClocks{unit.monotonic_ns(), unit.boottime_ns(), unit.realtime_ns()};
  }
  return MakeError(ErrorCode::kCorrupt, "the image has no unit record");
}

Result<UnitSummary> NativeEngine::ReadSummary(const ImageReader& image) {
  BATON_TRY(const UnitImage unit, LoadUnitImage(image));
  UnitSummary summary{.root_pid = static_cast<pid_t>(unit.unit.root_pid()),
                      .capsule = unit.unit.capsule(),
                      .numbers = {},
                      .externals = {}};
  for (const pb::ProcessRecord& process : unit.processes) {
    summary.numbers.push_back(process.pid());
    for (const pb::ThreadRecord& thread : process.threads()) {
      if (thread.tid() != process.pid()) summary.numbers.push_back(thread.tid());
    }
  }
  for (const pb::OpenFileRecord& file : unit.files) {
    const bool known = std::ranges::find(summary.externals, file.external()) != summary.externals.end();
    if (!file.external().empty() && !known) summary.externals.push_back(file.external());
  }
  return summary;
}

}  // namespace baton
