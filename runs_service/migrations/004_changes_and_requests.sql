-- For whom something has changed, told to the owner's other devices. `version` rises with each write of the owner's;
-- `seq` orders the owners by their last write. Whoever is the last to write stays at that place.
-- This is chassis/migrations/changes.sql with `forgotten` and `erased`, and what keeps them: here a version is a place
-- that a device's token may name long afterwards, so that what is not told any more has to be known, and an owner who
-- was erased and comes back begins above it.
CREATE TABLE changes (
    owner     TEXT PRIMARY KEY,
    version   INTEGER NOT NULL,            -- of the owner's runs: the highest place, live or of a tombstone
    seq       INTEGER NOT NULL UNIQUE,
    forgotten INTEGER NOT NULL             -- who has followed the runs to a lower place may have missed a deletion
) STRICT;

CREATE TABLE change_clock (                -- never goes back, also where the last of `changes` is erased
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    seq      INTEGER NOT NULL,
    erased   INTEGER NOT NULL              -- the highest version of whoever was erased: who comes back begins above it
) STRICT;
INSERT INTO change_clock (only_row, seq, erased) VALUES (1, 0, 0);

-- What the triggers insert into: `version` NULL is one more than before.
CREATE VIEW touched AS SELECT owner, version FROM changes;
CREATE TRIGGER owner_touched INSTEAD OF INSERT ON touched BEGIN
    INSERT INTO changes (owner, version, seq, forgotten)
    SELECT NEW.owner, erased, -1, erased + 1 FROM change_clock
    WHERE NOT EXISTS (SELECT 1 FROM changes WHERE owner = NEW.owner);
    UPDATE change_clock SET seq = seq + 1 WHERE seq > (SELECT seq FROM changes WHERE owner = NEW.owner);
    UPDATE changes SET version = coalesce(NEW.version, version + 1), seq = (SELECT seq FROM change_clock)
    WHERE owner = NEW.owner;
END;
CREATE TRIGGER owner_erased AFTER DELETE ON changes BEGIN
    UPDATE change_clock SET erased = OLD.version WHERE erased < OLD.version;
END;

-- The order in which an owner's runs were written and deleted, for devices that follow it: each has the version that
-- the owner's changes had with its last write. It is given within that write, and since writes never overlap, whoever
-- sees a place sees all the lower ones.
ALTER TABLE runs ADD COLUMN place INTEGER; -- NULL only until the triggers below have run
CREATE INDEX runs_by_place ON runs (owner, place) WHERE place IS NOT NULL;

-- The deletions. A run that is made again has none.
CREATE TABLE tombstones (
    owner      TEXT NOT NULL,
    run_id     TEXT NOT NULL,
    place      INTEGER NOT NULL,
    deleted_at INTEGER NOT NULL,           -- seconds since 1970 UTC; forgotten after 90 days
    PRIMARY KEY (owner, run_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tombstones_by_place ON tombstones (owner, place);
CREATE INDEX tombstones_by_age ON tombstones (deleted_at);

-- Signs the tokens that name a place, so that those of another file are known.
CREATE TABLE file_key (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    key      BLOB NOT NULL
) STRICT;
INSERT INTO file_key (only_row, key) VALUES (1, randomblob(32));

UPDATE runs SET place = ordered.place
FROM (SELECT rowid AS id, row_number() OVER (PARTITION BY owner ORDER BY instant, run_id) AS place FROM runs) AS ordered
WHERE runs.rowid = ordered.id;
INSERT INTO touched (owner, version) SELECT owner, max(place) FROM runs GROUP BY owner;

-- A statement that puts in many gives them their places itself, and tells of them once; whatever gives none gets one
-- here, as the writes of the release before do.
CREATE TRIGGER run_made AFTER INSERT ON runs BEGIN
    DELETE FROM tombstones WHERE owner = NEW.owner AND run_id = NEW.run_id;
END;
CREATE TRIGGER run_made_unplaced AFTER INSERT ON runs WHEN NEW.place IS NULL BEGIN
    INSERT INTO touched (owner) VALUES (NEW.owner);
    UPDATE runs SET place = (SELECT version FROM changes WHERE owner = NEW.owner) WHERE rowid = NEW.rowid;
END;
CREATE TRIGGER run_replaced_unplaced AFTER UPDATE OF content_id ON runs
WHEN NEW.content_id <> OLD.content_id AND NEW.place = OLD.place BEGIN
    INSERT INTO touched (owner) VALUES (NEW.owner);
    UPDATE runs SET place = (SELECT version FROM changes WHERE owner = NEW.owner) WHERE rowid = NEW.rowid;
END;
CREATE TRIGGER run_buried AFTER DELETE ON runs BEGIN
    INSERT INTO touched (owner) VALUES (OLD.owner);
    INSERT INTO tombstones (owner, run_id, place, deleted_at)
    SELECT owner, OLD.run_id, version, unixepoch() FROM changes WHERE owner = OLD.owner;
END;

-- A guest whose runs become a user's has nothing left to follow: no tombstones, but every place is forgotten.
CREATE TRIGGER run_handed_over AFTER UPDATE OF owner ON runs WHEN NEW.owner <> OLD.owner BEGIN
    DELETE FROM tombstones WHERE owner = NEW.owner AND run_id = NEW.run_id;
END;
CREATE TRIGGER run_handed_over_unplaced AFTER UPDATE OF owner ON runs
WHEN NEW.owner <> OLD.owner AND NEW.place = OLD.place BEGIN
    INSERT INTO touched (owner) VALUES (OLD.owner);
    UPDATE changes SET forgotten = version WHERE owner = OLD.owner;
    INSERT INTO touched (owner) VALUES (NEW.owner);
    UPDATE runs SET place = (SELECT version FROM changes WHERE owner = NEW.owner) WHERE rowid = NEW.rowid;
END;

-- with chassis/migrations/requests.sql
