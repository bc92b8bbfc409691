#include "resource/fanotify/fanotify.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/fanotify.h>

namespace baton {
namespace {

FdInfo InfoOf(std::string text) {
  return ParseFdInfo("pos:\t0\nflags:\t02004002\nmnt_id:\t17\nino:\t1038\n" + std::move(text)).value();
}

template <typename Change>
ErrorCode With(Change change) {
  pb::FanotifyPayload message;
  message.add_marks()->set_path("/");
  message.mutable_marks(0)->set_mask(FAN_MODIFY);
  change(message);
  const auto described = MakeFanotifyKind()->Describe(message.SerializeAsString());
  return described ? ErrorCode::kInternal : described.error().code();
}

TEST(Fanotify, ParsesTheKernelsLines) {
  pb::FanotifyPayload message;
  const auto marks = ParseFanotify(
      InfoOf("fanotify flags:37 event-flags:88000\n"
             "fanotify sdev:fe00000 mflags:0 mask:2 ignored_mask:0\n"
             "fanotify mnt_id:1b mflags:0 mask:20 ignored_mask:0\n"
             "fanotify ino:e66020 sdev:fe00000 mflags:40 mask:0 ignored_mask:20 fhandle-bytes:8 fhandle-type:1 "
             "f_handle:2060e600cb33e115\n"),
      message);
  ASSERT_TRUE(marks);
  ASSERT_EQ(marks->size(), 3U);
  EXPECT_EQ(message.flags(), 0x34U);  // FAN_CLOEXEC and FAN_NONBLOCK are the descriptor's
  EXPECT_EQ(message.event_flags(), 0x88000U);
  EXPECT_EQ((*marks)[0].mark.on(), pb::FanotifyMark::FILE_SYSTEM);
  EXPECT_EQ((*marks)[0].handle.device, 0xfe00000U);
  EXPECT_EQ((*marks)[1].mark.on(), pb::FanotifyMark::MOUNT);
  EXPECT_EQ((*marks)[1].mount_id, 0x1bU);
  EXPECT_EQ((*marks)[1].mark.mask(), 0x20U);
  EXPECT_EQ((*marks)[2].mark.on(), pb::FanotifyMark::INODE);
  EXPECT_EQ((*marks)[2].mark.ignored(), 0x20U);
  EXPECT_EQ((*marks)[2].handle.inode, 0xe66020U);
  EXPECT_EQ((*marks)[2].handle.bytes.size(), 8U);
}

TEST(Fanotify, RefusesOtherLines) {
  for (const char* line :
       {"fanotify mnt_ns:zz mflags:0 mask:2 ignored_mask:0\n", "fanotify ino:1 sdev:1 mflags:0 mask:q\n",
        "fanotify new_kind:1 mask:2\n", "fanotify ino:1 sdev:1 mflags:8000 mask:2 ignored_mask:0\n"}) {
    pb::FanotifyPayload message;
    EXPECT_FALSE(ParseFanotify(InfoOf(line), message)) << line;
  }
}

TEST(Fanotify, RefusesHostilePayloads) {
  EXPECT_EQ(With([](auto&) {}), ErrorCode::kInternal);  // described without an error
  EXPECT_EQ(With([](auto& m) { m.set_file_flags(O_APPEND); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.mutable_marks(0)->set_path("relative"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.mutable_marks(0)->set_mask(FAN_OPEN_PERM); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.mutable_marks(0)->set_mask(0); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.mutable_marks(0)->set_flags(FAN_MARK_REMOVE); }), ErrorCode::kCorrupt);
  EXPECT_FALSE(MakeFanotifyKind()->Describe("\xff\xff\xff"));
}

}  // namespace
}  // namespace baton
