//! The text of a message. Without an error's own message, which may quote what is somebody's: the page has it.

use serde_json::{Value, json};
use uuid::Uuid;

use super::model::{AlertMessage, Change, News};
use crate::{engine::Time, notices::Targets};

/// Of a message that sums up, so many are spelt out.
const SPELT_OUT: usize = 20;
/// The longest title, which has names that others chose.
const LONGEST_TITLE: usize = 200;

/// A message for each target.
pub(super) fn write(id: Uuid, now: Time, news: &[News], targets: &Targets) -> Vec<AlertMessage> {
    let (subject, text, body) = (subject(news), text(news, targets), body(id, now, news, targets));
    let body = |text: &str| {
        let mut body = body.clone();
        body["text"] = Value::from(format!("{subject}\n\n{text}"));
        body
    };
    let message = |target: &str| {
        let (target, subject, text, body) = (target.to_owned(), subject.clone(), text.clone(), body(&text));
        AlertMessage { id, target, subject, text, body }
    };
    targets.names().map(message).collect()
}

fn subject(news: &[News]) -> String {
    match news {
        [only] => format!("[Backstitch] {}", headline(only)),
        many => {
            let over = many.iter().filter(|news| news.change == Change::Over).count();
            format!("[Backstitch] {} things are wrong, {over} are over", many.len().saturating_sub(over))
        }
    }
}

/// What is said of something, in a line.
fn headline(news: &News) -> String {
    let condition = &news.condition;
    let title: String = condition.title.chars().filter(|c| !c.is_control()).take(LONGEST_TITLE).collect();
    let (one, several) = condition.unit;
    let count = match condition.count {
        _ if several.is_empty() || news.change == Change::Over => String::new(),
        1 => format!(" (1 {one})"),
        count => format!(" ({count} {several})"),
    };
    let before = match news.change {
        Change::New => "",
        Change::Grown => "more: ",
        Change::Still => "still: ",
        Change::Over => "resolved: ",
    };
    format!("{before}{title}{count}")
}

fn text(news: &[News], targets: &Targets) -> String {
    let mut parts: Vec<String> = news.iter().take(SPELT_OUT).map(|news| paragraph(news, targets)).collect();
    if news.len() > SPELT_OUT {
        parts.push(format!("And {} more: {}", news.len() - SPELT_OUT, targets.link("/attention")));
    }
    parts.join("\n\n")
}

fn paragraph(news: &News, targets: &Targets) -> String {
    let condition = &news.condition;
    let mut lines = vec![format!("{}.", headline(news)), format!("Since {}.", show_time(news.since))];
    lines.push(format!("See {}", targets.link(&condition.path)));
    if news.change != Change::Over {
        lines.push(format!("Begin with: {}", condition.command));
        lines.push(format!("What it means: docs/runbook.md#{}", condition.runbook));
    }
    lines.join("\n")
}

fn body(id: Uuid, now: Time, news: &[News], targets: &Targets) -> Value {
    let alert = |news: &News| {
        let condition = &news.condition;
        json!({
            "key": condition.key, "change": news.change, "title": condition.title, "count": condition.count,
            "since": news.since, "url": targets.link(&condition.path),
        })
    };
    json!({"id": id, "time": now, "subject": subject(news), "alerts": news.iter().map(alert).collect::<Vec<_>>()})
}

fn show_time(at: Time) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Secret,
        notices::{AlertSettings, NoticeSettings},
        orders::alerts::model::Condition,
    };

    fn targets() -> Targets {
        let (alerts, public_url) = (Some(Secret::from("http://h/x")), Some("https://orders.example".to_owned()));
        let alerts = AlertSettings { alerts, public_url, alerts_secret: None };
        NoticeSettings { alerts, ..NoticeSettings::default() }.open().expect("usable").targets
    }

    fn stuck(change: Change) -> News {
        let condition = Condition {
            key: "stuck 1".to_owned(),
            title: "order is stuck at\r\nrefund".to_owned(),
            count: 3,
            unit: ("run", "runs"),
            since: None,
            path: "/runs/7".to_owned(),
            command: "backstitch run why 7".to_owned(),
            runbook: "alert-attention",
        };
        News { change, since: Time::UNIX_EPOCH, condition }
    }

    #[test]
    fn a_message_says_what_since_when_and_what_helps() {
        let message = write(Uuid::nil(), Time::UNIX_EPOCH, &[stuck(Change::New)], &targets()).remove(0);
        assert_eq!(message.subject, "[Backstitch] order is stuck atrefund (3 runs)");
        let lines: Vec<&str> = message.text.lines().collect();
        let expected = [
            "order is stuck atrefund (3 runs).",
            "Since 1970-01-01 00:00 UTC.",
            "See https://orders.example/runs/7",
            "Begin with: backstitch run why 7",
            "What it means: docs/runbook.md#alert-attention",
        ];
        assert_eq!(lines, expected);
        assert_eq!(message.body["alerts"][0]["url"], "https://orders.example/runs/7");
        assert!(message.body["text"].as_str().is_some_and(|text| text.contains("Since")), "{}", message.body);
    }

    #[test]
    fn what_is_over_needs_no_command() {
        let message = write(Uuid::nil(), Time::UNIX_EPOCH, &[stuck(Change::Over)], &targets()).remove(0);
        assert_eq!(message.subject, "[Backstitch] resolved: order is stuck atrefund");
        assert!(!message.text.contains("Begin"), "{}", message.text);
    }

    #[test]
    fn many_are_summed_up() {
        let mut news = vec![stuck(Change::New); 22];
        news.push(stuck(Change::Over));
        let message = write(Uuid::nil(), Time::UNIX_EPOCH, &news, &targets()).remove(0);
        assert_eq!(message.subject, "[Backstitch] 22 things are wrong, 1 are over");
        assert_eq!(message.text.matches("Begin with").count(), 20);
        assert!(message.text.ends_with("And 3 more: https://orders.example/attention"), "{}", message.text);
    }
}
