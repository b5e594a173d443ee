-- Writes that were asked for under a name, with their answers, so that each is done once.
CREATE TABLE requests (
    request_id  INTEGER PRIMARY KEY,
    owner       TEXT NOT NULL,
    method      TEXT NOT NULL,
    path        TEXT NOT NULL,             -- percent-encoded, without its query
    name        TEXT NOT NULL,             -- the client's Idempotency-Key | gateway/<random>
    fingerprint TEXT NOT NULL,             -- HMAC-SHA-256 of query and body, under a key that is not kept here
    status      INTEGER NOT NULL,
    headers     TEXT NOT NULL,             -- JSON object
    body        BLOB NOT NULL,
    kept_until  INTEGER NOT NULL,          -- seconds since 1970 UTC
    UNIQUE (owner, method, path, name)
) STRICT;
CREATE INDEX requests_of_owner ON requests (owner);  -- within it by request_id, and so by age
CREATE INDEX requests_by_end ON requests (kept_until);

-- How much is kept of each owner's requests.
CREATE TABLE requests_kept (
    owner  TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    bytes  INTEGER NOT NULL
) STRICT;
CREATE TRIGGER request_kept AFTER INSERT ON requests BEGIN
    INSERT INTO requests_kept (owner, number, bytes) VALUES (NEW.owner, 1, length(NEW.body))
    ON CONFLICT (owner) DO UPDATE SET number = number + 1, bytes = requests_kept.bytes + excluded.bytes;
END;
CREATE TRIGGER request_dropped AFTER DELETE ON requests BEGIN
    UPDATE requests_kept SET number = number - 1, bytes = bytes - length(OLD.body) WHERE owner = OLD.owner;
    DELETE FROM requests_kept WHERE owner = OLD.owner AND number = 0;
END;
CREATE TRIGGER request_handed_over AFTER UPDATE OF owner ON requests BEGIN
    UPDATE requests_kept SET number = number - 1, bytes = bytes - length(OLD.body) WHERE owner = OLD.owner;
    DELETE FROM requests_kept WHERE owner = OLD.owner AND number = 0;
    INSERT INTO requests_kept (owner, number, bytes) VALUES (NEW.owner, 1, length(NEW.body))
    ON CONFLICT (owner) DO UPDATE SET number = number + 1, bytes = requests_kept.bytes + excluded.bytes;
END;
