#include "controller/store_tidier.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/test_dir.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

class Tidying : public testing::Test {
 protected:
  void Make(const std::string& name) const {
    fs::create_directories(root_ / name);
    std::ofstream(root_ / name + "/file") << "content";
  }
  bool Has(const std::string& name) const { return fs::exists(root_ / name); }
  void Tidy(const StoreNeeds& needs) const {
    StoreTidier tidier(root_.path(), [needs] { return needs; });
    tidier.TidyOnce();
  }

  TestDir root_;
};

TEST_F(Tidying, KeepsWhatIsNeededAndWhatItDoesNotKnow) {
  for (const char* name : {"1.1", "1.2", "1.3", "1.4", "9.1", "other", "results/1.2", "results/1.3",
                           "results/1.3.partial", "results/1.2.partial", "inputs/a", "inputs/b", "logs"}) {
    Make(name);
  }
  for (const char* name : {"logs/1.2", "logs/1.2.start", "logs/1.3", "logs/1.3.start", ".lock-1.1", ".lock-1.2"}) {
    std::ofstream(root_ / name) << "x";
  }
  fs::last_write_time(root_ / "inputs/a", fs::file_time_type::clock::now() - std::chrono::hours(25));
  Tidy({.newest = {{1, 3}}, .checkpoints = {{1, 2}}, .logs = {{1, 3}}, .results = {{1, 3}}, .inputs = {}});
  for (const char* kept : {"1.2", "1.4", "9.1", "other", "results/1.3", "results/1.3.partial", "inputs/b", "logs/1.3",
                           "logs/1.3.start", ".lock-1.2"}) {
    EXPECT_TRUE(Has(kept)) << kept;
  }
  for (const char* gone :
       {"1.1", "1.3", "results/1.2", "results/1.2.partial", "inputs/a", "logs/1.2", "logs/1.2.start", ".lock-1.1"}) {
    EXPECT_FALSE(Has(gone)) << gone;
  }
}

TEST_F(Tidying, AnInputThatIsNeededStaysHoweverOldItIs) {
  Make("inputs/a");
  fs::last_write_time(root_ / "inputs/a", fs::file_time_type::clock::now() - std::chrono::hours(25));
  Tidy({.inputs = {"a"}});
  EXPECT_TRUE(Has("inputs/a"));
}

}  // namespace
}  // namespace baton
