//! Callers may stop waiting for the engine at any await: no transaction is left open, no write that was acknowledged
//! later is lost in one, and the pool is of use.

use std::{collections::BTreeSet, time::Duration};

use backstitch::engine::{
    Allowance, AttentionFilter, AuditFilter, BreakerMode, CatchUp, Engine, EventFields, EventFilter, HoldKind,
    Incoming, Mapping, NewKey, Operator, Overlap, ReceivedFilter, Role, RunFilter, RunId, ScheduleSpec, SendSignal,
    Started, Subject, TopicPart, Verb, begin, guarded, to_json,
};
use futures_util::future::BoxFuture;
use serde_json::json;
use sqlx::postgres::PgPoolOptions;

use crate::support::{drop_at_each_await, engine::*, no_transaction_is_open, script::*, wait_until};

/// Methods that work inside of a caller's transaction, or until they are told to stop, or make a database; and `submit`, by which
/// `start` is written.
const OTHERS: &[&str] = &[
    "signal_in",
    "signal_batch_in",
    "start_batch_in",
    "submit",
    "emit_in",
    "start_in",
    "apply_verb_in",
    "audit_in",
    "migrate",
    "apply_migrations",
    "missing_migrations_of",
];

type Call<'a> = Box<dyn Fn() -> BoxFuture<'a, ()> + 'a>;

