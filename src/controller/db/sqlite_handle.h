// SQLite with our error rules: a connection, and statements that are bound and stepped in one expression.
//
//   BATON_TRY(Statement statement, handle.Prepare("SELECT name FROM jobs WHERE id = ?"));
//   statement.Bind(id);
//   while (true) {
//     BATON_TRY(const bool row, statement.Step());
//     if (!row) break;
//     use(statement.Text(0));
//   }
//
// Thread-safety: none. Errors: kConflict where the database is locked, kCorrupt where it is damaged, else kIo.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/result.h"

namespace baton {

class Statement {
 public:
  // Binds the values in order, from the first parameter on.
  template <typename... Values>
  void Bind(const Values&... values) {
    int index = 0;
    (BindOne(++index, values), ...);
  }
  // Whether there is a row.
  Result<bool> Step();

  // The columns of the row, from 0.
  int64_t Integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  template <typename Number>
  Number As(int column) const {
    return static_cast<Number>(Integer(column));
  }
  bool IsNull(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }
  std::string Text(int column) const;

 private:
  friend class SqliteHandle;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  template <typename Value>
  void BindOne(int index, const Value& value) {
    if constexpr (std::is_convertible_v<const Value&, std::string_view>) {
      BindText(index, value);
    } else if constexpr (std::is_same_v<Value, std::optional<uint64_t>>) {
      value ? BindInteger(index, static_cast<int64_t>(*value)) : BindNull(index);
    } else {
      BindInteger(index, static_cast<int64_t>(value));
    }
  }
  void BindInteger(int index, int64_t value) { sqlite3_bind_int64(statement_.get(), index, value); }
  void BindText(int index, std::string_view value);
  void BindNull(int index) { sqlite3_bind_null(statement_.get(), index); }

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class SqliteHandle {
 public:
  // Opens or makes it, readable by its owner only. `vfs`: SQLite's name of the layer below; null: the usual one.
  static Result<SqliteHandle> Open(const std::string& path, const char* vfs);

  Result<Statement> Prepare(std::string_view sql);
  // Any number of statements that have no rows.
  Result<> Execute(const std::string& sql);
  // One statement without rows.
  template <typename... Values>
  Result<> Run(std::string_view sql, const Values&... values) {
    BATON_TRY(Statement statement, Prepare(sql));
    statement.Bind(values...);
    BATON_CHECKED(statement.Step());
    return {};
  }
  // The first column of the only row, as text. kIo if there is none.
  Result<std::string> One(std::string_view sql);
  // What is done in `work` is there as a whole or not at all.
  template <typename Work>
  Result<> InTransaction(Work work) {
    BATON_CHECKED(Execute("BEGIN IMMEDIATE"));
    Result<> done = work();
    if (done) done = Execute("COMMIT");
    if (!done) sqlite3_exec(handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    return done;
  }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  explicit SqliteHandle(sqlite3* handle) : handle_(handle) {}

  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace baton
