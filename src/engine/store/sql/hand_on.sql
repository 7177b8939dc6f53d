-- Hands a run on to other workers, because the code of this one disagrees with its record: during a deployment builds of one
-- version work side by side. Called by store/lanes.rs. No row: nobody else serves it, or it has gone round often enough.
-- Each time it waits twice as long, up to a minute, so that it is not back here at once. The lane's row is read, not written:
-- nothing of the run is on its way to be written. Its token tells the holder from one that a restored database gave its id to.
UPDATE {schema}.ready q
SET lane = NULL, fresh = false, handed_on = handed_on + 1,
    due_at = (SELECT {schema}.now()) + least(60, 2 ^ handed_on) * interval '1 second'
WHERE q.run_id = $1 AND q.lane = $2 AND q.handed_on < $4
  AND EXISTS (SELECT FROM {schema}.lane m WHERE m.id = $2 AND m.token = $5 AND m.alive)
  AND EXISTS (
    SELECT FROM {schema}.worker w JOIN {schema}.lane l ON l.worker_id = w.id
    WHERE l.alive AND w.id <> $3 AND q.workflow_id = ANY (w.workflows) AND q.queue = ANY (w.queues))
