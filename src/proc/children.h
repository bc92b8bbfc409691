// /proc/PID/task/TID/children: the children that this thread made (or that were given to it), blank-separated, in the
// reader's pid namespace. Only sure while all of them are stopped.
//
// Kernel source: fs/proc/array.c children_seq_show(); man 5 proc_tid_children. Needs CONFIG_PROC_CHILDREN.
// Pure; thread-safe. Errors: kCorrupt, quoting the text.
#pragma once

#include <sys/types.h>

#include <string_view>
#include <vector>

#include "base/result.h"

namespace baton {

Result<std::vector<pid_t>> ParseChildren(std::string_view text);

}  // namespace baton
