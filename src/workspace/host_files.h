// Files of a job that are not saved (--fs host): a record of those it had open for writing, and the check at resume
// that they are still what the job believes. A file that only this job had open, for appending only, is cut back to its
// recorded length; any other difference is an error unless the user says what to do (--files=truncate|ignore).
//
// Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "workspace/host_files.pb.h"

namespace baton {

// --files
enum class ChangedFiles {
  kError,     // only what certainly is the job's own is cut back; any other change is an error
  kTruncate,  // whatever grew is cut back; another mtime or inode is accepted; shorter or missing is an error
  kIgnore,    // nothing is looked at or changed
};
// "", "truncate", "ignore"; anything else is kInvalidArgument.
Result<ChangedFiles> ParseChangedFiles(std::string_view text);

struct HostFile {
  std::string path;          // absolute, on this machine
  bool append_only = false;  // all writers of the job have O_APPEND, and no writable shared mapping
};

// Size, inode and mtime of each, to be kept in the checkpoint's metadata. REQUIRES: the job stands still. What is not a
// regular file is left out; a file that is gone (deleted while open) too.
Result<pb::HostFiles> RecordHostFiles(const std::vector<HostFile>& files);

// Takes note of files that another process has open for writing as well: those are not the job's own, and nothing of
// them is cut without being asked. Looks at every process of the machine, so not during the freeze. `job_pids`: all
// processes of the job as this machine numbers them. (Of other users' processes an ordinary user sees nothing: theirs
// do not count.)
Result<> NoteOtherWriters(pb::HostFiles& record, const std::set<int>& job_pids);

struct HostFilesReport {
  std::vector<std::string> cut;    // paths that were cut back
  std::vector<std::string> notes;  // differences that were accepted
};

// Compares all first and changes nothing if any differs in a way `mode` does not accept: kConflict, naming every such
// file and what to do. `from_pid`: the image is of a tree Baton did not start; then nothing is cut unless mode is
// kTruncate.
Result<HostFilesReport> CheckHostFiles(const pb::HostFiles& record, ChangedFiles mode, bool from_pid);

}  // namespace baton