fn boxed<'a, F: Future<Output: Send> + Send + 'a>(make: impl Fn() -> F + 'a) -> Call<'a> {
    Box::new(move || {
        let call = make();
        Box::pin(async move { drop(call.await) })
    })
}

macro_rules! calls {
    ($($name:ident => $call:expr),* $(,)?) => {
        vec![$((stringify!($name), boxed(move || async move { $call.await }))),*]
    };
}

fn accepted(run: RunId) -> Started {
    Started { run, created: true, accepted_at: Some(chrono::DateTime::UNIX_EPOCH) }
}

fn schedule() -> ScheduleSpec {
    ScheduleSpec {
        cron: "0 0 1 1 *".to_owned(),
        time_zone: "UTC".to_owned(),
        workflow: "scripted".to_owned(),
        input: to_json(&json!([])).expect("JSON"),
        queue: None,
        overlap: Overlap::default(),
        catch_up: CatchUp::default(),
        paused: None,
    }
}

fn go_on(run: RunId) -> SendSignal {
    SendSignal { run, name: "go".to_owned(), payload: None, key: None }
}

fn source() -> Mapping {
    Mapping { source: "crm".to_owned(), event: EventFields::default(), rules: Vec::new() }
}

/// The same again and again: from the second on it finds a record.
fn event() -> Incoming {
    source().read(json!({"id": "e", "type": "t"})).expect("an event")
}

fn topic() -> TopicPart {
    TopicPart { topic: "t".to_owned(), part: 0 }
}

fn scripted_runs() -> RunFilter {
    RunFilter { workflow: Some("scripted".to_owned()), ..RunFilter::default() }
}

fn calls<'a>(
    engine: &'a Engine,
    ids: (RunId, RunId),
    key: &'a NewKey,
    token: &'a str,
    by: &'a Operator,
) -> Vec<(&'static str, Call<'a>)> {
    let (run, operation) = ids;
    let start = || request("scripted", &[call("note")]);
    calls! {
        start => engine.start(start()),
        start_batch => engine.start_batch(vec![start(), start()]),
        accept => engine.accept(start()),
        accept_batch => engine.accept_batch(vec![start(), start()]),
        signal => engine.signal(run, "go", None, None),
        signal_batch => async { engine.signal_batch(&[go_on(run)]).await },
        operator_signal => engine.operator_signal(run, "go", None, None, by),
        apply_verb => engine.apply_verb(run, &Verb::Pause, by),
        cancel => engine.cancel(run, by),
        compensate => engine.compensate(run, by),
        retry => engine.retry(run, by),
        fork => engine.fork(run, 0, None, by),
        hold => engine.hold(HoldKind::Queue, "q", by),
        holds => engine.holds(),
        release => engine.release(HoldKind::Queue, "q", by),
        operate_on => async { engine.operate_on(&Verb::Cancel, &scripted_runs(), by, None).await },
        preview_operation => async { engine.preview_operation(&Verb::Cancel, &scripted_runs(), by).await },
        operation => engine.operation(operation),
        operations => engine.operations(None, None),
        operation_runs => engine.operation_runs(operation, None, None, None),
        pause_operation => engine.pause_operation(operation, by),
        resume_operation => engine.resume_operation(operation, by),
        cancel_operation => engine.cancel_operation(operation, by),
        set_schedule => async { engine.set_schedule("yearly", &schedule(), by).await },
        ensure_schedule => async { engine.ensure_schedule("yearly", &schedule()).await },
        schedules => engine.schedules(),
        schedule => engine.schedule("yearly", None, 10),
        pause_schedule => engine.pause_schedule("yearly", by),
        resume_schedule => engine.resume_schedule("yearly", by),
        run_schedule => engine.run_schedule("yearly", by),
        decide_schedules => engine.decide_schedules(),
        delete_schedule => engine.delete_schedule("yearly", by),
        keep => engine.keep(),
        retention => engine.retention(),
        keeping => engine.keeping(),
        set_retention => engine.set_retention("scripted", Some(Duration::from_secs(36_000)), by),
        create_key => engine.create_key(key, "ann"),
        keys => engine.keys(),
        revoke_key => engine.revoke_key("nobody", "ann"),
        keys_exist => engine.keys_exist(),
        authenticate => engine.authenticate(token),
        sign_in => engine.sign_in(token),
        session => engine.session("nobody's"),
        sign_out => engine.sign_out("nobody's"),
        list => async { engine.list(&scripted_runs()).await },
        attention => async { engine.attention(&AttentionFilter::default()).await },
        audit => async { engine.audit(&AuditFilter::default()).await },
        audit_refusal => engine.audit_refusal("cancel", Subject::Run(run), by, "no", "no"),
        why => engine.why(run),
        workflows => engine.workflows(),
        queues => engine.queues(),
        workers => engine.workers(),
        counts => engine.counts(),
        gauges => engine.gauges(Duration::from_secs(5)),
        worker_silent_for => engine.worker_silent_for("w0"),
        run => engine.run(run),
        find_run => engine.find_run("0"),
        result => engine.result(run, Duration::from_millis(100)),
        export => engine.export(run),
        limbo => engine.limbo(),
        now => engine.now(),
        server_settings => engine.server_settings(),
        missing_migrations => engine.missing_migrations(),
        newer_migrations => engine.newer_migrations(),
        probe_write => engine.probe_write(),
        begin => engine.begin(),
        acquire => engine.acquire(),
        take => async { drawing(engine).await },
    }
}

fn calls_about_others<'a>(engine: &'a Engine, id: RunId, by: &'a Operator) -> Vec<(&'static str, Call<'a>)> {
    calls! {
        ended_among => async { engine.ended_among(&[id]).await },
        begin_impatient => engine.begin_impatient(),
        started_run => async { engine.started_run(accepted(id), &request("scripted", &[call("note")])).await },
        receive => async { engine.receive(&source(), &event()).await },
        receive_from_topic => async { engine.receive_from_topic(&source(), &topic(), 0, &[]).await },
        move_in_topic => async { engine.move_in_topic(&source(), &topic(), 0, 1).await },
        topic_position => async { engine.topic_position(&source(), &topic()).await },
        received_events => async { engine.received_events(&ReceivedFilter::default()).await },
        received_event => engine.received_event(id),
        retry_received => async { engine.retry_received(&[source()], id, by).await },
        breakers => engine.breakers(),
        set_breaker => engine.set_breaker("acme", BreakerMode::Auto, by),
        admit => async { engine.breaker("acme", "charge").admit().await.map(drop) },
        discard_received => engine.discard_received(id, by),
        events => async { engine.events(&EventFilter::default()).await },
        newest_event => engine.newest_event(),
        sinks => engine.sinks(),
        outbox_lag => engine.outbox_lag(),
        forget_sink => engine.forget_sink("nobody"),
        skip_event => engine.skip_event("nobody", 1, by),
        number_events => engine.number_events(),
        forget_events => engine.forget_events(),
        wait_for_events => engine.wait_for_events(Duration::from_millis(10)),
    }
}

