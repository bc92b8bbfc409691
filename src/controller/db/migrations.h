// The steps that make the schema, from migrations/NNNN_name.sql in the order of their numbers, which begin at 1 and
// leave none out (checked when the program is built). A step that was released is never changed: the next one changes
// what it made.
#pragma once

#include <span>

namespace baton {

struct Migration {
  const char* name;  // "0001_first"
  const char* sql;
};

// The n-th one (from 0) has number n + 1.
std::span<const Migration> Migrations();

}  // namespace baton
