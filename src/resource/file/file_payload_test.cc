#include "resource/file/file_payload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>

namespace baton {
namespace {

pb::FilePayload Named() {
  pb::FilePayload file;
  file.set_path("/var/log/a");
  file.set_mode(S_IFREG | 0644);
  file.set_flags(O_RDWR | O_APPEND | kLargeFile);
  file.set_size(4096);
  file.set_offset(120);
  return file;
}

pb::FilePayload Memfd() {
  pb::FilePayload file;
  file.set_origin(pb::FilePayload::MEMFD);
  file.set_path("buffer");
  file.set_mode(S_IFREG | 0777);
  file.set_size(100);
  pb::FileExtent* extent = file.add_extents();
  extent->set_offset(10);
  extent->set_bytes(90);
  return file;
}

TEST(FilePayloadTest, TakesWhatCaptureWrites) {
  EXPECT_TRUE(ParseFilePayload(Named().SerializeAsString()));
  EXPECT_TRUE(ParseFilePayload(Memfd().SerializeAsString()));
}

TEST(FilePayloadTest, KeepsBytesOfAPathThatAreNoText) {
  pb::FilePayload file = Named();
  file.set_path("/tmp/\xff\xfe");
  const auto parsed = ParseFilePayload(file.SerializeAsString());
  ASSERT_TRUE(parsed) << parsed.error().ToString();
  EXPECT_EQ(parsed->path(), "/tmp/\xff\xfe");
}

struct Nonsense {
  const char* what;
  std::function<void(pb::FilePayload&)> change;
};

void ExpectRefused(const pb::FilePayload& good, const std::vector<Nonsense>& changes) {
  for (const Nonsense& nonsense : changes) {
    pb::FilePayload file = good;
    nonsense.change(file);
    const auto parsed = ParseFilePayload(file.SerializeAsString());
    ASSERT_FALSE(parsed) << nonsense.what;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kCorrupt) << nonsense.what;
  }
}

TEST(FilePayloadTest, RefusesNonsenseOfAnyFile) {
  ExpectRefused(Named(), {{"relative path", [](pb::FilePayload& file) { file.set_path("log/a"); }},
                          {"no path", [](pb::FilePayload& file) { file.clear_path(); }},
                          {"NUL", [](pb::FilePayload& file) { file.set_path(std::string("/a\0b", 4)); }},
                          {"long path", [](pb::FilePayload& file) { file.set_path("/" + std::string(5000, 'a')); }},
                          {"creates", [](pb::FilePayload& file) { file.set_flags(O_RDWR | O_CREAT); }},
                          {"empties", [](pb::FilePayload& file) { file.set_flags(O_RDWR | O_TRUNC); }},
                          {"makes a temporary file", [](pb::FilePayload& file) { file.set_flags(O_RDWR | O_TMPFILE); }},
                          {"unknown flag", [](pb::FilePayload& file) { file.set_flags(1U << 31U); }},
                          {"a FIFO", [](pb::FilePayload& file) { file.set_mode(S_IFIFO | 0600); }},
                          {"no type", [](pb::FilePayload& file) { file.set_mode(0600); }},
                          {"more than a mode", [](pb::FilePayload& file) { file.set_mode(S_IFREG | (1U << 20U)); }},
                          {"opened symbolic link", [](pb::FilePayload& file) { file.set_mode(S_IFLNK | 0777); }},
                          {"negative size", [](pb::FilePayload& file) { file.set_size(~uint64_t{0}); }},
                          {"negative offset", [](pb::FilePayload& file) { file.set_offset(~uint64_t{0}); }},
                          {"unknown origin",
                           [](pb::FilePayload& file) { file.set_origin(static_cast<pb::FilePayload::Origin>(9)); }},
                          {"content", [](pb::FilePayload& file) { file.add_extents()->set_bytes(1); }},
                          {"seals", [](pb::FilePayload& file) { file.set_seals(F_SEAL_GROW); }}});
}

TEST(FilePayloadTest, RefusesNonsenseOfAFileWithoutAName) {
  ExpectRefused(Memfd(),
                {{"long name", [](pb::FilePayload& file) { file.set_path(std::string(250, 'a')); }},
                 {"directory", [](pb::FilePayload& file) { file.set_mode(S_IFDIR | 0700); }},
                 {"of the kernel", [](pb::FilePayload& file) { file.set_of_kernel(true); }},
                 {"unknown seal", [](pb::FilePayload& file) { file.set_seals(1U << 10U); }},
                 {"sealed, but no memfd",
                  [](pb::FilePayload& file) {
                    file.set_origin(pb::FilePayload::NAMELESS);
                    file.set_path("/a");
                    file.set_seals(F_SEAL_GROW);
                  }},
                 {"beyond the size", [](pb::FilePayload& file) { file.mutable_extents(0)->set_bytes(91); }},
                 {"wraps around", [](pb::FilePayload& file) { file.mutable_extents(0)->set_bytes(~uint64_t{0}); }},
                 {"empty extent", [](pb::FilePayload& file) { file.mutable_extents(0)->set_bytes(0); }},
                 {"overlapping extents", [](pb::FilePayload& file) { *file.add_extents() = file.extents(0); }}});
}

TEST(FilePayloadTest, RefusesNonsenseOfLocks) {
  pb::FilePayload file = Named();
  file.add_locks()->set_type(pb::FileLock::OPEN_FILE);
  EXPECT_TRUE(ParseFilePayload(file.SerializeAsString()));
  ExpectRefused(
      file, {{"nobody's", [](pb::FilePayload& locked) { locked.mutable_locks(0)->set_type(pb::FileLock::PROCESS); }},
             {"somebody's", [](pb::FilePayload& locked) { locked.mutable_locks(0)->set_ns_pid(7); }},
             {"start", [](pb::FilePayload& locked) { locked.mutable_locks(0)->set_start(~uint64_t{0}); }},
             {"length", [](pb::FilePayload& locked) { locked.mutable_locks(0)->set_bytes(~uint64_t{0}); }},
             {"type", [](pb::FilePayload& locked) {
                locked.mutable_locks(0)->set_type(static_cast<pb::FileLock::Type>(77));
              }}});
}

TEST(FilePayloadTest, RefusesBytesThatAreNoMessage) {
  for (const std::string_view bytes : {"\x0a", "\xff\xff\xff", "\x08\x80"}) EXPECT_FALSE(ParseFilePayload(bytes));
}

TEST(FilePayloadTest, NamesTheContentByTheFile) {
  pb::FilePayload file = Memfd();
  file.set_device(0x1f);
  file.set_inode(0x2a);
  EXPECT_EQ(ContentSpace(file), "file:1f:2a");
}

TEST(FilePayloadTest, DescribesForPeople) {
  EXPECT_EQ(DescribeFilePayload(Named()), "file /var/log/a, read and write, appending, at 120 of 4096 bytes");
  EXPECT_EQ(DescribeFilePayload(Memfd()), "memfd buffer, read, at 0 of 100 bytes");
  pb::FilePayload directory;
  directory.set_path("/tmp");
  directory.set_mode(S_IFDIR | 0777);
  directory.set_flags(O_PATH);
  EXPECT_EQ(DescribeFilePayload(directory), "directory /tmp, as a path only");
}

}  // namespace
}  // namespace baton
