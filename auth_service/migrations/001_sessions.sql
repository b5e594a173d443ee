-- A guest exists by having a session; what it owns elsewhere carries the same owner.
CREATE TABLE sessions (
    session_id   TEXT PRIMARY KEY,      -- random and public; never the cookie's value, never derived from it
    token_hash   BLOB NOT NULL UNIQUE,  -- SHA-256 of the cookie's value, which itself is kept nowhere
    owner        TEXT NOT NULL,         -- guest:<random hex> | user:<id>
    user_agent   TEXT,                  -- as the browser last called itself; cleaned, at most 300 characters
    created_at   TEXT NOT NULL,         -- all times: ISO 8601, UTC, microseconds, +00:00, so that they compare as text
    last_seen_at TEXT NOT NULL,         -- rewritten at most once a minute
    expires_at   TEXT NOT NULL,
    ended_at     TEXT                   -- when it was revoked or logged out; NULL where neither has happened
) STRICT;

-- The devices of one owner, in the order in which they came.
CREATE INDEX sessions_of_owner ON sessions (owner, created_at);
