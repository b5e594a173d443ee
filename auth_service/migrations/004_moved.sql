-- with chassis/migrations/moved.sql

-- A user that came from the single-process console, which did not keep what Google calls the account, is unlinked: its
-- `google_sub` is 'unlinked:' and its `user_id` until the two meet. No account is called so, and none is let in that is.
-- So all that knows users, the release before too, has them as any other; only who comes in as one is decided anew.
CREATE INDEX users_by_address ON users (lower(email));
