#include "workspace/host_files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "workspace/test_files.h"

namespace baton {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class HostFilesTest : public testing::Test {
 protected:
  // A record of the file "log" of 5 bytes.
  pb::HostFiles RecordOf(bool append_only) {
    Put(log_, "hello");
    auto record = RecordHostFiles({{.path = log_, .append_only = append_only}});
    if (!record) ADD_FAILURE() << record.error().ToString();
    return record.value_or(pb::HostFiles{});
  }

  void Append(const std::string& text) { std::ofstream(log_, std::ios::app) << text; }

  static std::string CheckError(const pb::HostFiles& record, ChangedFiles mode, bool from_pid = false) {
    const auto checked = CheckHostFiles(record, mode, from_pid);
    if (checked) return "accepted";
    EXPECT_EQ(checked.error().code(), ErrorCode::kConflict);
    return checked.error().ToString();
  }

  TestDir dir_;
  std::string log_ = dir_ / "log";
};

TEST_F(HostFilesTest, OwnAppendedFileIsCutBack) {
  const pb::HostFiles record = RecordOf(true);
  Append(" world");
  const auto report = CheckHostFiles(record, ChangedFiles::kError, false);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_THAT(report->cut, ElementsAre(log_));
  EXPECT_EQ(Get(log_), "hello");
}

TEST_F(HostFilesTest, OtherGrowthIsAnErrorUnlessAsked) {
  const pb::HostFiles record = RecordOf(false);
  Append(" world");
  EXPECT_THAT(CheckError(record, ChangedFiles::kError), HasSubstr(log_ + " grew from 5 to 11 bytes"));
  EXPECT_THAT(CheckError(record, ChangedFiles::kError), HasSubstr("--files=truncate"));
  EXPECT_EQ(Get(log_), "hello world");
  EXPECT_EQ(CheckError(record, ChangedFiles::kIgnore), "accepted");
  EXPECT_EQ(Get(log_), "hello world");
  EXPECT_EQ(CheckError(record, ChangedFiles::kTruncate), "accepted");
  EXPECT_EQ(Get(log_), "hello");
}

TEST_F(HostFilesTest, NothingOfAForeignTreeIsCutUnlessAsked) {
  const pb::HostFiles record = RecordOf(true);
  Append(" world");
  EXPECT_THAT(CheckError(record, ChangedFiles::kError, /*from_pid=*/true), HasSubstr("grew"));
  EXPECT_EQ(Get(log_), "hello world");
  EXPECT_EQ(CheckError(record, ChangedFiles::kTruncate, /*from_pid=*/true), "accepted");
  EXPECT_EQ(Get(log_), "hello");
}

TEST_F(HostFilesTest, UnchangedIsFine) {
  const pb::HostFiles record = RecordOf(false);
  const auto report = CheckHostFiles(record, ChangedFiles::kError, false);
  ASSERT_TRUE(report);
  EXPECT_THAT(report->cut, IsEmpty());
  EXPECT_THAT(report->notes, IsEmpty());
}

TEST_F(HostFilesTest, ShorterOrMissingOnlyWithIgnore) {
  const pb::HostFiles record = RecordOf(true);
  Put(log_, "hel");
  EXPECT_THAT(CheckError(record, ChangedFiles::kError), HasSubstr("was 5 bytes and has 3 now"));
  EXPECT_THAT(CheckError(record, ChangedFiles::kTruncate), HasSubstr("was 5 bytes and has 3 now"));
  std::filesystem::remove(log_);
  EXPECT_THAT(CheckError(record, ChangedFiles::kTruncate), HasSubstr("is missing"));
  EXPECT_EQ(CheckError(record, ChangedFiles::kIgnore), "accepted");
}

TEST_F(HostFilesTest, AnotherFileOrTimeIsAcceptedWithTruncate) {
  const pb::HostFiles record = RecordOf(true);
  Put(dir_ / "other", "HELLO");
  std::filesystem::rename(dir_ / "other", log_);
  EXPECT_THAT(CheckError(record, ChangedFiles::kError), HasSubstr("another file"));
  const auto report = CheckHostFiles(record, ChangedFiles::kTruncate, false);
  ASSERT_TRUE(report);
  EXPECT_THAT(report->notes, ElementsAre(HasSubstr("another file")));
  EXPECT_EQ(Get(log_), "HELLO");
  pb::HostFiles rewritten = RecordOf(true);
  rewritten.mutable_files(0)->set_mtime_ns(1);
  EXPECT_THAT(CheckError(rewritten, ChangedFiles::kError), HasSubstr("written to"));
}

TEST_F(HostFilesTest, ALinkInItsPlaceIsNotFollowed) {
  const pb::HostFiles record = RecordOf(true);
  std::filesystem::remove(log_);
  Put(dir_ / "precious", "do not cut this");
  std::filesystem::create_symlink(dir_ / "precious", log_);
  EXPECT_THAT(CheckError(record, ChangedFiles::kTruncate), HasSubstr("no regular file"));
  EXPECT_EQ(Get(dir_ / "precious"), "do not cut this");
}

TEST_F(HostFilesTest, IfOneIsRefusedNoneIsCut) {
  pb::HostFiles record = RecordOf(true);
  pb::HostFileState& missing = *record.add_files();
  missing.set_path(dir_ / "missing");
  missing.set_size(1);
  Append(" world");
  EXPECT_THAT(CheckError(record, ChangedFiles::kError), HasSubstr("missing"));
  EXPECT_EQ(Get(log_), "hello world");
}

TEST_F(HostFilesTest, AFileThatOthersWriteIsNotTheJobsOwn) {
  const UniqueFd reader = *OpenFile(log_, O_RDONLY | O_CREAT);
  pb::HostFiles record = RecordOf(true);
  ASSERT_TRUE(NoteOtherWriters(record, {}));
  EXPECT_TRUE(record.files(0).own_append()) << "reading does not count";
  const UniqueFd writer = *OpenFile(log_, O_WRONLY | O_APPEND);
  ASSERT_TRUE(NoteOtherWriters(record, {getpid()}));
  EXPECT_TRUE(record.files(0).own_append()) << "the job's own descriptor";
  ASSERT_TRUE(NoteOtherWriters(record, {}));
  EXPECT_FALSE(record.files(0).own_append());
}

TEST_F(HostFilesTest, RecordsRegularFilesOnceAndSkipsWhatIsGone) {
  Put(log_, "hello");
  const auto record = RecordHostFiles({{.path = log_, .append_only = true},
                                       {.path = log_, .append_only = false},
                                       {.path = dir_ / "gone", .append_only = true},
                                       {.path = "/dev/null", .append_only = true}});
  ASSERT_TRUE(record);
  ASSERT_EQ(record->files_size(), 1);
  EXPECT_FALSE(record->files(0).own_append());
}

TEST_F(HostFilesTest, ParsesTheOption) {
  EXPECT_EQ(ParseChangedFiles("").value_or(ChangedFiles::kIgnore), ChangedFiles::kError);
  EXPECT_EQ(ParseChangedFiles("truncate").value_or(ChangedFiles::kError), ChangedFiles::kTruncate);
  EXPECT_EQ(ParseChangedFiles("ignore").value_or(ChangedFiles::kError), ChangedFiles::kIgnore);
  EXPECT_FALSE(ParseChangedFiles("all"));
}

}  // namespace
}  // namespace baton
