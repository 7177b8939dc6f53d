//! What is wrong now: the engine's records and the shop's, read.

use chrono::TimeDelta;

use super::model::Condition;
use crate::{
    engine::{AttentionFilter, AttentionGroup, AttentionKind, BreakerMode, BreakerScope, BreakerState, Gauges, Time},
    orders::{Error, Orders, store},
};

/// What needs an operator. What is still retrying may mend itself, and what is overdue is a matter of how much there is to do.
const KINDS: [AttentionKind; 5] = [
    AttentionKind::Stuck,
    AttentionKind::UndoFailed,
    AttentionKind::Poison,
    AttentionKind::Unknown,
    AttentionKind::BestEffort,
];
/// Groups of a kind that are read at a time, and how often.
const PAGE: u32 = 200;
const MOST_PAGES: usize = 5;
/// A sink lags when its oldest event is older, in seconds: as the alert of Prometheus says.
const LAG_S: f64 = 300.0;
/// How long the database may take for the engine's numbers.
const ANSWERED_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);

/// What is wrong.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) found: Vec<Condition>,
    /// That is all; otherwise there is more than was read.
    pub(super) complete: bool,
}

/// Looks.
pub(super) async fn look(orders: &Orders) -> Result<Look, Error> {
    let engine = orders.engine();
    let gauges = engine.gauges(ANSWERED_WITHIN).await?;
    let mut look = Look { found: Vec::new(), complete: true };
    if gauges.attention_runs > 0 {
        for kind in KINDS {
            look.complete &= read_attention(orders, kind, &mut look.found).await?;
        }
    }
    let mut conn = engine.acquire().await?;
    let now = store::now(&mut conn).await?;
    look.found.extend(store::alerts::parked_notifications(&mut conn).await?.map(parked_notices));
    let differences = store::alerts::open_differences(&mut conn).await?;
    drop(conn);
    look.found.extend(differences.into_iter().map(|(kind, count, since)| differing(&kind, count, since)));
    look.found.extend(of_gauges(&gauges, now));
    look.found.extend(engine.breakers().await?.iter().flat_map(of_breakers));
    Ok(look)
}

