// SQLite remembers each database by device and inode number, and refuses to write (SQLITE_READONLY_DBMOVED) when the
// file at its path has another one. A file that was brought back has another one: so what SQLite remembers is brought
// up to date, and nothing else.
//
// What it remembers is looked for in the private memory of a process that has the database open for writing: a pair
// {device, inode} (both 8 bytes) to which a pointer exists that is followed by the number of the descriptor. That is
// unixFile {..., unixInodeInfo* pInode; int h; ...} and unixInodeInfo {unixFileId {dev_t dev; u64 ino;}; ...} of
// SQLite's os_unix.c, the same since 3.7 of 2010; hardly anything else can look like it. Other files are left alone:
// only one that begins with SQLite's header, or is still empty, is looked for. docs/decisions/0007-sqlite.md says why.
//
// Thread-safety: one thread at a time per process. Errors: as RemoteMemory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "resource/file/file.pb.h"
#include "resource/kind.h"
#include "task/remote_memory.h"

namespace baton {

struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

// Puts `now` in the place of `before` where SQLite remembers the file that is open as one of `fds`. Returns the number
// of places; none is no error.
Result<size_t> RenewIdentity(const RemoteMemory& memory, std::span<const int> fds, const FileIdentity& before,
                             const FileIdentity& now);

// Does so in each of the processes that have `file` open, if it is a database that has another identity by now.
Result<> RenewSqliteIdentity(const pb::FilePayload& file, std::span<const FdUser> users, ArmContext& context);

}  // namespace baton
