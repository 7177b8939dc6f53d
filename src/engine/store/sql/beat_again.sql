-- A lane that connects again says that it is alive. Called by store/lanes.rs. No row: it is dead, or this database has forgotten
-- what it acknowledged, a heartbeat ($3) or a step that committed in a transaction of its own ($4 to $6).
UPDATE {schema}.lane SET beat = clock_timestamp()
WHERE id = $1 AND token = $2 AND alive AND beat >= coalesce($3, '-infinity')
  AND NOT EXISTS (
    SELECT FROM unnest($4::uuid[], $5::int[], $6::smallint[]) k(run_id, seq, direction)
    WHERE NOT EXISTS (
        SELECT FROM {schema}.step s
        WHERE s.run_id = k.run_id AND s.seq = k.seq AND s.direction = k.direction AND s.outcome IS NOT NULL))
RETURNING beat
