-- Versions that the operator removed from a history because they were beyond the number to keep. They are told, so that
-- nobody takes them for lost.
ALTER TABLE profiles ADD COLUMN pruned INTEGER NOT NULL DEFAULT 0;  -- how many
ALTER TABLE profiles ADD COLUMN pruned_through INTEGER;             -- the highest of them; NULL where there is none
