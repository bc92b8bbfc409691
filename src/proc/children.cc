#include "proc/children.h"

#include "proc/text.h"

namespace baton {

Result<std::vector<pid_t>> ParseChildren(std::string_view text) {
  std::vector<pid_t> children;
  proc_text::Scanner scanner(text);
  for (auto word = scanner.Word(); !word.empty(); word = scanner.Word()) {
    // Nobody may come to kill(2) process 0 or -1.
    if (!proc_text::ParseNumber(word, &children.emplace_back()) || children.back() <= 0) {
      return proc_text::CorruptLine("not a list of process numbers", text);
    }
  }
  return children;
}

}  // namespace baton
