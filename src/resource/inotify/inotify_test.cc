#include "resource/inotify/inotify.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test_dir.h"
#include "resource/common/kind_test_util.h"
#include "resource/inotify/inotify.pb.h"
#include "resource/inotify/watches.h"

namespace baton {
namespace {

FdInfo InfoOf(std::string text) {
  return ParseFdInfo("pos:\t0\nflags:\t02004000\nmnt_id:\t16\nino:\t2063\n" + std::move(text)).value();
}

class InotifyTest : public testing::Test {
 protected:
  InotifyTest() : inotify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}
  int Watch(const std::string& path) { return inotify_add_watch(inotify_.get(), path.c_str(), IN_CREATE | IN_MODIFY); }
  pb::InotifyPayload Captured() {
    const auto payload = kind_->Capture(capture_.unit.front(), capture_);
    pb::InotifyPayload message;
    EXPECT_TRUE(payload && message.ParseFromString(*payload));
    EXPECT_TRUE(kind_->Describe(*payload));
    return message;
  }
  template <typename Change>
  ErrorCode With(Change change) {
    pb::InotifyPayload message;
    message.add_watches()->set_number(1);
    message.mutable_watches(0)->set_path("/");
    change(message);
    const auto described = kind_->Describe(message.SerializeAsString());
    return described ? ErrorCode::kInternal : described.error().code();
  }

  std::unique_ptr<ResourceKind> kind_ = MakeInotifyKind();
  FakeCapture capture_;
  UniqueFd inotify_;
  TestDir directory_;
};

TEST_F(InotifyTest, FindsWhatIsOpen) {
  const auto file = OpenFile(directory_ / "file", O_RDWR | O_CREAT);
  ASSERT_TRUE(file);
  const int of_file = Watch(directory_ / "file");
  const int of_directory = Watch(directory_.path());  // beside an open file
  capture_.unit = {FactsOfOwn(inotify_.get(), 1), FactsOfOwn(file->get(), 2)};
  ASSERT_TRUE(kind_->Claims(capture_.unit[0]));
  const auto message = Captured();
  ASSERT_EQ(message.watches_size(), 2);
  EXPECT_EQ(message.watches(0).number(), of_file);
  EXPECT_EQ(message.watches(0).path(), directory_ / "file");
  EXPECT_EQ(message.watches(1).number(), of_directory);
  EXPECT_EQ(message.watches(1).path(), directory_.path());
  EXPECT_EQ(message.watches(1).mask(), static_cast<uint32_t>(IN_CREATE | IN_MODIFY));
  EXPECT_FALSE(message.events_lost());
}

TEST_F(InotifyTest, NotesEventsThatWait) {
  const auto file = OpenFile(directory_ / "file", O_RDWR | O_CREAT);
  ASSERT_TRUE(file);
  Watch(directory_ / "file");
  ASSERT_TRUE(WriteAll(file->get(), "x"));
  capture_.unit = {FactsOfOwn(inotify_.get(), 1), FactsOfOwn(file->get(), 2)};
  EXPECT_TRUE(Captured().events_lost());
}

TEST_F(InotifyTest, ParsesTheKernelsLines) {
  const auto watches = ParseInotify(InfoOf(
      "inotify wd:3 ino:3c6673 sdev:15 mask:2 ignored_mask:0 fhandle-bytes:c fhandle-type:81 f_handle:73663c0000\n"
      "inotify wd:2 ino:a721d3 sdev:fe00000 mask:80000100 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 "
      "f_handle:d321a7006c887059\n"));
  ASSERT_TRUE(watches);
  ASSERT_EQ(watches->size(), 2U);
  EXPECT_EQ((*watches)[0].number, 2);
  EXPECT_EQ((*watches)[0].mask, 0x80000100U);
  EXPECT_EQ((*watches)[0].handle.inode, 0xa721d3U);
  EXPECT_EQ((*watches)[0].handle.bytes, (std::vector<uint8_t>{0xd3, 0x21, 0xa7, 0, 0x6c, 0x88, 0x70, 0x59}));
  EXPECT_EQ((*watches)[1].number, 3);
}

TEST_F(InotifyTest, RefusesOtherLines) {
  for (const char* line : {"inotify wd:zz ino:1 sdev:1 mask:2\n", "inotify wd:0 ino:1 sdev:1 mask:2\n",
                           "inotify wd:1 ino:1 sdev:1 mask:2 f_handle:xy\n"}) {
    const auto watches = ParseInotify(InfoOf(line));
    ASSERT_FALSE(watches) << line;
    EXPECT_EQ(watches.error().code(), ErrorCode::kCorrupt);
  }
}

TEST_F(InotifyTest, RefusesHostilePayloads) {
  EXPECT_EQ(With([](auto&) {}), ErrorCode::kInternal);  // described without an error
  EXPECT_EQ(With([](auto& m) { m.set_flags(O_APPEND); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.mutable_watches(0)->set_number(0); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.mutable_watches(0)->set_path("relative"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.mutable_watches(0)->set_open_file(2); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { *m.add_watches() = m.watches(0); }), ErrorCode::kCorrupt);  // one number twice
  EXPECT_EQ(With([](auto& m) { m.mutable_owner()->set_id(4); }), ErrorCode::kCorrupt);
  EXPECT_FALSE(kind_->Describe("\xff\xff\xff"));
}

}  // namespace
}  // namespace baton
