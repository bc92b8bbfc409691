#include "image/format.h"

#include <fmt/format.h>

namespace baton {

std::string SegmentFileName(size_t index) { return fmt::format("pages.{:04}", index); }

}  // namespace baton
