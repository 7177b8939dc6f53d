-- Attempts that did not end well, one by one: when, and what went wrong. The first and the latest nine; a step that was `ok` at
-- once has none, so the hot path doesn't write it. In the row and not in a table of its own: a row that is written when an attempt fails
-- is written anyway, and goes with its week.
ALTER TABLE backstitch.step ADD COLUMN IF NOT EXISTS attempt_log json[];
