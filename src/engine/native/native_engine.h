// The native engine: rootless, from outside, by remote system calls (docs/ARCHITECTURE.md).
#pragma once

#include "engine/engine.h"
#include "engine/native/call_memory.h"

namespace baton {

class NativeEngine : public Engine {
 public:
  std::string_view Name() const override { return "native"; }
  Result<std::unique_ptr<UnitCapture>> BeginCapture(CaptureRequest request) override;
  Result<std::unique_ptr<UnitRestore>> BeginRestore(RestoreRequest request) override;
  Result<SavedClocks> ReadClocks(const ImageReader& image) override;
  Result<UnitSummary> ReadSummary(const ImageReader& image) override;

 private:
  CallMemory call_memory_{CallMemory::DefaultPath()};
};

}  // namespace baton
