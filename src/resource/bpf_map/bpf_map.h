// BPF maps that a program has made for itself: hashes, arrays and prefix trees, also those with a value for each
// processor, with what is in them. As root, as bpf(2) needs it. A restored map is a new one: programs in the kernel,
// and names in a BPF file system, keep the old one.
//
// Sources: bpf(2), fdinfo ("frozen"), kernel/bpf/syscall.c. Thread-safety: as kind.h.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeBpfMapKind();

}  // namespace baton
