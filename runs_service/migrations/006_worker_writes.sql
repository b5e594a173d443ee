-- Every run that a worker wrote. Rows are only ever added, until they are too old or their owner is erased.
CREATE TABLE worker_writes (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    written_at INTEGER NOT NULL,          -- seconds since 1970 UTC
    owner      TEXT NOT NULL,             -- whose run
    worker     TEXT,                      -- what the worker's token calls itself
    run_id     TEXT NOT NULL,
    created    INTEGER NOT NULL           -- 1: it was not there before; 0: it was replaced, or was the same
) STRICT;
CREATE INDEX worker_writes_by_owner ON worker_writes (owner, id);
