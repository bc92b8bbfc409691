// Where Baton keeps things on one machine. STATE is --state-dir, else $BATON_STATE_DIR, else /var/lib/baton for root
// and $XDG_STATE_HOME/baton (~/.local/state/baton) for everybody else; all of it is the user's own (0700).
//
//   STATE/
//     runs/
//       NAME/            one run, made by `baton run`
//         record         what is known about it (run_record.proto), replaced as a whole
//         lock           locked (flock) for as long as its keeper lives
//         output         the job's stdout and stderr, unless --output says where
//         tmp/           the job's private /tmp (--fs work)
//         port/          where it meets its keeper (job_port.h)
//     store/             checkpoints, unless --store says where
//     run/               control sockets, where there is no $XDG_RUNTIME_DIR
//   $XDG_RUNTIME_DIR/baton/NAME.sock     control socket of a running job (users)
//
// Thread-safety: plain values.
#pragma once

#include <string>

#include "base/result.h"

namespace baton {

class StatePaths {
 public:
  // From --state-dir (may be empty) and the environment; makes nothing. kInvalidArgument where neither says where.
  static Result<StatePaths> Find(const std::string& state_dir_flag);

  const std::string& state_dir() const { return state_dir_; }
  std::string runs_dir() const { return state_dir_ + "/runs"; }
  std::string run_dir(const std::string& name) const { return runs_dir() + "/" + name; }
  std::string record(const std::string& name) const { return run_dir(name) + "/record"; }
  std::string lock(const std::string& name) const { return run_dir(name) + "/lock"; }
  std::string output(const std::string& name) const { return run_dir(name) + "/output"; }
  std::string tmp_dir(const std::string& name) const { return run_dir(name) + "/tmp"; }
  std::string store_dir() const { return state_dir_ + "/store"; }
  std::string port_dir(const std::string& name) const { return run_dir(name) + "/port"; }
  const std::string& socket_dir() const { return socket_dir_; }
  std::string socket(const std::string& name) const { return socket_dir_ + "/" + name + ".sock"; }

 private:
  std::string state_dir_;
  std::string socket_dir_;
};

// A run's name becomes a directory's and a file's: letters, digits, '-', '_', '.', not beginning with a dot, at
// most 64.
Result<> CheckRunName(const std::string& name);

// `path` made absolute against the current directory, "." and ".." removed as text.
Result<std::string> AbsolutePath(const std::string& path);

}  // namespace baton
