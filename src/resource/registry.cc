#include <algorithm>
#include <set>

#include "base/check.h"
#include "resource/kind.h"

namespace baton {

// Defined in the generated registry_table.cc.
std::vector<std::unique_ptr<ResourceKind>> MakeAllKinds();

namespace {

// Repeatedly takes the kinds whose dependencies are placed; a cycle is a bug of ours and stops the program at its
// start.
std::vector<std::unique_ptr<ResourceKind>> Sorted(std::vector<std::unique_ptr<ResourceKind>> kinds) {
  std::vector<std::unique_ptr<ResourceKind>> sorted;
  std::set<std::string_view> placed;
  while (!kinds.empty()) {
    const auto ready = std::ranges::find_if(kinds, [&](const auto& kind) {
      return std::ranges::all_of(kind->DependsOn(), [&](std::string_view name) { return placed.contains(name); });
    });
    BATON_CHECK(ready != kinds.end());
    placed.insert((*ready)->Name());
    sorted.push_back(std::move(*ready));
    kinds.erase(ready);
  }
  return sorted;
}

}  // namespace

const std::vector<std::unique_ptr<ResourceKind>>& AllKinds() {
  static const std::vector<std::unique_ptr<ResourceKind>> kinds = Sorted(MakeAllKinds());
  return kinds;
}

const ResourceKind* FindKind(std::string_view name) {
  const auto& kinds = AllKinds();
  const auto found = std::ranges::find(kinds, name, [](const auto& kind) { return kind->Name(); });
  return found == kinds.end() ? nullptr : found->get();
}

}  // namespace baton
