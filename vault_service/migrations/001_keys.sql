-- The vault itself: one row, made at the first start.
CREATE TABLE vault (
    only_row    INTEGER PRIMARY KEY CHECK (only_row = 1),
    salt        BLOB NOT NULL CHECK (length(salt) = 16),  -- random; goes into Argon2id with the root secret
    fingerprint TEXT,                                     -- of the key-encryption key that this vault was made with
    created_at  TEXT NOT NULL
) STRICT;

CREATE TABLE api_keys (
    owner       TEXT NOT NULL,  -- user:<id> or guest:<id>
    provider    TEXT NOT NULL,
    key_id      TEXT NOT NULL,  -- fingerprint of the key-encryption key around the data key
    wrapped_key BLOB NOT NULL,  -- nonce and sealed random data key of this row
    ciphertext  BLOB NOT NULL,  -- nonce and sealed provider key
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    PRIMARY KEY (owner, provider)
) STRICT, WITHOUT ROWID;

-- Every read of a plaintext key, also one that got none. Rows are only ever added.
CREATE TABLE key_reads (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    read_at  TEXT NOT NULL,
    owner    TEXT NOT NULL,  -- whose key
    session  TEXT,           -- public id of the session that the worker's token was made for, if it names one
    provider TEXT NOT NULL,
    source   TEXT,           -- profile | environment: which key went out; NULL where none did
    outcome  TEXT NOT NULL   -- served | absent | unreadable | locked
) STRICT;

CREATE INDEX key_reads_by_owner ON key_reads (owner, id);
