#include "engine/native/table_owners.h"

#include <gtest/gtest.h>

#include <vector>

#include "engine/native/descriptor_restore.h"

namespace baton {
namespace {

pb::ProcessRecord Process(pid_t pid, pid_t ppid, uint32_t files = 0) {
  pb::ProcessRecord process;
  process.set_pid(pid);
  process.set_ppid(ppid);
  process.set_files_table(files);
  for (const pid_t tid : {pid, pid + 100}) process.add_threads()->set_tid(tid);
  return process;
}

void AddDescriptors(pb::ProcessRecord& process, std::initializer_list<int> numbers) {
  for (const int fd : numbers) process.add_descriptors()->set_fd(fd);
}

TEST(TableOwners, FirstOfThoseThatShare) {
  std::vector<pb::ProcessRecord> processes{Process(2, 1, 7), Process(3, 2), Process(4, 2, 7)};
  pb::ApartThreadRecord& thread = *processes[1].add_apart_threads();
  thread.set_tid(103);
  thread.set_files_table(7);
  thread.set_directories_table(9);
  processes[2].set_directories_table(9);
  const TableOwners owners(processes);
  EXPECT_TRUE(owners.OwnsFiles(7, 2));
  EXPECT_TRUE(owners.OwnsFiles(0, 3));
  EXPECT_FALSE(owners.OwnsFiles(7, 103));
  EXPECT_FALSE(owners.OwnsFiles(7, 4));
  EXPECT_TRUE(owners.OwnsDirectories(9, 103));
  EXPECT_FALSE(owners.OwnsDirectories(9, 4));
  EXPECT_TRUE(owners.OwnsMemory(processes[2]));
}

TEST(TableOwners, OldRecordsSayWhatIsTheParents) {
  std::vector<pb::ProcessRecord> processes{Process(2, 1), Process(3, 2), Process(4, 3), Process(5, 2)};
  processes[1].set_shares_files(true);
  processes[2].set_shares_files(true);
  processes[2].set_shares_directories(true);
  NumberOldTables(processes);
  EXPECT_NE(processes[0].files_table(), 0U);
  EXPECT_EQ(processes[0].files_table(), processes[1].files_table());
  EXPECT_EQ(processes[0].files_table(), processes[2].files_table());
  EXPECT_EQ(processes[0].directories_table(), 0U);
  EXPECT_EQ(processes[1].directories_table(), processes[2].directories_table());
  EXPECT_NE(processes[1].directories_table(), 0U);
  EXPECT_EQ(processes[3].files_table(), 0U);
}

TEST(TableOwners, OldRecordsThatNameThemselvesAsParent) {
  std::vector<pb::ProcessRecord> processes{Process(2, 2), Process(3, 9)};
  for (pb::ProcessRecord& process : processes) process.set_shares_files(true);
  NumberOldTables(processes);
  EXPECT_EQ(processes[0].files_table(), 0U);
  EXPECT_EQ(processes[1].files_table(), 0U);
}

TEST(TableOwners, WhatCannotBeIsCorrupt) {
  std::vector<pb::ProcessRecord> processes{Process(2, 1), Process(3, 2)};
  EXPECT_TRUE(CheckTables(processes));
  for (pb::ProcessRecord& process : processes) process.set_actions_table(4);
  EXPECT_EQ(CheckTables(processes).error().code(), ErrorCode::kCorrupt);
  for (pb::ProcessRecord& process : processes) process.set_memory_table(5);
  EXPECT_TRUE(CheckTables(processes));
  processes[1].set_memory_table(6);
  EXPECT_EQ(CheckTables(processes).error().code(), ErrorCode::kCorrupt);
  processes[1].set_memory_table(5);
  pb::ApartThreadRecord& thread = *processes[1].add_apart_threads();
  thread.set_tid(103);
  EXPECT_TRUE(CheckTables(processes));
  for (const pid_t wrong : {3, 102, 999}) {
    thread.set_tid(wrong);
    EXPECT_EQ(CheckTables(processes).error().code(), ErrorCode::kCorrupt) << wrong;
  }
  processes = {Process(2, 1, 7), Process(3, 2, 7)};
  EXPECT_TRUE(CheckTables(processes));
  processes[0].set_zombie(true);
  EXPECT_EQ(CheckTables(processes).error().code(), ErrorCode::kCorrupt);
}

TEST(FilesOfTasks, ExecutablesThatWaitInOneTableHaveNumbersOfTheirOwn) {
  std::vector<pb::ProcessRecord> processes{Process(2, 1, 7), Process(3, 2, 7), Process(4, 2)};
  for (pb::ProcessRecord& process : processes) {
    AddDescriptors(process, {0, 1, 3});
    process.set_removed_exe(11);
  }
  const auto files = FilesOfTasks(processes, TableOwners(processes));
  EXPECT_EQ(files.at(2).free_number, 2);
  EXPECT_EQ(files.at(3).free_number, 4);
  EXPECT_EQ(files.at(4).free_number, 2);
  EXPECT_EQ(files.at(2).fetched.size(), 3U);
  EXPECT_TRUE(files.at(3).fetched.empty());
}

TEST(FilesOfTasks, DirectoriesThatAreGoneAreEnteredOnce) {
  std::vector<pb::ProcessRecord> processes{Process(2, 1), Process(3, 2)};
  for (pb::ProcessRecord& process : processes) {
    process.set_directories_table(8);
    process.set_removed_cwd(12);
  }
  const auto files = FilesOfTasks(processes, TableOwners(processes));
  EXPECT_EQ(files.at(2).removed_cwd, 12U);
  EXPECT_EQ(files.at(3).removed_cwd, 0U);
}

}  // namespace
}  // namespace baton
