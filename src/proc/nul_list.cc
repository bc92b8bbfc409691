#include "proc/nul_list.h"

namespace baton {

std::vector<std::string> SplitNulList(std::string_view bytes) {
  std::vector<std::string> strings;
  while (!bytes.empty()) {
    const size_t end = bytes.find('\0');
    strings.emplace_back(bytes.substr(0, end));
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
  }
  return strings;
}

}  // namespace baton
