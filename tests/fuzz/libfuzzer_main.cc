// The entry point that libFuzzer calls.
#include <cstdint>

#include "fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  baton::CheckAnswer(baton::FuzzOne({reinterpret_cast<const char*>(data), size}));
  return 0;
}
