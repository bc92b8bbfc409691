// JobPort: where a job and its keeper meet. A directory of the keeper's that the job sees under a name which stays the
// same for all its attempts (JobSpec.port), made anew for each attempt:
//
//   DIRECTORY/
//     socket       datagrams to the keeper, one word each (BATON_SOCKET)
//                    checkpoint   make one; answered when it is in the store: "saved N G"; or "failed WHY". Where the
//                                 program goes on from it: "resumed N G"
//                    ready        what is to be done before a checkpoint is done (JobHooks.signal)
//                  An answer goes to the sender's own socket, which must have a name in the directory.
//     generation   two lines of fixed length: G, which attempt this is, and 32 hexadecimal digits that no other attempt
//                  has (BATON_GENERATION_FILE)
//     status       what goes on: "WORD N G" (BATON_STATUS_FILE): running, saving, copied, saved, failed, resumed
//     lock         a job that holds it (flock(2)) is in a critical section (BATON_LOCK_FILE)
//
// N is a checkpoint's number. No answer is owed to a connection, and no descriptor of the job leads out of it: so a
// program that waits for its answer is saved like any other, and the keeper that resumes it answers.
//
// The directory is the user's own (0700), and so is everything that the job may put there: names are followed no
// further than to a socket in it.
//
// Thread-safety: one thread at a time, unless it says otherwise. Errors: kIo.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "keeper/job_spec.pb.h"

namespace baton {

class JobPort {
 public:
  // `directory`: emptied, and gone with this object. `seen_at`: its path as the job sees it.
  static Result<JobPort> Open(const std::string& directory, const std::string& seen_at, uint32_t generation);
  JobPort(JobPort&& other) noexcept;
  JobPort& operator=(JobPort&&) = delete;
  JobPort(const JobPort&) = delete;
  JobPort& operator=(const JobPort&) = delete;
  ~JobPort();

  // Readable when there are requests.
  int socket_fd() const { return socket_.get(); }

  struct Request {
    std::string word;
    std::string client;  // for Answer; empty: nobody to answer
  };
  // All that wait, but not more than kMostRequests: a job that goes on sending must not keep its keeper from all else.
  // One that stands still has not more in the queue.
  static constexpr size_t kMostRequests = 1024;
  std::vector<Request> TakeRequests() const;
  // Whether it came; a client that is gone gets none.
  bool Answer(const std::string& client, std::string_view text) const;
  // "saved" and so on, as the answer to a client and in the file.
  std::string StatusText(std::string_view word, uint64_t checkpoint) const;
  Result<> SetStatus(std::string_view word, uint64_t checkpoint) const;

  // Waits until the job is in no critical section, and keeps it out of the next one until LeaveSection. kUnavailable
  // after `limit`. From any thread.
  Result<> EnterSection(std::chrono::milliseconds limit) const;
  void LeaveSection() const;

  // "ready" came (from the keeper's thread). It is waited for by another: false after `limit`.
  void NoteReady() const;
  void ForgetReady() const;
  bool AwaitReady(std::chrono::milliseconds limit) const;

 private:
  JobPort(std::string directory, std::string seen_at, uint32_t generation, UniqueFd handle, UniqueFd socket,
          UniqueFd lock, UniqueFd ready);

  std::string directory_;  // empty: moved from
  std::string seen_at_;
  uint32_t generation_;
  UniqueFd handle_;
  UniqueFd socket_;
  UniqueFd lock_;
  UniqueFd ready_;  // an eventfd
};

// The directory's name for a new job: in its private /tmp, else one in /tmp that nobody else has.
Result<std::string> ChoosePort(bool private_tmp);

// The environment with which a job of this spec is started: what leads to its port put in the place of an outer job's.
std::vector<std::string> JobEnvironment(const pb::JobSpec& spec);

}  // namespace baton