/// The first request goes on credit, the second draws.
async fn drawing(engine: &Engine) -> [Allowance; 2] {
    let limiter = engine.limiter("tenant", "1/s".parse().expect("a rate"));
    [limiter.take("t").await, limiter.take("t").await]
}

/// The public async methods of `Engine`, from their source: a new one has to be in [`calls`].
fn methods() -> BTreeSet<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/api");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("the folder is there") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("a text");
        let of_line =
            |line: &str| line.trim().strip_prefix("pub async fn ")?.split(['(', '<']).next().map(str::to_owned);
        names.extend(text.lines().filter_map(of_line));
    }
    names
}

#[tokio::test]
async fn a_dropped_call_leaves_nothing_open() {
    let t = TestEngine::idle().await;
    let options = t.database().url().parse().expect("the URL is one");
    let pool = PgPoolOptions::new().max_connections(3).acquire_timeout(Duration::from_secs(10));
    let engine = Engine::new(pool.connect_lazy_with(options), t.script.registry());
    let by = operator();
    let run = t.start(&[signal("go", None)]).await;
    let filter = scripted_runs();
    let operation = t.engine.operate_on(&Verb::Pause, &filter, &by, None).await.expect("it is accepted").id;
    let key = NewKey { name: "ci".to_owned(), role: Role::Viewer, expires_in: None };
    let token = t.engine.create_key(&key, "ann").await.expect("a key").token;
    let mut calls = calls(&engine, (run, operation), &key, &token, &by);
    calls.extend(calls_about_others(&engine, run, &by));
    let listed: BTreeSet<String> = calls.iter().map(|(name, _)| (*name).to_owned()).collect();
    let missing: Vec<_> =
        methods().into_iter().filter(|name| !listed.contains(name) && !OTHERS.contains(&&**name)).collect();
    assert!(missing.is_empty(), "not dropped at any await: {missing:?}");
    for (name, call) in &calls {
        for _ in 0..3 {
            drop_at_each_await(name, call).await;
        }
        no_transaction_is_open(t.engine.pool(), name).await;
        let starts = (0..6).map(|_| engine.start(request("scripted", &[call_note()])));
        for started in futures_util::future::join_all(starts).await {
            let acknowledged = started.expect("the pool is of use").run;
            t.engine.run(acknowledged).await.unwrap_or_else(|error| panic!("lost after {name}: {error}"));
        }
    }
    t.finish().await;
}

fn call_note() -> Op {
    call("note")
}

#[tokio::test]
async fn begin_leaves_nothing_open_whenever_it_is_dropped() {
    let t = TestEngine::idle().await;
    let options = t.database().url().parse().expect("the URL is one");
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
    t.execute("CREATE TABLE public.effect (n int)").await;
    for _ in 0..100 {
        drop_at_each_await("begin", || begin(&pool)).await;
        sqlx::query("INSERT INTO public.effect VALUES (1)").execute(&pool).await.expect("the pool is of use");
    }
    no_transaction_is_open(t.engine.pool(), "begin").await;
    let kept: i64 =
        sqlx::query_scalar("SELECT count(*) FROM public.effect").fetch_one(t.engine.pool()).await.expect("reads");
    assert_eq!(kept, 100);
    t.finish().await;
}

