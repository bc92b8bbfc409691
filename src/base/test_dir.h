// For tests: a fresh directory of their own that is removed at the end.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace baton {

class TestDir {
 public:
  TestDir() {
    path_ = testing::TempDir() + "baton-test-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "mkdtemp " << path_;
  }
  TestDir(const TestDir&) = delete;
  TestDir& operator=(const TestDir&) = delete;
  ~TestDir() { RemoveAll(path_); }

  // Also what an ordinary user made read-only.
  static void RemoveAll(const std::string& path) {
    std::error_code ignored;
    for (const auto& item : std::filesystem::recursive_directory_iterator(path, ignored)) {
      if (item.is_directory(ignored) && !item.is_symlink(ignored)) {
        std::filesystem::permissions(item.path(), std::filesystem::perms::owner_all, std::filesystem::perm_options::add,
                                     ignored);
      }
    }
    std::filesystem::remove_all(path, ignored);
  }

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace baton
