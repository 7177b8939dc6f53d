//! A bad night: the gateway breaks while a thousand orders come and go, they pile up in several ways, and one person mends it
//! all with the runbook of docs/runbook.md and nothing else: once with the command line alone, once with a browser alone.
//!
//! | part | is |
//! |---|---|
//! | `stage` | Postgres, the gateway simulator, and the processes of a small deployment, with keys |
//! | `pile` | the customers, and how their orders pile up |
//! | `terminal` | the command line as the person at it sees it |
//! | `browser` | the dashboard, signed in with the same key |
//! | `books` | what has to add up in the morning, and the story that the audit tells |

mod books;
mod browser;
#[path = "../browser/chrome.rs"]
#[allow(dead_code, reason = "the tests of single pages ask more of a browser")]
mod chrome;
mod pile;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod terminal;

use serde_json::Value;

use self::{pile::Pile, stage::Stage, terminal::Terminal};

/// The steps of docs/runbook.md ("A bad night: the gateway is down") are the comments here, in their order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_night_outage_is_mended_in_the_terminal() {
    let stage = Stage::set().await;
    let terminal = Terminal::new(&stage);
    let pile = Pile::heap(&stage).await;

    // 1. What is wrong?
    terminal.run(&["attention"]);
    let stuck = group(&terminal, "stuck");
    let groups = terminal.json(&["attention", "list", "--kind", "stuck"]);
    let counts = groups["items"].as_array().expect("groups").iter().map(|group| group["count"].as_i64());
    assert!(counts.flatten().sum::<i64>() >= pile.stuck_at_least(), "{groups}");
    let why = terminal.say(&["run", "why", stuck["example"].as_str().expect("an example")]);
    // Some saw the gateway's answer; from then on the breaker has spared it the others.
    assert!(why.contains("503") || why.contains("the breaker of stripe is open"), "{why}");

    // 2. Hold back what calls the gateway. New orders wait now, in place of being given up.
    for activity in pile::CALLS_THE_GATEWAY {
        terminal.run(&["hold", "set", "activity", activity, "--reason", "the gateway is down, INC-7"]);
    }
    terminal.run(&["hold", "list"]);
    let held = pile.more_come(&stage).await;
    stage
        .until("a new order is held", async || terminal.say(&["run", "why", &held]).contains("holds create_intent"))
        .await;

    // 3. The gateway is back: release the holds. What waited goes on by itself.
    stage.gateway_is("available").await;
    for activity in pile::CALLS_THE_GATEWAY {
        terminal.run(&["hold", "release", "activity", activity, "--reason", "the gateway is back"]);
    }

    // 4. Try the stuck ones again: first what would happen, then for real.
    let retry = ["run", "retry", "--status", "stuck", "--rate", "500", "--reason", "the gateway is back"];
    terminal.run(&[&retry[..], &["--dry-run"]].concat());
    let plan = terminal.json(&[&retry[..], &["--dry-run"]].concat());
    assert!(plan["total"].as_i64().expect("a count") >= pile.stuck_at_least(), "{plan}");
    terminal.run(&[&retry[..], &["--yes"]].concat());
    stage.until("only refused refunds are left", async || pile.only_refused_refunds_are_stuck(&stage).await).await;

    // 5. What the bank refuses: call the bank, then try those again, by their fingerprint.
    terminal.run(&["attention", "list", "--kind", "stuck"]);
    let refused = group(&terminal, "stuck")["fingerprint"].as_str().expect("hex").to_owned();
    stage.bank_lifts_its_block().await;
    let reason = "the bank lifted its block";
    terminal.run(&["run", "retry", "--fingerprint", &refused, "--rate", "500", "--reason", reason, "--yes"]);
    terminal.run(&["operation", "list"]);
    stage.until("nothing is stuck", async || terminal.list_count("stuck").await == 0).await;

    // 6. One customer's complaint: see what undoing the order means, then do it.
    let placed = pile.a_placed_order(&stage).await;
    let compensate = ["run", "compensate", placed.as_str(), "--reason", "complaint 4711"];
    terminal.run(&[&compensate[..], &["--dry-run"]].concat());
    let plan = terminal.json(&[&compensate[..], &["--dry-run"]].concat());
    assert!(!plan["undo"].as_array().expect("undos").is_empty(), "{plan}");
    terminal.run(&[&compensate[..], &["--yes"]].concat());
    stage.until("it is undone", async || terminal.json(&["run", "show", &placed])["status"] == "compensated").await;
    terminal.run(&["run", "show", &placed]);

    // 7. Is everything all right?
    stage.until("all is at rest", async || pile.at_rest(&stage).await).await;
    terminal.say(&["doctor", "--database-url", &stage.database_url()]);
    let groups = terminal.json(&["attention"]);
    assert_eq!(groups["items"].as_array().map(Vec::len), Some(0), "{groups}");
    terminal.run(&["audit", "--run", &placed]);
    books::add_up(&stage).await;
    books::audit_tells_the_story(&terminal.audit(), "key:night-shift");
    stage.strike().await;
}

/// The largest group of a kind.
fn group(terminal: &Terminal, kind: &str) -> Value {
    let groups = terminal.json(&["attention", "list", "--kind", kind]);
    groups["items"].as_array().expect("groups").first().expect("something needs attention").clone()
}
