// For the tests of this folder: short ways to make files and to look at them.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"
#include "base/test_dir.h"

namespace baton {

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
