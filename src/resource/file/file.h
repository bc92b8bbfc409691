// Regular files and directories, with or without a name, and memfds: flags, position, locks, and for those without a
// name the content. The content of files with a name is not ours: whoever restores has them in place.
//
// Kept: open(2) flags, position (of directories too), flock, F_SETLK and F_OFD_SETLK locks; deleted files, O_TMPFILE
// and memfds with content, holes, seals, mode and times; files of /proc and /sys by their path.
// Lost: O_NOFOLLOW and O_TMPFILE among the flags that F_GETFL shows for files without a name; inode numbers.
// Refused: delegations, huge-page memfds, memfd_secret, removed directories, more than kMaxContent without a name.
//
// Sources: /proc/PID/fd, fdinfo, open(2), memfd_create(2), fcntl(2), fs/locks.c.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeFileKind();

}  // namespace baton
