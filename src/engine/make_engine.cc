#include "engine/engine.h"
#include "engine/native/native_engine.h"

namespace baton {

Result<std::unique_ptr<Engine>> MakeEngine(std::string_view name) {
  if (name == "native") return std::make_unique<NativeEngine>();
  return MakeError(ErrorCode::kNotFound, "there is no engine called {} (there is: native)", name);
}

}  // namespace baton
