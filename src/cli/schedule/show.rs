//! `backstitch schedule show`: one schedule, when it starts next, and the results of its slots.

use super::{coming, in_zone, path};
use crate::{
    cli::{
        answer,
        client::Client,
        output::{Out, now, table, tell},
    },
    engine::{ScheduleDetail, Slot, Time},
};

/// The schedule.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name
    name: String,
    /// At most this many slots (up to 200)
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Cursor from the previous page of slots
    #[arg(long)]
    cursor: Option<String>,
}

pub(super) async fn run(args: &Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.cursor.clone().map(|cursor| ("cursor", cursor)));
    let answer = client.get(&path(&args.name), &query).await?;
    let detail = answer::show(&answer, out, |detail| render(detail, out, now()))?;
    if let Some(cursor) = detail.and_then(|detail| detail.slots.next_cursor) {
        tell(format!("more slots with --cursor {cursor}"));
    }
    Ok(())
}

fn render(detail: &ScheduleDetail, out: Out, now: Time) -> String {
    let schedule = &detail.schedule;
    let paused = if schedule.paused { format!(", {}", out.paint("paused")) } else { String::new() };
    let queue = schedule.queue.as_deref().unwrap_or("default");
    let mut lines = vec![
        format!("schedule {}{paused}: {} ({})", schedule.name, schedule.cron, schedule.time_zone),
        format!("  starts {} in queue {queue}", schedule.workflow),
        format!("  while the previous run goes on: {}; after downtime: {}", schedule.overlap, schedule.catch_up),
        coming(schedule, now),
    ];
    if schedule.queued > 0 || schedule.missed > 0 {
        lines.push(format!("  {} queued, {} missed", schedule.queued, schedule.missed));
    }
    let row = |slot: &Slot| {
        let note = slot.run_id.map(|id| id.to_string()).or_else(|| slot.message.clone()).unwrap_or_default();
        vec![in_zone(slot.slot, &schedule.time_zone), out.paint(slot.outcome.word()), note]
    };
    let rows: Vec<_> = detail.slots.items.iter().map(row).collect();
    if !rows.is_empty() {
        lines.push(String::new());
        lines.push(table(&["SLOT", "OUTCOME", "RUN OR REASON"], rows));
    }
    lines.retain(|line| !line.is_empty() || !schedule.next.is_empty());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{cli::output::Format, engine::samples};

    #[test]
    fn a_schedule_shows_its_times_and_past_slots() {
        let detail: ScheduleDetail = samples::with(
            samples::schedule_json(),
            json!({
                "name": "report", "cron": "0 9 * * 1", "time_zone": "Europe/Berlin", "workflow": "report", "queue": null,
                "overlap": "skip", "catch_up": "latest", "paused": false, "missed": 1, "queued": 0,
                "next": ["2026-01-05T08:00:00Z", "2026-01-12T08:00:00Z"], "last": null,
                "slots": {"next_cursor": null, "items": [
                    {"slot": "2025-12-29T08:00:00Z", "outcome": "started", "run_id": "01998877-6655-7443-8221-100000000000", "message": null, "at": "2025-12-29T08:00:01Z"},
                    {"slot": "2025-12-22T08:00:00Z", "outcome": "missed", "run_id": null, "message": "nobody saw to it in time", "at": "2025-12-29T08:00:01Z"},
                ]},
            }),
        );
        let now = "2026-01-01T00:01:30Z".parse().expect("a time");
        let text = render(&detail, Out { format: Format::Table, colour: false }, now);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text, @r"
        schedule report: 0 9 * * 1 (Europe/Berlin)
          starts report in queue default
          while the previous run goes on: skip; after downtime: latest
          next Mon 05 Jan 09:00 CET (in 4d)
          next Mon 12 Jan 09:00 CET (in 11d)
          0 queued, 1 missed

        SLOT                  OUTCOME  RUN OR REASON
        Mon 29 Dec 09:00 CET  started  01998877-6655-7443-8221-100000000000
        Mon 22 Dec 09:00 CET  missed   nobody saw to it in time
        ");
    }
}