#[tokio::test]
async fn a_guarded_pool_closes_what_comes_back_in_a_transaction() {
    let t = TestEngine::idle().await;
    let options: sqlx::postgres::PgConnectOptions = t.database().url().parse().expect("the URL is one");
    let pool = guarded(PgPoolOptions::new().max_connections(1)).connect_lazy_with(options);
    for leaves in
        ["BEGIN", "SET default_transaction_isolation = 'serializable'", "SET default_transaction_read_only = on"]
    {
        let mut conn = pool.acquire().await.expect("a connection");
        let first = crate::support::backend_pid(&mut conn).await;
        sqlx::raw_sql(leaves).execute(&mut *conn).await.expect("is accepted");
        drop(conn);
        let mut conn = pool.acquire().await.expect("another connection");
        assert_ne!(crate::support::backend_pid(&mut conn).await, first, "{leaves}");
    }
    no_transaction_is_open(t.engine.pool(), "a begin").await;
    let mut conn = pool.acquire().await.expect("a connection");
    let kept = crate::support::backend_pid(&mut conn).await;
    drop(conn);
    let mut conn = pool.acquire().await.expect("a connection");
    assert_eq!(crate::support::backend_pid(&mut conn).await, kept, "one that is as it was is kept");
    t.finish().await;
}

/// What a session has sent last stays to be seen; a pool's sign of life leaves no trace.
#[tokio::test]
async fn only_what_others_have_used_is_looked_at() {
    let t = TestEngine::idle().await;
    let options: sqlx::postgres::PgConnectOptions = t.database().url().parse().expect("the URL is one");
    let options = options.application_name("looked at");
    let pool = guarded(PgPoolOptions::new().max_connections(1)).connect_lazy_with(options);
    let engine = Engine::new(pool.clone(), t.script.registry());
    let last = async || {
        wait_until("it is back", async || pool.num_idle() == 1).await;
        let query = "SELECT query FROM pg_stat_activity WHERE application_name = 'looked at'";
        sqlx::query_scalar::<_, String>(query).fetch_one(t.engine.pool()).await.expect("it is there")
    };
    let looks = |sent: String| sent.contains("default_transaction_read_only");
    // With its hint, which is the last thing that it sends.
    let start = async || {
        let run = engine.start(request("scripted", &[signal("go", None)])).await.expect("it starts").run;
        wait_until("the hint is sent", async || last().await.contains("pg_notify")).await;
        run
    };
    let run = start().await;
    engine.result(run, Duration::ZERO).await.expect("it is there");
    assert!(looks(last().await), "load_result is not one of those that are asked often");
    start().await;
    engine.signal(RunId::nil(), "go", None, None).await.expect_err("there is none");
    assert!(looks(last().await), "nobody knows what an error leaves behind");
    start().await;
    sqlx::query("SELECT 1").execute(&pool).await.expect("it is answered");
    assert!(looks(last().await), "a service's is");
    for _ in 0..2 {
        engine.signal(run, "go", None, None).await.expect("it is sent");
        assert!(!looks(last().await), "the engine's own is not");
    }
    t.finish().await;
}

#[tokio::test]
async fn a_commit_after_a_dropped_savepoint_is_no_lie() {
    let t = TestEngine::idle().await;
    t.execute("CREATE TABLE public.effect (n int)").await;
    let run = t.start(&[signal("go", None)]).await;
    let by = operator();
    for polls in 1..12 {
        let mut tx = t.engine.begin().await.expect("begins");
        sqlx::query("INSERT INTO public.effect VALUES (1)").execute(&mut *tx).await.expect("writes");
        {
            let mut verb = Box::pin(t.engine.apply_verb_in(&mut tx, run, &Verb::Pause, &by));
            for _ in 0..polls {
                if futures_util::poll!(&mut verb).is_ready() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        }
        let before = t.count_effects().await;
        let committed = tx.commit().await.is_ok();
        wait_until("what was said is so", async || t.count_effects().await == before + i64::from(committed)).await;
    }
    no_transaction_is_open(t.engine.pool(), "a savepoint").await;
    t.finish().await;
}

impl TestEngine {
    async fn count_effects(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM public.effect").fetch_one(self.engine.pool()).await.expect("counts")
    }
}
