-- The vault's share of a restore, staged until it is committed; and what a restore replaced, kept for one undo.
CREATE TABLE restores (
    restore_id TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    mode       TEXT NOT NULL,               -- merge | replace | undo
    state      TEXT NOT NULL,               -- staging | staged | committed | aborted
    answer     TEXT,                        -- JSON: what the gateway was told last
    changed_at TEXT NOT NULL,               -- ISO 8601, UTC
    parts      TEXT NOT NULL DEFAULT '[]',  -- JSON: the parts that the document carries
    undoes     TEXT,                        -- of an undo: the restore that it takes back
    kept       INTEGER NOT NULL DEFAULT 0   -- 1: what it replaced is kept, for an undo
) STRICT;
CREATE INDEX kept_restores ON restores (owner) WHERE kept = 1;

-- The keys of a restore that is not committed yet, in the envelope of this vault already; columns as in api_keys.
CREATE TABLE staged_keys (
    restore_id  TEXT NOT NULL,
    owner       TEXT NOT NULL,
    provider    TEXT NOT NULL,
    key_id      TEXT NOT NULL,
    wrapped_key BLOB NOT NULL,
    ciphertext  BLOB NOT NULL,
    PRIMARY KEY (restore_id, provider)
) STRICT, WITHOUT ROWID;

-- What a committed restore replaced; columns as in api_keys, NULL where there was no key before.
CREATE TABLE undo_keys (
    restore_id  TEXT NOT NULL,
    owner       TEXT NOT NULL,
    provider    TEXT NOT NULL,
    key_id      TEXT,
    wrapped_key BLOB,
    ciphertext  BLOB,
    created_at  TEXT,
    updated_at  TEXT,
    PRIMARY KEY (restore_id, provider)
) STRICT, WITHOUT ROWID;

-- A key that is written or deleted after a restore stays as it is: nothing can bring back what was kept for it. Its
-- ciphertext tells a write, for it is another one each time; wrapping the data key anew is none.
CREATE TRIGGER key_made_since AFTER INSERT ON api_keys BEGIN
    DELETE FROM undo_keys WHERE provider = NEW.provider
        AND restore_id IN (SELECT restore_id FROM restores WHERE owner = NEW.owner AND kept = 1);
END;

CREATE TRIGGER key_written_since AFTER UPDATE OF ciphertext ON api_keys WHEN NEW.ciphertext <> OLD.ciphertext BEGIN
    DELETE FROM undo_keys WHERE provider = NEW.provider
        AND restore_id IN (SELECT restore_id FROM restores WHERE owner = NEW.owner AND kept = 1);
END;

CREATE TRIGGER key_deleted_since AFTER DELETE ON api_keys BEGIN
    DELETE FROM undo_keys WHERE provider = OLD.provider
        AND restore_id IN (SELECT restore_id FROM restores WHERE owner = OLD.owner AND kept = 1);
END;
