ALTER TABLE restores ADD COLUMN parts TEXT NOT NULL DEFAULT '[]';      -- JSON: the parts that the document carries
ALTER TABLE restores ADD COLUMN undoes TEXT;                           -- of an undo: the restore that it takes back
ALTER TABLE restores ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;       -- 1: what it replaced is kept, for an undo
CREATE INDEX kept_restores ON restores (owner) WHERE kept = 1;

-- Since a restore may remove entries, versions may have gaps; a number is still never given twice.

CREATE TABLE undo_versions (               -- entries that a restore removed; in no backup and no quota
    restore_id    TEXT NOT NULL,
    owner         TEXT NOT NULL,           -- the rest as in versions
    version       INTEGER NOT NULL,
    settings      BLOB NOT NULL,
    change_note   TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    restored_from INTEGER,
    digest        BLOB NOT NULL,
    PRIMARY KEY (restore_id, version)
) STRICT;

CREATE TABLE undo_profiles (               -- profiles whose settings a restore changed
    restore_id     TEXT PRIMARY KEY,
    owner          TEXT NOT NULL,
    version_before INTEGER NOT NULL,       -- the current one before; stands in versions or in undo_versions
    version_after  INTEGER NOT NULL        -- the one that the restore left: with another, the profile was written since
) STRICT;

CREATE INDEX undo_versions_of ON undo_versions (owner);
CREATE INDEX undo_profiles_of ON undo_profiles (owner);

-- Nothing outlives its profile: one that is made again later is not the one of before.
CREATE TRIGGER profiles_removed AFTER DELETE ON profiles BEGIN
    DELETE FROM undo_versions WHERE owner = OLD.owner;
    DELETE FROM undo_profiles WHERE owner = OLD.owner;
END;
