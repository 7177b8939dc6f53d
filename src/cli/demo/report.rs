//! The demo's report.

use serde::Serialize;

use super::{ledger::Books, messages::Messages, play::Outcome};
use crate::{
    cli::{
        output::{Out, table},
        run::timeline,
    },
    engine::{Run, RunStatus},
    orders::{Order, money::format_amount, state::Word},
};

/// Results of all scenarios.
#[derive(Serialize)]
pub(super) struct Report {
    orders: Vec<Row>,
    books: Books,
    messages: Messages,
    #[serde(skip)]
    compensated: Option<(Order, Run)>,
    right: bool,
}

#[derive(Serialize)]
struct Row {
    scenario: &'static str,
    token: &'static str,
    right: bool,
    order: Option<Order>,
    run_status: Option<RunStatus>,
    wrong: Option<String>,
}

impl Report {
    pub(super) fn of(played: Vec<Outcome>, books: Books, messages: Messages) -> Self {
        let ended = played.iter().filter_map(|outcome| outcome.ended.as_ref().ok());
        // The most interesting one.
        let compensated =
            ended.filter(|(_, run)| run.status == "compensated").max_by_key(|(_, run)| steps(run)).cloned();
        let orders: Vec<Row> = played.into_iter().map(Row::of).collect();
        let right = orders.iter().all(|row| row.right) && books.add_up() && messages.is_complete();
        Self { orders, books, messages, compensated, right }
    }

    /// Whether every outcome is the right one and the books add up.
    pub(super) const fn right(&self) -> bool {
        self.right
    }

    pub(super) fn print(&self, out: Out) -> anyhow::Result<()> {
        out.show(self, || {
            let compensated = self.compensated.as_ref().map(|(order, run)| {
                let now = run.finished_at.unwrap_or(run.created_at);
                format!("{}\n\nWhat it said\n{}", timeline::render(run, out, now), self.messages.of_order(order.id))
            });
            let (table, compensated) = (self.table(out), compensated.unwrap_or_default());
            let (messages, books) = (self.messages.counts(), self.books_text(out));
            format!("{table}\n\nA compensated order\n{compensated}\n\nEvents and notices\n{messages}\n\n{books}")
        })
    }

    fn table(&self, out: Out) -> String {
        let rows = self.orders.iter().map(|row| {
            let word = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), ToOwned::to_owned);
            let order = row.order.as_ref();
            vec![
                out.paint(if row.right { "✓" } else { "✗" }),
                row.scenario.to_owned(),
                word(order.map(|order| order.state.word())),
                word(order.map(|order| order.payment_state.word())),
                word(row.run_status.map(RunStatus::word)),
                order.map_or_else(String::new, back),
            ]
        });
        table(&["", "WHAT HAPPENED", "ORDER", "PAYMENT", "RUN", "BACK"], rows)
    }

    fn books_text(&self, out: Out) -> String {
        let books = &self.books;
        let mark = |(is, should): (i64, i64)| out.paint(if is == should { "✓" } else { "✗" });
        let mut text = format!(
            "Ledger check ({} payments at the gateway)\n\
             {} captured {:>14}   our books {:>14}\n\
             {} refunded {:>14}   our books {:>14}\n\
             {} on hand  {:>14}   by orders {:>14}\n\
             {} held     {:>14}   by orders {:>14}\n",
            books.payments,
            mark(books.captured),
            euros(books.captured.0),
            euros(books.captured.1),
            mark(books.refunded),
            euros(books.refunded.0),
            euros(books.refunded.1),
            mark(books.on_hand),
            books.on_hand.0,
            books.on_hand.1,
            mark(books.held),
            books.held.0,
            books.held.1,
        );
        let wrong = self.orders.iter().filter_map(|row| row.wrong.as_ref().map(|wrong| (row.scenario, wrong)));
        wrong.for_each(|(scenario, wrong)| text.push_str(&format!("✗ {scenario}: {wrong}\n")));
        books.breaches.iter().for_each(|breach| text.push_str(&format!("✗ {breach}\n")));
        if self.right {
            text.push_str("Every outcome is the right one, and the books add up.\n");
        }
        text
    }
}

