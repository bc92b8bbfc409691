#include "keeper/path_map.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "keeper/paths.h"
#include "keeper/workspace_plan.h"

namespace baton {

Result<CapsuleBind> ParsePathMap(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || !text.starts_with('/') || equals + 1 == text.size()) {
    return MakeError(ErrorCode::kInvalidArgument, "--map-path {}: give OLD=NEW, with an absolute OLD", text);
  }
  CapsuleBind map;
  BATON_TRY(map.to, AbsolutePath(text.substr(0, equals)));
  BATON_TRY(map.from, AbsolutePath(text.substr(equals + 1)));
  struct stat status{};
  const int looked = stat(map.from.c_str(), &status);
  if (const int error = errno; looked != 0) return ErrnoError(error, "--map-path: {}", map.from);
  if (S_ISDIR(status.st_mode)) return map;
  const bool is_file = stat(map.to.c_str(), &status) == 0 && !S_ISDIR(status.st_mode);
  if (is_file) return map;
  return MakeError(ErrorCode::kNotFound,
                   "--map-path: {} is a file, and so must {} be, which is not there: map a directory instead", map.from,
                   map.to);
}

Result<std::vector<CapsuleBind>> ParsePathMaps(const std::vector<std::string>& texts) {
  std::vector<CapsuleBind> maps;
  for (const std::string& text : texts) {
    BATON_TRY(CapsuleBind map, ParsePathMap(text));
    maps.push_back(std::move(map));
  }
  return maps;
}

Result<> CheckPathMaps(const pb::JobSpec& spec, const std::vector<CapsuleBind>& maps) {
  if (spec.files() != pb::JobSpec::WORK) return {};
  std::vector<std::string> places{spec.workdir()};
  places.insert(places.end(), spec.keep().begin(), spec.keep().end());
  for (const CapsuleBind& map : maps) {
    for (const std::string& place : places) {
      if (!IsBelow(place, map.to) && !IsBelow(map.to, place)) continue;
      return MakeError(ErrorCode::kInvalidArgument, "--map-path {}: that is in the job's workspace {} (see --workdir)",
                       map.to, place);
    }
  }
  return {};
}

}  // namespace baton