/// Reads the groups of a kind; gives whether there are no more.
async fn read_attention(orders: &Orders, kind: AttentionKind, found: &mut Vec<Condition>) -> Result<bool, Error> {
    let mut filter = AttentionFilter { kind: Some(kind), limit: Some(PAGE), ..AttentionFilter::default() };
    for _ in 0..MOST_PAGES {
        let page = orders.engine().attention(&filter).await?;
        found.extend(page.items.into_iter().map(of_group));
        filter.cursor = page.next_cursor;
        if filter.cursor.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn of_group(group: AttentionGroup) -> Condition {
    let AttentionGroup { fingerprint, kind, workflow, step, code, count, first_seen, example, .. } = group;
    let workflow = workflow.unwrap_or_else(|| "a workflow".to_owned());
    let place = step.map(|step| format!(" at {step}")).unwrap_or_default();
    let what = match kind {
        AttentionKind::Stuck => "is stuck",
        AttentionKind::UndoFailed => "is stuck, half undone,",
        AttentionKind::Poison => "has killed its workers",
        AttentionKind::Unknown => "may have had an effect",
        _ => "went on without a step",
    };
    Condition {
        key: format!("{} {} {workflow}", kind.word(), fingerprint.unwrap_or_default()),
        title: format!("{workflow} {what}{place}: {code}"),
        count,
        unit: ("run", "runs"),
        since: Some(first_seen),
        path: format!("/runs/{example}"),
        command: format!("backstitch run why {example}"),
        runbook: "alert-attention",
    }
}

fn parked_notices((count, since): (i64, Time)) -> Condition {
    Condition {
        key: "notifications parked".to_owned(),
        title: "notices to people are parked".to_owned(),
        count,
        unit: ("notice", "notices"),
        since: Some(since),
        path: "/notifications".to_owned(),
        command: "backstitch notification list --state parked".to_owned(),
        runbook: "alert-notifications-parked",
    }
}

fn differing(kind: &str, count: i64, since: Time) -> Condition {
    Condition {
        key: format!("difference {kind}"),
        title: format!("the books differ from the gateway's: {kind}"),
        count,
        unit: ("difference", "differences"),
        since: Some(since),
        path: "/differences".to_owned(),
        command: "backstitch reconcile".to_owned(),
        runbook: "alert-differences",
    }
}

fn of_gauges(gauges: &Gauges, now: Time) -> Vec<Condition> {
    let lags = gauges.outbox.iter().filter(|lag| lag.seconds > LAG_S);
    let mut found: Vec<Condition> = lags
        .map(|lag| Condition {
            key: format!("outbox {}", lag.sink),
            title: format!("events don't reach {}", lag.sink),
            count: lag.rows,
            unit: ("event", "events"),
            since: now.checked_sub_signed(TimeDelta::seconds(lag.seconds as i64)),
            path: "/events".to_owned(),
            command: "backstitch event sinks".to_owned(),
            runbook: "alert-outbox-lag",
        })
        .collect();
    if gauges.events_parked > 0 {
        found.push(Condition {
            key: "events parked".to_owned(),
            title: "events from outside are parked".to_owned(),
            count: gauges.events_parked,
            unit: ("event", "events"),
            since: None,
            path: "/inbox".to_owned(),
            command: "backstitch inbox list --state parked".to_owned(),
            runbook: "alert-events-parked",
        });
    }
    found
}

fn of_breakers(scope: &BreakerScope) -> Vec<Condition> {
    let name = &scope.scope;
    let is_of_notices = name.starts_with("notice/");
    let condition = |key: String, title: String, since| Condition {
        key,
        title,
        count: 1,
        unit: ("", ""),
        since,
        path: if is_of_notices { "/notifications" } else { "/vendors" }.to_owned(),
        command: format!("backstitch {} list", if is_of_notices { "provider" } else { "vendor" }),
        runbook: "alert-breaker-open",
    };
    match scope.mode {
        BreakerMode::Closed => Vec::new(),
        BreakerMode::Open => {
            let title = format!("an operator holds back all calls of {name}");
            vec![condition(format!("breaker {name}"), title, scope.set_at)]
        }
        BreakerMode::Auto => {
            let open = scope.operations.iter().filter(|breaker| breaker.state != BreakerState::Closed);
            open.map(|breaker| {
                let operation = &breaker.operation;
                let title = format!("calls of {name} are held back: {operation} fails");
                condition(format!("breaker {name} {operation}"), title, Some(breaker.since))
            })
            .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{BreakerStatus, SinkLag};

    #[test]
    fn a_sink_lags_after_five_minutes() {
        let lag = |sink: &str, seconds| SinkLag { sink: sink.to_owned(), rows: 7, seconds };
        let gauges = Gauges {
            runs: Vec::new(),
            oldest_due_seconds: 0.0,
            attention_runs: 0,
            holds: 0,
            operations_open: 0,
            events_parked: 0,
            workers_alive: 1,
            outbox: vec![lag("kafka", 301.0), lag("webhook", 300.0)],
        };
        let now = Time::UNIX_EPOCH + TimeDelta::seconds(1_000);
        let found = of_gauges(&gauges, now);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].title.as_str(), found[0].count), ("events don't reach kafka", 7));
        assert_eq!(found[0].since, Some(Time::UNIX_EPOCH + TimeDelta::seconds(699)));
    }

    #[test]
    fn a_breaker_that_is_not_closed_is_told() {
        let status = |operation: &str, state| {
            let (operation, since) = (operation.to_owned(), Time::UNIX_EPOCH);
            BreakerStatus { operation, state, since, calls: 20, failures: 20 }
        };
        let operations =
            [("charge", BreakerState::Open), ("void", BreakerState::HalfOpen), ("refund", BreakerState::Closed)];
        let scope = |mode| BreakerScope {
            scope: "payment/stripe".to_owned(),
            mode,
            actor: None,
            reason: None,
            set_at: None,
            operations: operations.iter().map(|(operation, state)| status(operation, *state)).collect(),
        };
        let titles = |mode| of_breakers(&scope(mode)).into_iter().map(|found| found.title).collect::<Vec<_>>();
        let held = |operation: &str| format!("calls of payment/stripe are held back: {operation} fails");
        assert_eq!(titles(BreakerMode::Auto), [held("charge"), held("void")]);
        assert_eq!(titles(BreakerMode::Open), ["an operator holds back all calls of payment/stripe"]);
        assert!(titles(BreakerMode::Closed).is_empty());
    }
}
