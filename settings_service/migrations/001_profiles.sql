CREATE TABLE versions (
    owner         TEXT NOT NULL,           -- guest:<id> or user:<id>
    version       INTEGER NOT NULL,        -- 1, 2, 3, … without a gap within an owner; the id in the history
    settings      BLOB NOT NULL,           -- compact UTF-8 JSON of an object, as it was sent
    change_note   TEXT NOT NULL,           -- why; '' where an imported entry had none
    created_at    TEXT NOT NULL,           -- ISO 8601, UTC, microseconds: equal instants are equal texts
    restored_from INTEGER,                 -- the version that this one repeats, where a person restored it
    digest        BLOB NOT NULL,           -- SHA-256 of the canonical form of settings
    PRIMARY KEY (owner, version)
) STRICT;

-- A history entry of a backup is known again by its settings, time and note.
CREATE INDEX versions_by_content ON versions (owner, digest, created_at, change_note);

CREATE TABLE profiles (
    owner      TEXT PRIMARY KEY,
    version    INTEGER NOT NULL,           -- the current one, which is always the highest of this owner
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,              -- when the current version came to be here
    FOREIGN KEY (owner, version) REFERENCES versions (owner, version)
) STRICT;

CREATE TABLE usage (
    owner TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL                 -- settings and notes of all versions; kept by the triggers below
) STRICT;

-- A version is never updated, so these two see every change.
CREATE TRIGGER versions_added AFTER INSERT ON versions BEGIN
    INSERT INTO usage (owner, bytes)
    VALUES (NEW.owner, length(NEW.settings) + length(CAST(NEW.change_note AS BLOB)))
    ON CONFLICT (owner) DO UPDATE SET bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER versions_removed AFTER DELETE ON versions BEGIN
    UPDATE usage SET bytes = bytes - length(OLD.settings) - length(CAST(OLD.change_note AS BLOB))
    WHERE owner = OLD.owner;
END;

CREATE TABLE restores (
    restore_id TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    mode       TEXT NOT NULL,              -- merge | replace
    state      TEXT NOT NULL,              -- staging | staged | committed | aborted
    answer     TEXT,                       -- JSON: what the gateway was told last
    changed_at TEXT NOT NULL
) STRICT;

CREATE TABLE staged_settings (
    restore_id TEXT NOT NULL,
    position   INTEGER NOT NULL,           -- the item's number in the upload
    kind       TEXT NOT NULL,              -- settings: its sections win | settings_patch: a merge patch (RFC 7396)
    value      BLOB NOT NULL,              -- JSON: what of the item can be used
    kept       BLOB NOT NULL,              -- JSON [[section, key], …]: refused leaves, where the profile's value stays
    PRIMARY KEY (restore_id, position)
) STRICT;

CREATE TABLE staged_history (
    restore_id  TEXT NOT NULL,
    position    INTEGER NOT NULL,          -- the item's number in the upload
    number      INTEGER,                   -- the entry's version in the document, for the order alone
    settings    BLOB NOT NULL,             -- the rest as in versions
    change_note TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    digest      BLOB NOT NULL,
    PRIMARY KEY (restore_id, position),
    UNIQUE (restore_id, digest, created_at, change_note)
) STRICT;
