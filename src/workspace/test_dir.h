// For the tests of this folder: a fresh directory that is removed at the end, and short ways to look at files in it.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"

namespace baton {

class TestDir {
 public:
  TestDir() {
    path_ = testing::TempDir() + "/baton-workspace-XXXXXX";
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

inline void Put(const std::string& path, const std::string& content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  const auto written = WriteFile(path, content);
  ASSERT_TRUE(written) << written.error().ToString();
}

// The content, or "<missing>".
inline std::string Get(const std::string& path) { return ReadFile(path).value_or("<missing>"); }

inline struct stat StatOf(const std::string& path) {
  struct stat status{};
  if (lstat(path.c_str(), &status) != 0) ADD_FAILURE() << "no " << path;
  return status;
}

inline int64_t MtimeOf(const std::string& path) {
  const struct stat status = StatOf(path);
  return status.st_mtim.tv_sec * int64_t{1000000000} + status.st_mtim.tv_nsec;
}

inline void FlipByte(const std::string& path, size_t at) {
  std::string content = Get(path);
  ASSERT_LT(at, content.size());
  content[at] = static_cast<char>(content[at] ^ 1);
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace baton
