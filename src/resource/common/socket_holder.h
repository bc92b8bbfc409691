// Who outside the unit holds a socket: a look at the descriptors of every process we may look at.
//
// Cost: one stat per descriptor of the machine; for error texts only. Thread-safe: free functions without state.
#pragma once

#include <cstdint>
#include <string>

namespace baton {

// "process 12 (name)", or words for somebody whom we may not see.
std::string DescribeSocketHolder(uint64_t inode);

}  // namespace baton
