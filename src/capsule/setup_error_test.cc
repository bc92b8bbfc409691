#include "capsule/setup_error.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "base/test_dir.h"
#include "capsule/namespaces.h"

namespace baton {
namespace {

using ::testing::Test;

class SetupError : public Test {
 protected:
  SetupError() {
    std::filesystem::create_directories(root_ / "user");
    std::filesystem::create_directories(root_ / "kernel");
  }

  void Set(const std::string& name, const std::string& value) { ASSERT_TRUE(WriteFile(root_ / name, value)); }
  std::string Explain(SetupStep step, int saved_errno) {
    const Error error = ExplainSetupFailure(
        {.step = step, .saved_errno = saved_errno, .detail = "", .user_namespace = true}, root_.path());
    EXPECT_EQ(error.code(), ErrorCode::kNotSupported);
    return error.ToString();
  }
  TestDir root_;
};

TEST_F(SetupError, NamesTheLimitThatIsZero) {
  Set("user/max_user_namespaces", "0\n");
  const std::string text = Explain(SetupStep::kUserNamespace, ENOSPC);
  EXPECT_NE(text.find("user.max_user_namespaces to 10000"), std::string::npos) << text;
}

TEST_F(SetupError, NamesDebiansSwitch) {
  Set("user/max_user_namespaces", "1000\n");
  Set("kernel/unprivileged_userns_clone", "0\n");
  const std::string text = Explain(SetupStep::kUserNamespace, EPERM);
  EXPECT_NE(text.find("kernel.unprivileged_userns_clone to 1"), std::string::npos) << text;
}

TEST_F(SetupError, NamesAppArmorWhereverItStrikes) {
  Set("kernel/apparmor_restrict_unprivileged_userns", "1\n");
  for (const SetupStep step : {SetupStep::kUserNamespace, SetupStep::kIdMaps, SetupStep::kNamespaces}) {
    const std::string text = Explain(step, EPERM);
    EXPECT_NE(text.find("kernel.apparmor_restrict_unprivileged_userns to 0"), std::string::npos) << text;
  }
}

TEST_F(SetupError, SuspectsSeccompWhenNoSettingForbids) {
  const std::string text = Explain(SetupStep::kUserNamespace, EPERM);
  EXPECT_NE(text.find("seccomp"), std::string::npos) << text;
}

TEST_F(SetupError, SaysWhenProcIsCovered) {
  const std::string text = Explain(SetupStep::kProc, EPERM);
  EXPECT_NE(text.find("unmask=/proc/*"), std::string::npos) << text;
}

TEST_F(SetupError, SaysWhatToDoAboutAMissingDirectory) {
  const std::string text = Explain(SetupStep::kBind, EACCES);
  EXPECT_NE(text.find("mkdir -p"), std::string::npos) << text;
}

TEST_F(SetupError, WithoutAdviceItIsAnIoError) {
  const Error error =
      ExplainSetupFailure({.step = SetupStep::kForkInit, .saved_errno = EAGAIN, .detail = ""}, root_.path());
  EXPECT_EQ(error.code(), ErrorCode::kIo);
  EXPECT_EQ(error.ToString(), "cannot start the capsule's init: Resource temporarily unavailable");
}

TEST(ClockOffsets, NanosecondsAreNeverNegative) {
  EXPECT_EQ(ClockOffsetsText(0, 0), "monotonic 0 0\nboottime 0 0\n");
  EXPECT_EQ(ClockOffsetsText(1'500'000'000, -1), "monotonic 1 500000000\nboottime -1 999999999\n");
  EXPECT_EQ(ClockOffsetsText(-2'000'000'000, -2'500'000'000), "monotonic -2 0\nboottime -3 500000000\n");
}

}  // namespace
}  // namespace baton
