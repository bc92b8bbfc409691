// What a "sysv" record must be, before anything is made from it: an image is input from outside.
//
// Pure; thread-safe. Errors: kCorrupt, naming the object.
#pragma once

#include <string>

#include "base/result.h"
#include "engine/native/native.pb.h"
#include "engine/native/sysv.pb.h"

namespace baton {

// The page space of a segment's content.
std::string SegmentSpace(int id);

// A segment in whole pages, as it is attached.
uint64_t AttachedBytes(const pb::SysvSegment& segment);

Result<> CheckSysv(const pb::SysvRecord& record);

// That this mapping, with backing SYSV, lies within a segment of the record.
Result<> CheckAttached(const pb::SysvRecord& record, const pb::MappingRecord& mapping);

// "2 segments of System V shared memory (8192 bytes), ...": for people.
std::string DescribeSysv(const pb::SysvRecord& record);

}  // namespace baton
