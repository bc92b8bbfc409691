#include "controller/db/sqlite_handle.h"

#include <sys/stat.h>

namespace baton {
namespace {

Error SqliteError(sqlite3* handle, int code, std::string_view what) {
  const char* const text = handle == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle);
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return MakeError(ErrorCode::kConflict, "{}: {}", what, text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return MakeError(ErrorCode::kCorrupt, "{}: {}", what, text);
    default:
      return MakeError(ErrorCode::kIo, "{}: {}", what, text);
  }
}

}  // namespace

Result<bool> Statement::Step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return SqliteError(sqlite3_db_handle(statement_.get()), code, sqlite3_sql(statement_.get()));
}

std::string Statement::Text(int column) const {
  const void* const bytes = sqlite3_column_blob(statement_.get(), column);
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column));
  return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
}

void Statement::BindText(int index, std::string_view value) {
  sqlite3_bind_text(statement_.get(), index, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
}

Result<SqliteHandle> SqliteHandle::Open(const std::string& path, const char* vfs) {
  sqlite3* raw = nullptr;
  const mode_t before = umask(0077);
  const int code = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs);
  umask(before);
  SqliteHandle handle(raw);
  if (code != SQLITE_OK) return SqliteError(raw, code, "open " + path);
  sqlite3_extended_result_codes(raw, 1);
  constexpr int kPatienceMs = 5'000;
  sqlite3_busy_timeout(raw, kPatienceMs);
  return handle;
}

Result<Statement> SqliteHandle::Prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &raw, nullptr);
  if (code != SQLITE_OK) return SqliteError(handle_.get(), code, sql);
  return Statement(raw);
}

Result<std::string> SqliteHandle::One(std::string_view sql) {
  BATON_TRY(Statement statement, Prepare(sql));
  BATON_TRY(const bool row, statement.Step());
  if (!row) return MakeError(ErrorCode::kIo, "{}: no answer", sql);
  return statement.Text(0);
}

Result<> SqliteHandle::Execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return SqliteError(handle_.get(), code, sql.substr(0, sql.find('\n')));
  return {};
}

}  // namespace baton
