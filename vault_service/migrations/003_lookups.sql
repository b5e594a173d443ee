-- Which rows are under another key than the current one, without a look at those that are under it.
CREATE INDEX api_keys_by_key ON api_keys (key_id);
CREATE INDEX staged_keys_by_key ON staged_keys (key_id);
CREATE INDEX undo_keys_by_key ON undo_keys (key_id);

-- All of one owner, who is erased.
CREATE INDEX staged_keys_by_owner ON staged_keys (owner);
CREATE INDEX undo_keys_by_owner ON undo_keys (owner);
CREATE INDEX restores_by_owner ON restores (owner, kept);
