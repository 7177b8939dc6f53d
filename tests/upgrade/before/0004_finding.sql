-- What finding runs needs (docs/decisions/0019). Rules: the hot path pays nothing for it, so no index names a column of
-- `run` that changes (updates of `run` stay HOT), and a run without tags writes nothing more than before.

-- Runs by tag. Tags never change, so the update that ends a run is HOT as before; a run without tags has no entry.
-- No pending list: a search would have to read it, and some unlucky start would have to empty it.
CREATE INDEX IF NOT EXISTS run_tags ON backstitch.run USING gin (tags) WITH (fastupdate = off) WHERE tags IS NOT NULL;

-- Runs of a rare workflow among a million others. A B-tree on (workflow_id, id) costs each start 95 bytes of log, 3 per cent of
-- what a run costs; block ranges cost a start nothing measurable, and lead to the few places where a rare one stands. Ranges
-- keep a few values each where Postgres can (14 or newer), or one workflow between two common ones would be in all of them.
DO $$ BEGIN
    EXECUTE 'CREATE INDEX IF NOT EXISTS run_workflow ON backstitch.run USING brin (workflow_id'
        || CASE WHEN current_setting('server_version_num')::int >= 140000 THEN ' int4_minmax_multi_ops' ELSE '' END
        || ') WITH (pages_per_range = 32)';
END $$;

-- Runs by error and by step. These tables are written when something went wrong, not otherwise.
ALTER TABLE backstitch.exceptional ADD COLUMN step_name text; -- of the failure's step
UPDATE backstitch.exceptional e SET step_name = s.name
FROM backstitch.run r JOIN backstitch.step s ON s.run_id = r.id AND s.direction = 0 AND s.seq = (r.failure ->> 'step')::int
WHERE r.id = e.run_id;
CREATE INDEX exceptional_step ON backstitch.exceptional (step_name, run_id);
CREATE INDEX attention_code ON backstitch.attention (code, run_id);
CREATE INDEX attention_step ON backstitch.attention (step_name, run_id);

-- Every parked run has a row in `timer` from now on: one that waits for a signal without a limit is due at 'infinity', which
-- never comes. So the runs that wait can be listed without an index on `run` that names a status.
INSERT INTO backstitch.timer (run_id, due_at)
SELECT r.id, 'infinity' FROM backstitch.run r
WHERE r.status = 1 AND NOT EXISTS (SELECT FROM backstitch.ready q WHERE q.run_id = r.id)
ON CONFLICT (run_id) DO NOTHING;

-- The audit, newest first, by who, by what and by when. Operators write it, workers don't.
CREATE INDEX audit_actor ON backstitch.audit (actor, id);
CREATE INDEX audit_action ON backstitch.audit (action, id);
CREATE INDEX audit_at ON backstitch.audit (at);
CREATE INDEX audit_refused ON backstitch.audit (id) WHERE outcome = 'refused';

-- What needed attention before there were kinds: the step's name, and a fingerprint, so that different errors don't end up
-- in one group. (New rows get theirs from the engine, which also looks at the message.)
UPDATE backstitch.attention a SET step_name = s.name
FROM backstitch.step s WHERE a.step_name IS NULL AND s.run_id = a.run_id AND s.seq = a.seq AND s.direction = 0;
UPDATE backstitch.attention SET fingerprint = hashtextextended(concat_ws(' ', workflow_id, step_name, code), 0)
WHERE fingerprint = 0;
