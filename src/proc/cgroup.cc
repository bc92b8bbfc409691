#include "proc/cgroup.h"

#include "proc/text.h"

namespace baton {

namespace {

bool ParseRow(std::string_view line, ProcCgroup* group) {
  proc_text::Scanner scanner(line);
  std::string_view controllers;
  if (!scanner.Number(&group->hierarchy_id) || !scanner.Literal(":") || !scanner.Until(':', &controllers)) return false;
  group->controllers = proc_text::SplitAt(',', controllers);
  std::string_view path = scanner.rest();
  group->deleted = proc_text::StripSuffix(" (deleted)", &path);
  group->path = path;
  return group->hierarchy_id >= 0 && path.starts_with('/');
}

}  // namespace

Result<std::vector<ProcCgroup>> ParseCgroup(std::string_view text) {
  std::vector<ProcCgroup> groups;
  std::string_view line;
  while (proc_text::NextLine(&text, &line)) {
    if (!ParseRow(line, &groups.emplace_back())) return proc_text::CorruptLine("not a line of cgroup", line);
  }
  return groups;
}

}  // namespace baton
