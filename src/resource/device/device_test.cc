#include "resource/device/device.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "resource/common/kind_test_util.h"
#include "resource/device/device.pb.h"

namespace baton {
namespace {

class DeviceTest : public testing::Test {
 protected:
  static FdFacts Facts(const std::string& path, int flags = O_RDWR) {
    const auto fd = OpenFile(path, flags);
    return FactsOfOwn(fd.value().get());
  }
  static FdFacts FactsOfNumber(mode_t type, unsigned major_number, unsigned minor_number) {
    FdFacts facts = Facts("/dev/null");
    facts.status.st_mode = type | 0600;
    facts.status.st_rdev = makedev(major_number, minor_number);
    return facts;
  }
  void ExpectRefused(const FdFacts& facts, const std::string& part) {
    EXPECT_TRUE(kind_->Claims(facts));
    const auto checked = kind_->Check(facts, capture_);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code(), ErrorCode::kNotSupported);
    EXPECT_THAT(checked.error().ToString(), testing::HasSubstr(part));
  }

  std::unique_ptr<ResourceKind> kind_ = MakeDeviceKind();
  FakeCapture capture_;
};

TEST_F(DeviceTest, KnowsTheDevicesWithoutState) {
  for (const std::string name : {"null", "zero", "full", "random", "urandom"}) {
    const FdFacts facts = Facts("/dev/" + name, O_RDONLY | O_NONBLOCK);
    EXPECT_TRUE(kind_->Claims(facts));
    EXPECT_TRUE(kind_->Check(facts, capture_));
    const auto payload = kind_->Capture(facts, capture_);
    ASSERT_TRUE(payload) << payload.error().ToString();
    pb::DevicePayload message;
    ASSERT_TRUE(message.ParseFromString(*payload));
    EXPECT_EQ(message.name(), name);
    EXPECT_EQ(message.flags() & O_NONBLOCK, static_cast<unsigned>(O_NONBLOCK));
    EXPECT_EQ(message.flags() & O_CLOEXEC, 0U);
    EXPECT_EQ(*kind_->Describe(*payload), "device /dev/" + name);
  }
}

TEST_F(DeviceTest, LeavesFilesAndPipesAlone) { EXPECT_FALSE(kind_->Claims(Facts("/tmp", O_RDONLY))); }

TEST_F(DeviceTest, LeavesTerminalsToTheirOwnKind) {
  for (const auto& [number, index] : {std::pair{136U, 0U}, {5U, 0U}, {5U, 2U}, {4U, 1U}}) {
    EXPECT_FALSE(kind_->Claims(FactsOfNumber(S_IFCHR, number, index)));
  }
}

TEST_F(DeviceTest, RefusesOtherDevicesByNumber) {
  ExpectRefused(FactsOfNumber(S_IFCHR, 1, 11), "device (1:11)");
  ExpectRefused(FactsOfNumber(S_IFCHR, 10, 229), "device (10:229)");
  ExpectRefused(FactsOfNumber(S_IFBLK, 1, 3), "block device (1:3)");
}

TEST_F(DeviceTest, RefusesHostilePayloads) {
  pb::DevicePayload other;
  other.set_name("../etc/passwd");
  pb::DevicePayload creating;
  creating.set_name("null");
  creating.set_flags(O_CREAT);
  for (const std::string& payload :
       {other.SerializeAsString(), creating.SerializeAsString(), std::string("\xff\xff"), std::string()}) {
    const auto described = kind_->Describe(payload);
    ASSERT_FALSE(described);
    EXPECT_EQ(described.error().code(), ErrorCode::kCorrupt);
  }
}

}  // namespace
}  // namespace baton
