// The database as one SQLite file in WAL mode: a commit is on disk when it returns, and a process that is killed at any
// point leaves the last commit. The file may be read by others meanwhile (`sqlite3 FILE`).
//
// Source: https://sqlite.org/wal.html; synchronous=FULL syncs the log at each commit.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "controller/db/database.h"

namespace baton {

// Makes the file, and brings its schema up to date. `vfs`: for tests; SQLite's name of the layer below.
Result<std::unique_ptr<Database>> OpenSqliteDatabase(const std::string& path, const char* vfs = nullptr);

}  // namespace baton
