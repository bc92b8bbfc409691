#include "resource/path_only/path_only.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "resource/common/kind_test_util.h"
#include "resource/path_only/path_only.pb.h"

namespace baton {
namespace {

class PathOnlyTest : public testing::Test {
 protected:
  ErrorCode CodeOf(const pb::PathOnlyPayload& message) {
    const auto described = kind_->Describe(message.SerializeAsString());
    return described ? ErrorCode::kInternal : described.error().code();
  }
  template <typename Change>
  ErrorCode With(Change change) {
    pb::PathOnlyPayload message;
    message.set_path("/dev/null");
    message.set_mode(S_IFCHR);
    message.set_flags(O_PATH);
    change(message);
    return CodeOf(message);
  }
  std::unique_ptr<ResourceKind> kind_ = MakePathOnlyKind();
  FakeCapture capture_;
};

TEST_F(PathOnlyTest, ClaimsNamesOfSpecialFilesOnly) {
  const auto named = OpenFile("/dev/null", O_PATH);
  const auto opened = OpenFile("/dev/null", O_RDWR);
  const auto directory = OpenFile("/", O_PATH);
  ASSERT_TRUE(named && opened && directory);
  EXPECT_TRUE(kind_->Claims(FactsOfOwn(named->get())));
  EXPECT_FALSE(kind_->Claims(FactsOfOwn(opened->get())));
  EXPECT_FALSE(kind_->Claims(FactsOfOwn(directory->get())));
}

TEST_F(PathOnlyTest, SavesTheName) {
  const auto named = OpenFile("/dev/null", O_PATH);
  ASSERT_TRUE(named);
  capture_.unit = {FactsOfOwn(named->get())};
  ASSERT_TRUE(kind_->Check(capture_.unit[0], capture_));
  const auto payload = kind_->Capture(capture_.unit[0], capture_);
  ASSERT_TRUE(payload);
  EXPECT_EQ(*kind_->Describe(*payload), "name of /dev/null");
}

TEST_F(PathOnlyTest, RefusesALostName) {
  const std::string path = testing::TempDir() + "path_only_test." + std::to_string(getpid());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const auto named = OpenFile(path, O_PATH);
  unlink(path.c_str());
  ASSERT_TRUE(named);
  capture_.unit = {FactsOfOwn(named->get())};
  const auto checked = kind_->Check(capture_.unit[0], capture_);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kNotSupported);
}

TEST_F(PathOnlyTest, RefusesHostilePayloads) {
  EXPECT_EQ(With([](auto&) {}), ErrorCode::kInternal);  // described without an error
  EXPECT_EQ(With([](auto& m) { m.set_path("dev/null"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_path(std::string("/a\0b", 4)); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_mode(S_IFREG); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_flags(O_RDWR); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_flags(O_PATH | O_CREAT); }), ErrorCode::kCorrupt);
  EXPECT_FALSE(kind_->Describe("\xff\xff\xff"));
}

}  // namespace
}  // namespace baton
