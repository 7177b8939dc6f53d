-- Retention drops partitions: `run` and `step` are ranges of the run's id, a UUIDv7, by week of its time
-- (docs/decisions/0024). A run of an age for which there is no partition is in the default one, and works as any other.
-- A filled table becomes the first partition as it stands; nothing is copied but what lies ahead of it.

-- The first id of a moment.
CREATE FUNCTION backstitch.id_at(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS
    $$ SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$;

-- The beginning of a moment's week, in UTC whatever the session's zone is.
CREATE FUNCTION backstitch.week_of(at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
    $$ SELECT date_trunc('week', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' $$;

ALTER TABLE backstitch.run RENAME TO run_before;
ALTER INDEX backstitch.run_pkey RENAME TO run_before_pkey;
ALTER INDEX backstitch.run_tags RENAME TO run_before_tags;
CREATE TABLE backstitch.run (LIKE backstitch.run_before INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY RANGE (id);
ALTER TABLE backstitch.step RENAME TO step_before;
ALTER INDEX backstitch.step_pkey RENAME TO step_before_pkey;
CREATE TABLE backstitch.step (LIKE backstitch.step_before INCLUDING DEFAULTS, PRIMARY KEY (run_id, seq, direction))
    PARTITION BY RANGE (run_id);

-- The index of 0004, now of the whole.
CREATE INDEX run_tags ON backstitch.run USING gin (tags) WITH (fastupdate = off) WHERE tags IS NOT NULL;

-- Fillfactors as they were: room for one update of each run on its own page.
CREATE TABLE backstitch.run_default PARTITION OF backstitch.run DEFAULT WITH (fillfactor = 45);
CREATE TABLE backstitch.step_default PARTITION OF backstitch.step DEFAULT WITH (fillfactor = 95);

DO $$
DECLARE
    until uuid := backstitch.id_at(backstitch.week_of(greatest(clock_timestamp(), backstitch.now())) + interval '168 hours');
BEGIN
    IF NOT EXISTS (SELECT FROM backstitch.run_before) AND NOT EXISTS (SELECT FROM backstitch.step_before) THEN
        DROP TABLE backstitch.run_before, backstitch.step_before;
        RETURN;
    END IF;
    -- Callers may have chosen ids that are ahead of the time, or no UUIDv7 at all.
    WITH ahead AS (DELETE FROM backstitch.run_before WHERE id >= until RETURNING *)
    INSERT INTO backstitch.run_default SELECT * FROM ahead;
    WITH ahead AS (DELETE FROM backstitch.step_before WHERE run_id >= until RETURNING *)
    INSERT INTO backstitch.step_default SELECT * FROM ahead;
    EXECUTE format('ALTER TABLE backstitch.run ATTACH PARTITION backstitch.run_before FOR VALUES FROM (MINVALUE) TO (%L)', until);
    EXECUTE format('ALTER TABLE backstitch.step ATTACH PARTITION backstitch.step_before FOR VALUES FROM (MINVALUE) TO (%L)', until);
END $$;

-- Makes the first week that lacks its partitions, from this week to `ahead` weeks on; says whether there was one.
-- Attached, not made as a partition: that locks the parents against nobody who reads or writes rows, only the (small) default
-- partition for a moment. A week whose runs are in the default partition already gets none: they would have to be moved.
CREATE FUNCTION backstitch.make_partition(ahead int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    week  timestamptz;
    since uuid;
    until uuid;
    name  text;
BEGIN
    FOR n IN 0..ahead LOOP
        week := backstitch.week_of(backstitch.now()) + n * interval '168 hours';
        since := backstitch.id_at(week);
        until := backstitch.id_at(week + interval '168 hours');
        name := to_char(week AT TIME ZONE 'UTC', 'YYYY_MM_DD');
        CONTINUE WHEN to_regclass('backstitch.run_' || name) IS NOT NULL
            OR EXISTS (SELECT FROM backstitch.run_default WHERE id >= since AND id < until)
            OR EXISTS (SELECT FROM backstitch.step_default WHERE run_id >= since AND run_id < until);
        BEGIN
            EXECUTE format('CREATE TABLE backstitch.%I (LIKE backstitch.step INCLUDING DEFAULTS) WITH (fillfactor = 95)', 'step_' || name);
            EXECUTE format('CREATE TABLE backstitch.%I (LIKE backstitch.run INCLUDING DEFAULTS) WITH (fillfactor = 45)', 'run_' || name);
            EXECUTE format('ALTER TABLE backstitch.step ATTACH PARTITION backstitch.%I FOR VALUES FROM (%L) TO (%L)',
                           'step_' || name, since, until);
            EXECUTE format('ALTER TABLE backstitch.run ATTACH PARTITION backstitch.%I FOR VALUES FROM (%L) TO (%L)',
                           'run_' || name, since, until);
            RETURN true;
        EXCEPTION
            -- It overlaps with the table from before there were partitions, or a run got into the default one just now.
            WHEN invalid_object_definition OR check_violation THEN CONTINUE;
        END;
    END LOOP;
    RETURN false;
END $$;
DO $$ BEGIN WHILE backstitch.make_partition(4) LOOP END LOOP; END $$;

-- How long ended runs of a workflow are kept, where that is not the server's default.
CREATE TABLE backstitch.retention (
    workflow   text        PRIMARY KEY,
    keep_s     bigint      NOT NULL CHECK (keep_s > 0),
    updated_at timestamptz NOT NULL
);

-- Looked for about once a second, by every server.
CREATE INDEX schedule_slot_queued ON backstitch.schedule_slot (schedule, slot) WHERE outcome = 'queued';
CREATE INDEX schedule_slot_missed ON backstitch.schedule_slot (schedule) WHERE outcome = 'missed';
