#include "fuzz_target.h"
#include "proc/swaps.h"

namespace baton {

Result<> FuzzOne(std::string_view input) { return Outcome(ParseSwapsAny(input)); }

}  // namespace baton
