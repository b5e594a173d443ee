-- Who has signed in. Known by `google_sub` alone: an address or a name can change, and can pass to somebody else.
CREATE TABLE users (
    user_id    TEXT PRIMARY KEY,      -- random; `user:<id>` is the owner of what it has elsewhere, never given out again
    google_sub TEXT NOT NULL UNIQUE,  -- what Google calls the account, and never changes
    email      TEXT NOT NULL,         -- this and the next two: as the last accepted ID token said
    name       TEXT NOT NULL,
    picture    TEXT,                  -- an https URL
    created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL          -- when one of the three was last another than before
) STRICT;

-- 0 only while nothing can have been written: what the release before wrote or writes says nothing, and counts as 1.
ALTER TABLE sessions ADD COLUMN wrote INTEGER NOT NULL DEFAULT 1;

-- From when on nobody can use the session: it ended before it expired, or has expired, or will.
ALTER TABLE sessions ADD COLUMN over_at TEXT GENERATED ALWAYS AS (coalesce(ended_at, expires_at)) VIRTUAL;

-- What is swept is found by these, whatever else there is.
CREATE INDEX guests_over ON sessions (over_at) WHERE owner GLOB 'guest:*';
CREATE INDEX guests_without_writes ON sessions (last_seen_at) WHERE wrote = 0 AND owner GLOB 'guest:*';
CREATE INDEX users_over ON sessions (over_at) WHERE owner GLOB 'user:*';
