#include "engine/native/native_engine.h"

#include "engine/native/record_names.h"
#include "engine/native/unit_capture.h"
#include "engine/native/unit_restore.h"

namespace baton {

Result<std::unique_ptr<UnitCapture>> NativeEngine::BeginCapture(CaptureRequest request) {
  return std::make_unique<NativeCapture>(std::move(request), call_memory_);
}

Result<std::unique_ptr<UnitRestore>> NativeEngine::BeginRestore(RestoreRequest request) {
  auto restore = std::make_unique<NativeRestore>(std::move(request));
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

}  // namespace baton
