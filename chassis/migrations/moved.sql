-- What came out of the single-process console's file, so that it is taken from there once: what its owner changes or
-- deletes here afterwards stays as it is here, also when that file is read again, and also once the owner is erased.
CREATE TABLE moved (
    digest   BLOB PRIMARY KEY,             -- SHA-256 of a name: it names nobody, but who knows a name can look it up
    moved_at TEXT NOT NULL                 -- ISO 8601, UTC
) STRICT, WITHOUT ROWID;
