#include "resource/namespace_file/namespace_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "resource/common/kind_test_util.h"
#include "resource/namespace_file/namespace_file.pb.h"

namespace baton {
namespace {

TEST(NamespaceFile, IsToldByItsNumber) {
  const auto kind = MakeNamespaceFileKind();
  FakeCapture capture;
  for (const char* type : {"ipc", "user", "net"}) {
    const auto file = OpenFile(std::string("/proc/self/ns/") + type, O_RDONLY);
    ASSERT_TRUE(file);
    const FdFacts facts = FactsOfOwn(file->get());
    ASSERT_TRUE(kind->Claims(facts));
    EXPECT_TRUE(kind->Check(facts, capture));
    const auto payload = kind->Capture(facts, capture);
    ASSERT_TRUE(payload);
    EXPECT_EQ(kind->Describe(*payload).value(), std::string("namespace ") + type);
  }
}

TEST(NamespaceFile, AnotherOneIsRefused) {
  const auto file = OpenFile("/proc/self/ns/ipc", O_RDONLY);
  ASSERT_TRUE(file);
  FdFacts facts = FactsOfOwn(file->get());
  facts.status.st_ino += 12345;
  const FakeCapture capture;
  EXPECT_EQ(MakeNamespaceFileKind()->Check(facts, capture).error().code(), ErrorCode::kNotSupported);
}

TEST(NamespaceFile, RefusesHostilePayloads) {
  pb::NamespaceFilePayload message;
  for (const char* type : {"", "../../exe", "new"}) {
    message.set_type(type);
    EXPECT_EQ(MakeNamespaceFileKind()->Describe(message.SerializeAsString()).error().code(), ErrorCode::kCorrupt);
  }
  EXPECT_FALSE(MakeNamespaceFileKind()->Describe("\xff\xff\xff"));
}

}  // namespace
}  // namespace baton
