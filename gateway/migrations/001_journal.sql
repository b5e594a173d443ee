-- The journal of operations over several services. No user data: owners are ids, outcomes are counts and warnings.
CREATE TABLE operations (
    id          TEXT PRIMARY KEY,
    owner       TEXT NOT NULL,
    kind        TEXT NOT NULL,              -- restore
    mode        TEXT NOT NULL,              -- merge | replace
    stage       TEXT NOT NULL,              -- staging | committing | done | aborting | aborted
    holder      TEXT NOT NULL,              -- the gateway process at work on it
    lease_until REAL NOT NULL,              -- seconds since the epoch; later than now means: leave it to the holder
    outcome     TEXT,                       -- JSON, once done
    started_at  TEXT NOT NULL,
    changed_at  TEXT NOT NULL
) STRICT;

-- One operation at a time for an owner, whichever gateway took it.
CREATE UNIQUE INDEX one_at_a_time ON operations (owner) WHERE stage IN ('staging', 'committing', 'aborting');
CREATE INDEX unfinished ON operations (lease_until) WHERE stage IN ('staging', 'committing', 'aborting');
