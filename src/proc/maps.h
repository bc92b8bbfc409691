// /proc/PID/maps: the mappings of an address space, one line each.
//
//   7f3c4e000000-7f3c4e021000 rw-p 00000000 fe:00 247101                     /usr/bin/bash
//   start        end          prot offset   dev   inode                      path
//
// Kernel source: fs/proc/task_mmu.c show_map_vma(); man 5 proc_pid_maps.
// Pure; thread-safe. Errors: kCorrupt, quoting the line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace baton {

struct MapsEntry {
  uint64_t start = 0;  // start < end, always
  uint64_t end = 0;
  bool read = false;
  bool write = false;
  bool exec = false;
  bool shared = false;
  uint64_t offset = 0;  // in bytes
  unsigned dev_major = 0;
  unsigned dev_minor = 0;
  uint64_t inode = 0;  // 0: not backed by a file
  // A file's path, "[heap]", "[anon:name]", "/memfd:name", "anon_inode:..." or empty. Leading blanks cannot be told
  // from the column's padding; no path of the kernel begins with one. The kernel writes a newline in a name as \012 and
  // leaves backslashes alone, so a name that really contains the four characters \012 reads as a newline: compare
  // dev:inode where it matters.
  std::string path;
  // The path ended in " (deleted)", which is taken off. A living file can be called "x (deleted)" too: its path then
  // lacks these ten characters. Whoever opens by path must compare dev:inode anyway.
  bool deleted = false;

  uint64_t size() const { return end - start; }
};

// One mapping per line, in the kernel's order. An empty text (a zombie, a kernel thread) is an empty vector.
Result<std::vector<MapsEntry>> ParseMaps(std::string_view text);
// One line without its newline; smaps begins each of its blocks with one.
Result<MapsEntry> ParseMapsLine(std::string_view line);

}  // namespace baton
