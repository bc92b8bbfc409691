#include "pool/wire/pool_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace baton {

std::string UnitName(const pool::UnitKey& unit) { return fmt::format("{}.{}", unit.job, unit.epoch); }

std::optional<pool::UnitKey> ParseUnitName(std::string_view name) {
  pool::UnitKey unit;
  const char* const end = name.data() + name.size();
  const auto job = std::from_chars(name.data(), end, unit.job);
  if (job.ec != std::errc() || job.ptr == end || *job.ptr != '.') return std::nullopt;
  const auto epoch = std::from_chars(job.ptr + 1, end, unit.epoch);
  if (epoch.ec != std::errc() || epoch.ptr != end || UnitName(unit) != name) return std::nullopt;
  return unit;
}

bool IsInputName(std::string_view name) {
  constexpr size_t kMaxName = 64;
  const auto is_good = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  return !name.empty() && name.size() <= kMaxName && std::ranges::all_of(name, is_good);
}

}  // namespace baton
