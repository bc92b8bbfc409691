// StoreTidier: removes from a pool's store what no job needs any more, on a thread of its own: large directories must
// not hold up the controller's answers.
//
// Thread-safety: Wake may be called from any thread. A file that cannot be removed is logged and tried again later.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "pool/wire/pool_store.h"

namespace baton {

// What is needed. All else may go of the jobs in `newest`, up to that epoch: higher ones may have begun meanwhile, and
// of other jobs a database that was put back from an old copy may not know.
struct StoreNeeds {
  std::map<uint64_t, uint64_t> newest = {};
  std::set<pool::UnitKey> checkpoints = {};
  std::set<pool::UnitKey> logs = {};
  std::set<pool::UnitKey> results = {};
  std::set<std::string> inputs = {};
};

class StoreTidier {
 public:
  // `needs` is called from the thread.
  StoreTidier(std::string store_dir, std::function<StoreNeeds()> needs);
  StoreTidier(const StoreTidier&) = delete;
  StoreTidier& operator=(const StoreTidier&) = delete;
  // Waits for the removal under way.
  ~StoreTidier();

  // Soon, rather than at the next turn.
  void Wake();
  // Now, on the calling thread.
  void TidyOnce();

 private:
  void Serve(const std::stop_token& stop);

  PoolStore store_;
  std::function<StoreNeeds()> needs_;
  std::mutex mutex_;
  std::condition_variable_any wanted_;
  bool woken_ = false;
  std::jthread thread_;
};

}  // namespace baton
