-- The pool as its controller must know it after a restart. Times: ms; those of the wall clock since 1970. What can be
-- absent is NULL. Rows are replaced as a whole, several in one transaction: all that one decision changed.

-- One row: which pool this is. Workers and their keepers serve the pool that they were started by, and no other.
CREATE TABLE pool (
  id TEXT NOT NULL
);

CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  cpus_milli INTEGER NOT NULL,      -- thousandths of a processor
  memory_bytes INTEGER NOT NULL,
  retries INTEGER NOT NULL,         -- allowed after an exit code that is not 0
  max_failures INTEGER NOT NULL,    -- allowed in a row without a new checkpoint
  backoff_ms INTEGER NOT NULL,
  backoff_max_ms INTEGER NOT NULL,
  spec BLOB NOT NULL,               -- what to run
  state INTEGER NOT NULL,           -- 0 queued, 1 active, 2 ended, 3 failed, 4 cancelled
  epoch INTEGER NOT NULL,           -- of the newest attempt; 0: none yet
  cancel_wanted INTEGER NOT NULL,
  move_wanted INTEGER NOT NULL,
  move_to TEXT NOT NULL,
  request INTEGER NOT NULL,         -- checkpoints asked for, and answered; counted
  request_done INTEGER NOT NULL,
  request_error TEXT NOT NULL,
  retries_used INTEGER NOT NULL,
  failures INTEGER NOT NULL,        -- in a row
  stuck INTEGER NOT NULL,           -- of these, from the same checkpoint
  resume_below_epoch INTEGER,       -- only checkpoints older than this are used
  resume_below_number INTEGER,
  exit_code INTEGER NOT NULL,
  result TEXT NOT NULL,             -- hash
  result_epoch INTEGER NOT NULL,
  note TEXT NOT NULL,               -- why it failed
  created_ms INTEGER NOT NULL,      -- wall clock
  changed_ms INTEGER NOT NULL
);

CREATE TABLE attempts (
  job INTEGER NOT NULL REFERENCES jobs(id),
  epoch INTEGER NOT NULL,
  worker TEXT NOT NULL,
  boot_id TEXT NOT NULL,            -- of the worker's machine when it was assigned
  state INTEGER NOT NULL,           -- 0 assigned, 1 running, 2 over
  end INTEGER NOT NULL,             -- 0 none, 1 ended, 2 died, 3 refused, 4 rebooted, 5 moved, 6 lost, 7 cancelled
  resumed_epoch INTEGER,            -- the checkpoint it went on from
  resumed_number INTEGER,
  exit_code INTEGER NOT NULL,
  detail TEXT NOT NULL,
  frozen_ms INTEGER NOT NULL,       -- without a lease, in total
  created_ms INTEGER NOT NULL,
  changed_ms INTEGER NOT NULL,
  PRIMARY KEY (job, epoch)
) WITHOUT ROWID;

CREATE TABLE checkpoints (
  job INTEGER NOT NULL REFERENCES jobs(id),
  epoch INTEGER NOT NULL,
  number INTEGER NOT NULL,          -- from 1 in each epoch
  manifest_hash TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  pause_ms INTEGER NOT NULL,
  total_ms INTEGER NOT NULL,
  dropped INTEGER NOT NULL,         -- its files may be gone
  created_ms INTEGER NOT NULL,      -- when it was accepted
  PRIMARY KEY (job, epoch, number)
) WITHOUT ROWID;

CREATE TABLE workers (
  id TEXT PRIMARY KEY,
  incarnation INTEGER NOT NULL,     -- how often its daemon was started
  boot_id TEXT NOT NULL,
  draining INTEGER NOT NULL
) WITHOUT ROWID;

-- What happened, for people; never read for a decision.
CREATE TABLE history (
  id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,           -- wall clock
  job INTEGER NOT NULL,             -- 0: none
  epoch INTEGER NOT NULL,           -- 0: none
  worker TEXT NOT NULL,             -- empty: none
  text TEXT NOT NULL
);
CREATE INDEX history_of_job ON history (job, id);
