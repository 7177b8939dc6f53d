-- A database with a million runs, as an engine leaves them after a month: nearly all completed, and some of every other
-- status. Run by examples/million/main.rs on a migrated, empty database. `made` is dropped again at the end.
--
-- a million completed runs of `order`, 5,000 of `refund`, 40 of `yearly`; 20,000 compensated, 500 failed, 100 abandoned,
-- 1,000 stuck, 200 paused, 300 compensating, 30,000 waiting (half of them for ever), 2,000 pending, 500 running.
-- Every run has a key and an input of about 500 bytes; all but `refund` and `yearly` have two tags. Five steps each for the
-- 20,000 newest completed runs and for all that did not complete: 5 million would only make the fill longer.
-- The weeks that an engine would have made in that month, one after the other.
DO $$ BEGIN
    FOR n IN REVERSE 5..1 LOOP
        UPDATE backstitch.clock SET shift = n * interval '-168 hours';
        PERFORM backstitch.make_partition(0);
    END LOOP;
    UPDATE backstitch.clock SET shift = '0';
END $$;

CREATE TABLE made AS
SELECT n, s.status, s.kind, backstitch.now() - interval '30 days' * (1 - n / 1060000.0) AS at,
    (lpad(to_hex((extract(epoch FROM backstitch.now() - interval '30 days' * (1 - n / 1060000.0)) * 1000)::bigint), 12, '0')
        || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid AS id
FROM generate_series(1, 1059640) n,
LATERAL (SELECT CASE
    WHEN n % 53 = 0 AND n / 53 <= 20000 THEN 'compensated' WHEN n % 2003 = 0 AND n / 2003 <= 500 THEN 'failed'
    WHEN n % 9973 = 0 AND n / 9973 <= 100 THEN 'abandoned' WHEN n % 1009 = 0 AND n / 1009 <= 1000 THEN 'stuck'
    WHEN n % 5003 = 0 THEN 'paused' WHEN n % 3511 = 0 THEN 'compensating' WHEN n % 34 = 0 THEN 'waiting'
    WHEN n > 1059640 - 2000 THEN 'pending' WHEN n > 1059640 - 2500 THEN 'running' WHEN n % 211 = 0 THEN 'refund'
    WHEN n % 26003 = 0 THEN 'yearly' ELSE 'completed' END AS kind) k,
LATERAL (SELECT k.kind, CASE k.kind WHEN 'compensated' THEN 6 WHEN 'failed' THEN 7 WHEN 'abandoned' THEN 8 WHEN 'stuck' THEN 4
    WHEN 'paused' THEN 2 WHEN 'compensating' THEN 3 WHEN 'waiting' THEN 1 WHEN 'pending' THEN 0 WHEN 'running' THEN 0
    ELSE 5 END AS status) s;

INSERT INTO backstitch.workflow (name, version) VALUES ('order', 1), ('refund', 1), ('yearly', 1);
INSERT INTO backstitch.worker (name, queues, workflows, slots) VALUES ('w1', '{default}', '{1,2,3}', 500);
INSERT INTO backstitch.lane (worker_id) VALUES (1), (1);

INSERT INTO backstitch.run (id, created_at, workflow_id, queue, key, tags, input, status, started_at, finished_at, output, failure,
    wait_kind, wait_name, wait_since, wait_until)
SELECT m.id, m.at, CASE m.kind WHEN 'refund' THEN 2 WHEN 'yearly' THEN 3 ELSE 1 END, 'default', 'k-' || m.n,
    CASE WHEN m.kind NOT IN ('refund', 'yearly') THEN jsonb_build_object('order', 'o-' || m.n, 'region', 'r' || m.n % 10) END,
    json_build_object('order', 'o-' || m.n, 'note', repeat('x', 450)), m.status,
    CASE WHEN m.kind <> 'pending' THEN m.at END, CASE WHEN m.status >= 5 THEN m.at + interval '1 s' END,
    CASE WHEN m.status = 5 THEN json_build_object('done', repeat('y', 80)) END,
    CASE WHEN m.status IN (3, 4, 6, 7) THEN json_build_object('code', CASE WHEN m.n % 7 = 0 THEN 'out_of_stock' ELSE 'declined' END,
        'message', 'refused, reference ' || m.n, 'step', 1) END,
    CASE WHEN m.status = 1 THEN CASE m.n % 68 WHEN 0 THEN 'signal' ELSE 'timer' END END, 'paid', m.at, NULL
FROM made m ORDER BY m.id;
INSERT INTO backstitch.run_key (workflow, key, run_id, hash)
SELECT w.name, r.key, r.id, 'x' FROM backstitch.run r JOIN backstitch.workflow w ON w.id = r.workflow_id;
INSERT INTO backstitch.unhealthy (run_id, status, workflow_id, code, since, step_name)
SELECT r.id, r.status, r.workflow_id, r.failure ->> 'code', r.created_at, 'charge' FROM backstitch.run r
WHERE r.status IN (2, 3, 4, 6, 7, 8);
INSERT INTO backstitch.timer (run_id, due_at)
SELECT m.id, CASE m.n % 68 WHEN 0 THEN 'infinity' ELSE backstitch.now() + interval '30 days' END FROM made m WHERE m.status = 1;
INSERT INTO backstitch.ready (run_id, due_at, lane, workflow_id, fresh, queue)
SELECT m.id, m.at, CASE m.kind WHEN 'running' THEN 1 + m.n % 2 END, 1, m.kind = 'pending', 'default'
FROM made m WHERE m.kind IN ('pending', 'running');
INSERT INTO backstitch.step (run_id, started_at, finished_at, seq, ord, asked, lane, direction, kind, outcome, attempts, generation,
    undoable, name, input, output)
SELECT m.id, m.at, m.at + interval '100 ms', s.seq, s.seq, s.seq, 1, 0, 0, 1, 1, 0, false,
    (ARRAY['reserve', 'charge', 'confirm', 'notify', 'archive'])[s.seq + 1], '{}', json_build_object('note', repeat('z', 80))
FROM made m, generate_series(0, 4) s(seq) WHERE m.status <> 5 OR m.n > 1040000 ORDER BY m.id, s.seq;
-- Twenty errors: all stuck runs, and 3,000 waiting ones that are retrying.
INSERT INTO backstitch.attention (run_id, seq, code, message, since, kind, fingerprint, workflow_id, step_name)
SELECT m.id, 1, CASE WHEN m.n % 7 = 0 THEN 'out_of_stock' ELSE 'declined' END, 'refused, reference ' || m.n, m.at,
    CASE m.status WHEN 4 THEN 'stuck' ELSE 'retrying' END, 1000 + m.n % 20, 1, 'charge'
FROM made m WHERE m.status = 4 OR (m.status = 1 AND m.n % 340 = 0);
INSERT INTO backstitch.audit (at, actor, action, run_id, reason, outcome)
SELECT m.at, CASE WHEN m.n % 31800 = 0 THEN 'ben' ELSE 'ann' END, CASE WHEN m.n % 2 = 0 THEN 'retry' ELSE 'compensate' END, m.id, 'r',
    CASE WHEN m.n % 1060 = 0 THEN 'refused' ELSE 'done' END
FROM made m WHERE m.kind = 'compensated' OR m.n % 53 < 2 ORDER BY m.n;
DROP TABLE made;
