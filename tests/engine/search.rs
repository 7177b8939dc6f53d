//! Finding runs: whatever is asked for, a list gives what looking at every single run would give.
//!
//! Most runs here are rows that the test itself writes, as workers and operators leave them, because hundreds in every
//! status are needed; that workers do leave them so is shown by the last tests.

use std::collections::BTreeMap;

use backstitch::engine::{AttentionFilter, AttentionKind, RunFilter, RunId, RunStatus, Time};
use chrono::TimeDelta;
use serde_json::json;

use crate::support::{engine::*, script::*};

/// A generator of numbers that a seed repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())].clone()
    }

    /// One in four times one of these.
    fn maybe(&mut self, from: &[&str]) -> Option<String> {
        (self.roll(4) == 0).then(|| self.pick(from).to_owned())
    }
}

const STATUSES: [&str; 10] = [
    "pending",
    "running",
    "waiting",
    "paused",
    "compensating",
    "stuck",
    "completed",
    "compensated",
    "failed",
    "abandoned",
];
const CODES: [&str; 3] = ["declined", "timeout", "nobody_has_it"];
const STEPS: [&str; 3] = ["charge", "ship", "nowhere"];
const FINGERPRINTS: [i64; 3] = [7, -7, 99];

/// All that is known of a run.
#[derive(Clone, Debug)]
struct Known {
    id: RunId,
    workflow: (i32, &'static str, i32),
    status: &'static str,
    key: Option<String>,
    tags: BTreeMap<&'static str, &'static str>,
    error: Option<(&'static str, &'static str)>,
    attention: Vec<(&'static str, &'static str, i64)>,
    created_at: Time,
}

impl Known {
    fn random(dice: &mut Dice, n: usize, workflows: &[(i32, &'static str, i32)], now: Time) -> Self {
        let status = dice.pick(&STATUSES);
        let created_at = now - TimeDelta::minutes(dice.roll(10_000) as i64);
        // Callers' clocks are not the database's.
        let made_at = created_at + TimeDelta::minutes(dice.roll(80) as i64 - 40);
        let ms = made_at.timestamp_millis().cast_unsigned();
        let id = (u128::from(ms) << 80) | (7 << 76) | (2 << 62) | (n as u128);
        let unhealthy = ["stuck", "compensating", "compensated", "failed"].contains(&status);
        let seen = if status == "stuck" { 1 + dice.roll(2) } else { usize::from(dice.roll(6) == 0) };
        let attention =
            |dice: &mut Dice| (dice.pick(&CODES[..2]), dice.pick(&STEPS[..2]), dice.pick(&FINGERPRINTS[..2]));
        Self {
            id: RunId::from_u128(id),
            // The last one is rare.
            workflow: if n == 17 { workflows[2] } else { dice.pick(&workflows[..2]) },
            status,
            key: (dice.roll(3) == 0).then(|| format!("k{}", dice.roll(40))),
            tags: dice.pick(&[vec![], vec![("a", "1")], vec![("a", "2"), ("b", "1")]]).into_iter().collect(),
            error: unhealthy.then(|| (dice.pick(&CODES[..2]), dice.pick(&STEPS[..2]))),
            attention: (0..seen).map(|_| attention(dice)).collect(),
            created_at,
        }
    }

    /// What the slowest of all ways to find it says.
    fn matches(&self, filter: &RunFilter) -> bool {
        let is = |wanted: &Option<String>, what: &str| wanted.as_deref().is_none_or(|wanted| wanted == what);
        let tag = |tag: &str| match tag.split_once(':') {
            Some((name, value)) => self.tags.get(name) == Some(&value),
            None => self.tags.contains_key(tag),
        };
        let error = |code: &str| {
            self.error.is_some_and(|(found, _)| found == code)
                || self.attention.iter().any(|(found, ..)| *found == code)
        };
        let step = |step: &str| {
            self.error.is_some_and(|(_, at)| at == step) || self.attention.iter().any(|(_, at, _)| *at == step)
        };
        let fingerprint = |text: &str| {
            let wanted = u64::from_str_radix(text, 16).expect("a fingerprint").cast_signed();
            self.attention.iter().any(|(.., found)| *found == wanted)
        };
        is(&filter.workflow, self.workflow.1)
            && filter.version.is_none_or(|version| version == self.workflow.2)
            && filter.status.is_none_or(|status| status == self.status)
            && filter.key.as_ref().is_none_or(|key| self.key.as_ref() == Some(key))
            && filter.tag.as_deref().is_none_or(tag)
            && filter.error.as_deref().is_none_or(error)
            && filter.step.as_deref().is_none_or(step)
            && filter.fingerprint.as_deref().is_none_or(fingerprint)
            && (!filter.attention || !self.attention.is_empty())
            && filter.since.is_none_or(|since| self.created_at >= since)
            && filter.until.is_none_or(|until| self.created_at < until)
    }

    /// Leaves the rows that a run like this has.
    async fn write(&self, t: &TestEngine) {
        let code = match self.status {
            "pending" | "running" => 0,
            other => STATUSES.iter().position(|status| *status == other).expect("a status") as i16 - 1,
        };
        let failure = self.error.map(|(code, _)| json!({"code": code, "message": "m", "step": 0}).to_string());
        let tags = (!self.tags.is_empty()).then(|| json!(self.tags));
        let wait = (self.status == "waiting").then_some("signal");
        sqlx::query(
            "INSERT INTO backstitch.run (id, created_at, workflow_id, queue, key, tags, input, status, failure, wait_kind, wait_name, wait_since, finished_at)
             VALUES ($1, $2, $3, 'default', $4, $5, '{}', $6, $7::json, $8, $8 || '_me', $2, CASE WHEN $6 >= 5 THEN $2 END)",
        )
        .bind(self.id)
        .bind(self.created_at)
        .bind(self.workflow.0)
        .bind(&self.key)
        .bind(tags)
        .bind(code)
        .bind(failure)
        .bind(wait)
        .execute(t.engine.pool())
        .await
        .expect("a run");
        let run = format!("'{}', {}", self.id, self.workflow.0);
        if ["pending", "running"].contains(&self.status) {
            let fresh = self.status == "pending";
            t.execute(&format!(
                "INSERT INTO backstitch.ready (run_id, workflow_id, due_at, queue, fresh) VALUES ({run}, backstitch.now(), 'default', {fresh})"
            ))
            .await;
        }
        if self.status == "waiting" {
            t.execute(&format!("INSERT INTO backstitch.timer VALUES ('{}', 'infinity')", self.id)).await;
        }
        if [2, 3, 4, 6, 7, 8].contains(&code) {
            let (error, step) = self.error.unzip();
            sqlx::query("INSERT INTO backstitch.unhealthy (run_id, workflow_id, status, code, step_name, since) VALUES ($1, $2, $3, $4, $5, $6)")
                .bind(self.id)
                .bind(self.workflow.0)
                .bind(code)
                .bind(error)
                .bind(step)
                .bind(self.created_at)
                .execute(t.engine.pool())
                .await
                .expect("an exception");
        }
        for (seq, (code, step, fingerprint)) in self.attention.iter().enumerate() {
            t.execute(&format!(
                "INSERT INTO backstitch.attention (run_id, workflow_id, seq, code, step_name, message, since, kind, fingerprint)
                 VALUES ({run}, {seq}, '{code}', '{step}', 'm', '{}', 'stuck', {fingerprint})",
                self.created_at.to_rfc3339()
            ))
            .await;
        }
        if let Some(key) = &self.key {
            let workflow = self.workflow.1;
            t.execute(&format!(
                "INSERT INTO backstitch.run_key VALUES ('{workflow}', '{key}', '{}', 'x') ON CONFLICT DO NOTHING",
                self.id
            ))
            .await;
        }
    }
}

/// Some workflows: two versions of one, and another one.
async fn workflows(t: &TestEngine) -> Vec<(i32, &'static str, i32)> {
    let mut all = Vec::new();
    for (name, version) in [("order", 1), ("order", 2), ("yearly", 1)] {
        let query = "INSERT INTO backstitch.workflow (name, version) VALUES ($1, $2) RETURNING id";
        let id = sqlx::query_scalar(query).bind(name).bind(version).fetch_one(t.engine.pool()).await.expect("an id");
        all.push((id, name, version));
    }
    all
}

/// `count` runs of every kind, newest first.
async fn many(t: &TestEngine, dice: &mut Dice, count: usize) -> Vec<Known> {
    let workflows = workflows(t).await;
    let now = t.engine.now().await.expect("the database answers");
    let mut all: Vec<Known> = Vec::new();
    for n in 0..count {
        let mut run = Known::random(dice, n, &workflows, now);
        // A key belongs to one run of a workflow.
        if all.iter().any(|other| other.key == run.key && other.workflow.1 == run.workflow.1) {
            run.key = None;
        }
        run.write(t).await;
        all.push(run);
    }
    all.sort_by_key(|run| std::cmp::Reverse(run.id));
    all
}

/// All that a filter finds, page by page.
async fn all_pages(t: &TestEngine, mut filter: RunFilter) -> Vec<RunId> {
    let mut found = Vec::new();
    loop {
        let page = t.engine.list(&filter).await.unwrap_or_else(|error| panic!("{filter:?}: {error:?}"));
        found.extend(page.items.iter().map(|run| run.id));
        let Some(cursor) = page.next_cursor else { return found };
        filter.cursor = Some(cursor);
    }
}

#[tokio::test]
async fn every_filter_finds_what_looking_at_every_run_would_find() {
    let t = TestEngine::idle().await;
    let mut dice = Dice(std::env::var("BACKSTITCH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(4711));
    let all = many(&t, &mut dice, 300).await;
    let mut found_some = 0;
    for n in 0..300 {
        let at = |minutes: usize| all[0].created_at - TimeDelta::minutes(minutes as i64);
        let (since, until) = (at(5_000 + dice.roll(5_000)), at(dice.roll(5_000)));
        let filter = RunFilter {
            workflow: dice.maybe(&["order", "yearly", "never_was"]),
            version: (dice.roll(6) == 0).then(|| 1 + dice.roll(2) as i32),
            // Each status by itself first.
            status: RunStatus::ALL.get(n).copied().or_else(|| dice.maybe(&STATUSES).and_then(|word| word.parse().ok())),
            key: (dice.roll(8) == 0).then(|| format!("k{}", dice.roll(40))),
            tag: dice.maybe(&["a", "b", "a:1", "a:2", "b:2", "c"]),
            error: dice.maybe(&CODES),
            step: dice.maybe(&STEPS),
            fingerprint: (dice.roll(6) == 0).then(|| format!("{:016x}", dice.pick(&FINGERPRINTS).cast_unsigned())),
            attention: dice.roll(4) == 0,
            since: (dice.roll(4) == 0).then_some(since),
            until: (dice.roll(4) == 0).then_some(until),
            limit: Some(1 + dice.roll(60) as u32),
            cursor: None,
        };
        let filter = if n < STATUSES.len() {
            RunFilter { status: filter.status, limit: Some(7), ..RunFilter::default() }
        } else {
            filter
        };
        let expected: Vec<RunId> = all.iter().filter(|run| run.matches(&filter)).map(|run| run.id).collect();
        assert_eq!(all_pages(&t, filter.clone()).await, expected, "{filter:?}");
        found_some += usize::from(!expected.is_empty());
    }
    assert!(found_some > 60, "only {found_some} of the filters found anything: the test asks for too much at a time");
}

#[tokio::test]
async fn pages_give_each_run_once_while_others_are_added() {
    let t = TestEngine::idle().await;
    let mut dice = Dice(11);
    let all = many(&t, &mut dice, 60).await;
    for filter in [RunFilter::default(), RunFilter { status: Some(RunStatus::Pending), ..RunFilter::default() }] {
        let expected: Vec<RunId> = all.iter().filter(|run| run.matches(&filter)).map(|run| run.id).collect();
        let (mut found, mut filter) = (Vec::new(), RunFilter { limit: Some(3), ..filter });
        loop {
            let page = t.engine.list(&filter).await.expect("a page");
            found.extend(page.items.iter().map(|run| run.id));
            t.start(&[call("note")]).await;
            match page.next_cursor {
                Some(cursor) => filter.cursor = Some(cursor),
                None => break,
            }
        }
        found.retain(|id| all.iter().any(|run| run.id == *id));
        assert_eq!(found, expected);
        t.execute(
            "DELETE FROM backstitch.ready WHERE run_id IN (SELECT id FROM backstitch.run WHERE queue <> 'default')",
        )
        .await;
    }
}

#[tokio::test]
async fn attention_is_grouped_by_error_with_the_most_runs_first() {
    let t = TestEngine::idle().await;
    let all = many(&t, &mut Dice(5), 120).await;
    t.execute("DELETE FROM backstitch.ready").await;
    let mut groups = Vec::new();
    let mut filter = AttentionFilter { limit: Some(2), ..AttentionFilter::default() };
    loop {
        let page = t.engine.attention(&filter).await.expect("groups");
        groups.extend(page.items);
        match page.next_cursor {
            Some(cursor) => filter.cursor = Some(cursor),
            None => break,
        }
    }
    assert!(groups.is_sorted_by(|a, b| a.count >= b.count), "{groups:#?}");
    let mut expected: BTreeMap<(String, i32), Vec<&Known>> = BTreeMap::new();
    for run in &all {
        let mut seen: Vec<i64> = run.attention.iter().map(|(.., fingerprint)| *fingerprint).collect();
        seen.sort_unstable();
        seen.dedup();
        for fingerprint in seen {
            expected.entry((format!("{:016x}", fingerprint.cast_unsigned()), run.workflow.0)).or_default().push(run);
        }
    }
    assert_eq!(groups.len(), expected.len(), "{groups:#?}");
    for group in &groups {
        let runs = expected.values().find(|runs| {
            runs.iter().any(|run| run.id == group.example)
                && runs.len() as i64 == group.count
                && group.first_seen == runs.iter().map(|run| run.created_at).min().expect("some")
                && group.last_seen == runs.iter().map(|run| run.created_at).max().expect("some")
        });
        let runs = runs.unwrap_or_else(|| panic!("nobody expects {group:#?}"));
        assert_eq!(group.example, runs[0].id, "the newest");
    }
    let only = AttentionFilter { workflow: Some("yearly".to_owned()), ..AttentionFilter::default() };
    let yearly = t.engine.attention(&only).await.expect("groups").items;
    assert!(yearly.iter().all(|group| group.workflow.as_deref() == Some("yearly")));
    let none = AttentionFilter { kind: Some(AttentionKind::Poison), ..AttentionFilter::default() };
    assert!(t.engine.attention(&none).await.expect("groups").items.is_empty());
}

#[tokio::test]
async fn what_nobody_takes_is_overdue_unless_it_is_held_back() {
    let t = TestEngine::idle().await;
    let first = t.start(&[call("note")]).await;
    t.start(&[call("note")]).await;
    let groups = async || t.engine.attention(&AttentionFilter::default()).await.expect("groups").items;
    assert!(groups().await.is_empty(), "it has been due for a moment only");
    t.advance(61.0).await;
    let found = groups().await;
    let group = found.first().expect("one group");
    assert_eq!((group.kind.word(), group.count, group.example), ("overdue", 2, first));
    assert_eq!((group.queue.as_deref(), group.workflow.as_deref()), (Some("default"), Some("scripted")));
    t.execute("INSERT INTO backstitch.hold VALUES ('workflow', 'scripted', 'ann', 'r', now())").await;
    assert!(groups().await.is_empty());
}

#[tokio::test]
async fn why_has_an_answer_for_every_status() {
    let t = TestEngine::idle().await;
    let all = many(&t, &mut Dice(3), 80).await;
    for status in STATUSES {
        let run = all.iter().find(|run| run.status == status).expect("one of each");
        let why = t.engine.why(run.id).await.expect("an answer");
        let text = why.sentences.join("\n");
        assert_eq!(why.status, status);
        assert!(!text.is_empty() && !text.contains('?'), "{status}: {text}");
        let who = match status {
            "pending" | "running" | "compensating" => "worker",
            "waiting" => "caller",
            "paused" | "stuck" => "operator",
            _ => "nobody",
        };
        // Nobody works here, so what is due waits for a worker in any case.
        assert_eq!(why.who, who, "{status}: {text}");
        if let Some((code, _)) = run.error {
            assert!(text.contains(code), "{status}: {text}");
        }
    }
}

#[tokio::test]
async fn an_endless_wait_is_listed_until_it_ends() {
    let t = TestEngine::new().await;
    let run = t.start(&[signal("go", None)]).await;
    t.is(run, "waiting").await;
    let waiting = RunFilter { status: Some(RunStatus::Waiting), ..RunFilter::default() };
    assert_eq!(all_pages(&t, waiting.clone()).await, [run]);
    t.send(run, "go", json!(1)).await;
    t.is(run, "completed").await;
    assert!(all_pages(&t, waiting).await.is_empty());
    assert_eq!(t.count("timer").await, 0, "an ended run leaves no timer");
    let completed = RunFilter { status: Some(RunStatus::Completed), ..RunFilter::default() };
    assert_eq!(all_pages(&t, completed).await, [run]);
    t.finish().await;
}

#[tokio::test]
async fn counts_agree_with_the_lists() {
    let t = TestEngine::idle().await;
    let all = many(&t, &mut Dice(8), 150).await;
    t.execute("ANALYZE backstitch.run").await;
    for count in t.engine.counts().await.expect("counts") {
        let expected = all.iter().filter(|run| count.status == run.status).count() as i64;
        assert_eq!(
            (count.status, count.count, count.exact),
            (count.status, expected, count.status != RunStatus::Completed)
        );
    }
}

#[tokio::test]
async fn queues_workers_and_workflows_say_who_is_there() {
    let mut t = TestEngine::idle().await;
    t.start(&[call("note")]).await;
    let queue = async |t: &TestEngine, name: &str| {
        let queues = t.engine.queues().await.expect("queues").items;
        queues.into_iter().find(|queue| queue.name == name).expect("the queue")
    };
    let alone = queue(&t, "default").await;
    assert_eq!((alone.due, alone.held, alone.workers), (1, 0, vec![]));
    t.add_worker(config("w0")).await;
    let workers = t.engine.workers().await.expect("workers").items;
    assert_eq!((workers.len(), workers[0].name.as_str(), workers[0].alive), (1, "w0", true));
    assert_eq!((workers[0].lanes.len(), workers[0].slots), (1, 64));
    assert_eq!(queue(&t, "default").await.workers, ["w0"]);
    let all = t.engine.workflows().await.expect("workflows");
    let scripted = all.items.iter().find(|workflow| workflow.name == "scripted").expect("it is known");
    assert_eq!(scripted.versions[0].workers, ["w0"]);
    let reserve = all.activities.iter().find(|activity| activity.name == "reserve").expect("it is known");
    assert!(reserve.undoable);
    t.workers[0].drain().await;
    assert!(!t.engine.workers().await.expect("workers").items[0].alive, "it has gone");
    t.finish().await;
}

#[tokio::test]
async fn weekly_partitions_have_exactly_the_indexes_needed() {
    let t = TestEngine::idle().await;
    // The next week's partition too: it gets its indexes when it is attached.
    t.advance(7.0 * 86_400.0).await;
    t.execute("SELECT backstitch.make_partition(4)").await;
    let query = "SELECT c.relname::text, array_agg(m.amname || ' ' || a.attname ORDER BY m.amname, a.attname)
        FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid JOIN pg_index i ON i.indrelid = c.oid
        JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
        WHERE h.inhparent = 'backstitch.run'::regclass GROUP BY c.relname";
    let weeks: Vec<(String, Vec<String>)> =
        sqlx::query_as(query).fetch_all(t.engine.pool()).await.expect("the indexes");
    assert!(weeks.len() > 6, "{weeks:?}");
    for (week, indexes) in weeks {
        // What changes is in none: the update that ends a run stays HOT.
        assert_eq!(indexes, ["brin workflow_id", "btree id", "btree parent_id", "gin tags"], "{week}");
    }
}
