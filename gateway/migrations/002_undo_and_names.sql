ALTER TABLE operations ADD COLUMN name TEXT;                     -- the id that its owner knows; NULL: the same as id
ALTER TABLE operations ADD COLUMN participants TEXT NOT NULL DEFAULT '["settings","runs"]';   -- JSON: services asked to stage
ALTER TABLE operations ADD COLUMN undoes TEXT;                   -- of an undo: the id of the restore that it takes back
ALTER TABLE operations ADD COLUMN fingerprint TEXT;              -- of the request: keyed hash, known again in a retry
CREATE INDEX operations_by_name ON operations (owner, coalesce(name, id));

-- What is only being taken back keeps nobody waiting: a service that is away would hold up the owner's next restore.
DROP INDEX one_at_a_time;
CREATE UNIQUE INDEX one_at_a_time ON operations (owner) WHERE stage IN ('staging', 'committing');
CREATE INDEX undos ON operations (undoes) WHERE undoes IS NOT NULL;

-- One backup at a time for an owner, whichever gateway streams it.
CREATE TABLE backups (
    owner       TEXT PRIMARY KEY,
    holder      TEXT NOT NULL,              -- the stream that has the turn
    lease_until REAL NOT NULL               -- seconds since the epoch; earlier than now: its gateway has died
) STRICT;
