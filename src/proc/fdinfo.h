// /proc/PID/fdinfo/N: four lines common to all descriptors, then lines of the file's kind, kept as text: what they mean
// stays in the resource kinds.
//
//   pos:	0
//   flags:	02
//   mnt_id:	16
//   ino:	2063
//   tfd:        5 events:       19 data:                5  pos:0 ino:80f sdev:10      (an epoll descriptor)
//
// Kernel source: fs/proc/fd.c seq_show() and every show_fdinfo method; man 5 proc_pid_fdinfo.
// Pure; thread-safe. Errors: kCorrupt, quoting the line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace baton {

struct FdInfo {
  using Field = std::pair<std::string, std::string>;

  uint64_t pos = 0;  // the file offset; a negative one (memory devices) as two's complement
  unsigned flags =
      0;  // open(2) flags as the kernel keeps them (with O_LARGEFILE), O_CLOEXEC of this descriptor included
  uint64_t mnt_id = 0;
  uint64_t ino = 0;  // 0 before Linux 5.14
  // Every other line in order: {text before its first colon, text after it}, both without blanks around them. So
  // {"tfd", "5 events: 19 ..."}, {"inotify wd", "1 ino:..."}, {"lock", "1: FLOCK ..."}, {"settime flags", "01"}. A line
  // without a colon (drivers write what they like) has an empty first part.
  std::vector<Field> fields;

  // The value of the first field called `key`; nullptr if there is none.
  const std::string* Find(std::string_view key) const;
  // The values of all fields called `key`, in order.
  std::vector<std::string_view> FindAll(std::string_view key) const;
};

// `pos`, `flags` and `mnt_id` must be there.
Result<FdInfo> ParseFdInfo(std::string_view text);

// Takes a line that is itself a row of "name: value" pairs apart (epoll, inotify, fanotify):
// {"tfd", "5 events: 19 data: 5 pos:0"} gives {{"tfd", "5"}, {"events", "19"}, {"data", "5"}, {"pos", "0"}}.
Result<std::vector<FdInfo::Field>> SplitFdInfoField(const FdInfo::Field& field);

}  // namespace baton
