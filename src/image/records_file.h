// The file "records" (docs/formats/image.md). Thread-safety: free functions without state.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/format.h"

namespace baton {

// The first bytes of the file, with room for the count.
std::string BeginRecords();
void AppendRecord(std::string& file, const Record& record);
void EndRecords(std::string& file, uint32_t count);

// kCorrupt for anything but exactly what the above make.
Result<std::vector<Record>> ParseRecords(std::string_view file);

}  // namespace baton
