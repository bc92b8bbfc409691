#include "keeper/paths.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>

namespace baton {
namespace {

std::string Env(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<std::string> FindStateDir(const std::string& flag) {
  if (!flag.empty()) return AbsolutePath(flag);
  if (const std::string set = Env("BATON_STATE_DIR"); !set.empty()) return AbsolutePath(set);
  if (geteuid() == 0) return std::string("/var/lib/baton");
  if (const std::string xdg = Env("XDG_STATE_HOME"); xdg.starts_with('/')) return xdg + "/baton";
  if (const std::string home = Env("HOME"); home.starts_with('/')) return home + "/.local/state/baton";
  return MakeError(ErrorCode::kInvalidArgument,
                   "no place to keep state: HOME is not set; say where with --state-dir or BATON_STATE_DIR");
}

}  // namespace

Result<StatePaths> StatePaths::Find(const std::string& state_dir_flag) {
  StatePaths paths;
  BATON_TRY(paths.state_dir_, FindStateDir(state_dir_flag));
  const std::string runtime = Env("XDG_RUNTIME_DIR");
  const bool chosen_by_hand = !state_dir_flag.empty() || !Env("BATON_STATE_DIR").empty();
  // A state directory of one's own has sockets of its own: equal names in two of them must not meet.
  const bool use_runtime = runtime.starts_with('/') && geteuid() != 0 && !chosen_by_hand;
  paths.socket_dir_ = use_runtime ? runtime + "/baton" : paths.state_dir_ + "/run";
  return paths;
}

Result<> CheckRunName(const std::string& name) {
  constexpr size_t kMaxName = 64;
  const bool plain = std::ranges::all_of(
      name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; });
  if (plain && !name.empty() && name.size() <= kMaxName && name.front() != '.') return {};
  return MakeError(ErrorCode::kInvalidArgument,
                   "'{}' cannot be a name: use letters, digits, '-', '_' and '.', at most {}, no dot in front", name,
                   kMaxName);
}

Result<std::string> AbsolutePath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return ErrnoError(error.value(), "make {} absolute", path);
  std::string normal = absolute.lexically_normal().string();
  if (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

}  // namespace baton
