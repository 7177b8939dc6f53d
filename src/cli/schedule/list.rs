//! `backstitch schedule list`: schedules, one line each.

use crate::{
    cli::{
        answer::show_list,
        client::Client,
        output::{Out, cut, now, relative, table},
    },
    engine::{Schedule, Time},
};

pub(super) async fn run(client: &Client, out: Out) -> anyhow::Result<()> {
    let answer = client.get("/v1/schedules", &[]).await?;
    show_list(&answer, out, "no schedules; `backstitch schedule set` creates one", |all| render(all, out, now()))?;
    Ok(())
}

fn render(schedules: &[Schedule], out: Out, now: Time) -> String {
    let row = |schedule: &Schedule| {
        let next = match schedule.next.first() {
            _ if schedule.paused => out.paint("paused"),
            Some(next) => relative(*next, now),
            None => "never".to_owned(),
        };
        let last = schedule.last.as_ref().map_or_else(String::new, |last| {
            format!("{} {}", out.paint(last.outcome.word()), relative(last.slot, now))
        });
        vec![
            cut(&schedule.name, 20),
            cut(&schedule.cron, 14),
            next,
            last,
            if schedule.missed > 0 { schedule.missed.to_string() } else { String::new() },
        ]
    };
    table(&["NAME", "CRON", "NEXT", "LAST", "MISSED"], schedules.iter().map(row))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{cli::output::Format, engine::samples};

    #[test]
    fn a_list_fits_eighty_columns_and_says_what_was_missed() {
        let schedule = |name: &str, paused: bool| -> Schedule {
            samples::with(
                samples::schedule_json(),
                json!({
                    "name": name, "cron": "*/30 * * * *", "paused": paused, "missed": 12, "next": ["2026-01-01T00:30:00Z"],
                }),
            )
        };
        let schedules = [schedule("archive-sweep", false), schedule("a-report-with-a-long-name", true)];
        let now = "2026-01-01T00:01:30Z".parse().expect("a time");
        let text = render(&schedules, Out { format: Format::Table, colour: false }, now);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text, @r"
        NAME                  CRON          NEXT       LAST               MISSED
        archive-sweep         */30 * * * *  in 28m30s  started 1m30s ago  12
        a-report-with-a-lon…  */30 * * * *  paused     started 1m30s ago  12
        ");
    }
}
