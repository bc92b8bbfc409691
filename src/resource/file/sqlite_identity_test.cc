#include "resource/file/sqlite_identity.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>

namespace baton {
namespace {

// The shapes of SQLite's os_unix.c.
struct InodeInfo {
  FileIdentity id;
  void* lock = nullptr;
  int shared = 1;
};
struct UnixFile {
  const void* method = nullptr;
  void* vfs = nullptr;
  InodeInfo* inode = nullptr;
  int fd = -1;
};

TEST(SqliteIdentity, OnlyWhatADescriptorLeadsTo) {
  // Not constants: these pairs must stand nowhere else in this process.
  const FileIdentity before{.device = 0xfe01, .inode = 0x1234567 + static_cast<uint64_t>(getpid())};
  const FileIdentity now{.device = 0xfe02, .inode = 99};
  const auto database = std::make_unique<InodeInfo>(InodeInfo{.id = before});
  const auto open = std::make_unique<UnixFile>(UnixFile{.inode = database.get(), .fd = 17});
  const auto number_in_data = std::make_unique<InodeInfo>(InodeInfo{.id = before});
  const auto of_other_descriptor = std::make_unique<InodeInfo>(InodeInfo{.id = before});
  const auto other = std::make_unique<UnixFile>(UnixFile{.inode = of_other_descriptor.get(), .fd = 18});
  const auto memory = RemoteMemory::Open(getpid());
  ASSERT_TRUE(memory) << memory.error().ToString();
  const std::vector<int> fds{5, 17};
  const auto renewed = RenewIdentity(*memory, fds, before, now);
  ASSERT_TRUE(renewed) << renewed.error().ToString();
  EXPECT_EQ(*renewed, 1U);
  EXPECT_EQ(database->id, now);
  EXPECT_EQ(number_in_data->id, before);
  EXPECT_EQ(of_other_descriptor->id, before);
  EXPECT_EQ(open->inode, database.get());
  EXPECT_EQ(other->fd, 18);
  const auto again = RenewIdentity(*memory, fds, before, now);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, 0U);
}

}  // namespace
}  // namespace baton
