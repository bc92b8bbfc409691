// Writers that sleep in write(2) on a full pipe. Any stop would make the kernel give up with the part that is written
// (pipe(7)), which the program did not expect of a blocking write. So before the stop the pipe is made larger, the
// write ends by itself, and afterwards the pipe gets its size back if what is in it allows. Sources: fcntl(2)
// F_SETPIPE_SZ, kernel fs/pipe.c pipe_resize_ring().
//
// Thread-safety: one thread.
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/unique_fd.h"

namespace baton {

class BlockedWrites {
 public:
  // Waits a moment until the task is out of its write(2), if it is in one on a pipe. Where that does not help (more
  // than /proc/sys/fs/pipe-max-size), the program sees a short write.
  void LetEnd(pid_t pid, pid_t tid);
  void RestoreSizes();

 private:
  struct Enlarged {
    UniqueFd pipe;
    int bytes;  // before
  };
  std::vector<Enlarged> enlarged_;
};

}  // namespace baton