impl Row {
    fn of(outcome: Outcome) -> Self {
        let (order, run) = outcome.ended.ok().unzip();
        Self {
            scenario: outcome.scenario.title(),
            token: outcome.scenario.token(),
            right: outcome.wrong.is_none(),
            run_status: run.map(|run| run.status),
            order,
            wrong: outcome.wrong,
        }
    }
}

fn steps(run: &Run) -> usize {
    run.steps.as_ref().map_or(0, Vec::len)
}

/// The refund, in per cent of the captured amount.
fn back(order: &Order) -> String {
    if order.captured == 0 { String::new() } else { format!("{} %", order.refunded * 100 / order.captured) }
}

/// All of the demo's prices are in euros.
fn euros(minor: i64) -> String {
    format_amount(minor, "EUR")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::{
        demo::{
            scenario::Scenario,
            stage::{ON_HAND, PRICE},
        },
        output::Format,
    };

    /// What the demo's order of that number ends as.
    fn played(number: usize) -> (Row, i64) {
        let scenario = Scenario::ALL[number % Scenario::ALL.len()];
        let expected = scenario.expected();
        let quantity = 1 + number as i64 % 3;
        let paid = matches!(expected.payment.word(), "captured" | "partially_refunded" | "refunded");
        let captured = if paid { quantity * PRICE } else { 0 };
        let order = json!({
            "id": uuid::Uuid::nil(), "run_id": uuid::Uuid::nil(), "customer_id": "c", "state": expected.state,
            "cancel_reason": expected.reason, "payment_state": expected.payment, "stock_state": expected.stock, "items": [],
            "total": quantity * PRICE, "refunded": captured * expected.refunded / 100, "currency": "EUR", "placed_at": null,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "archived": false,
            "captured": captured, "intent_id": null, "delivery": null, "cancel": null, "refund_tiers": "",
            "dispatched_at": null, "delivered_at": null,
        });
        let run_status = match scenario {
            Scenario::Declined
            | Scenario::TimeoutBeforeEffect
            | Scenario::OutOfStock
            | Scenario::UndoFailsUntilRetry => RunStatus::Compensated,
            _ if expected.state.word() == "processing" => RunStatus::Waiting,
            _ => RunStatus::Completed,
        };
        let row = Row {
            scenario: scenario.title(),
            token: scenario.token(),
            right: true,
            order: Some(serde_json::from_value(order).expect("an order")),
            run_status: Some(run_status),
            wrong: None,
        };
        (row, if expected.stock.word() == "committed" { quantity } else { 0 })
    }

    /// One that falls back leaves a payment without money at the first vendor.
    fn payments_of(scenario: &str) -> usize {
        match scenario {
            title if title == Scenario::OutOfStock.title() => 0,
            title if title == Scenario::FallsBack.title() => 2,
            _ => 1,
        }
    }

    /// The lines of the README between its marks, without the command and the line that stands for others.
    fn transcript() -> Vec<&'static str> {
        let readme = include_str!("../../../README.md");
        let (_, rest) = readme.split_once("<!-- demo transcript -->").expect("it has a transcript");
        let (text, _) = rest.split_once("<!-- /demo transcript -->").expect("it ends");
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("```"));
        lines.filter(|line| !line.starts_with("$ ") && !line.contains('…')).collect()
    }

    #[test]
    fn the_transcript_in_the_readme_is_real() {
        let (orders, taken): (Vec<Row>, Vec<i64>) = (0..20).map(played).unzip();
        let sum = |amount: fn(&Order) -> i64| orders.iter().filter_map(|row| row.order.as_ref()).map(amount).sum();
        let (captured, refunded): (i64, i64) = (sum(|order| order.captured), sum(|order| order.refunded));
        let left = ON_HAND - taken.iter().sum::<i64>();
        let books = Books {
            payments: orders.iter().map(|row| payments_of(row.scenario)).sum(),
            captured: (captured, captured),
            refunded: (refunded, refunded),
            on_hand: (left, left),
            held: (0, 0),
            breaches: Vec::new(),
        };
        let report = Report { orders, books, messages: Messages::default(), compensated: None, right: true };
        let out = Out { format: Format::Table, colour: false };
        let printed = format!("{}\n{}", report.table(out), report.books_text(out));
        let mut after = printed.lines();
        for line in transcript() {
            assert!(after.any(|printed| printed == line), "the demo does not print `{line}` there, but\n{printed}");
        }
    }
}
