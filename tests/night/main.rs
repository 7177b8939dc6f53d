//! A bad night: the gateway breaks while a thousand orders come and go, they pile up in several ways, and one person mends it
//! all with the runbook of docs/operations.md and nothing else: once with the command line alone, once with a browser alone.
//!
//! | part | is |
//! |---|---|
//! | `stage` | Postgres, the gateway simulator, and the processes of a small deployment, with keys |
//! | `pile` | the customers, and how their orders pile up |
//! | `terminal` | the command line as the person at it sees it |
//! | `books` | what has to add up in the morning, and the story that the audit tells |

mod books;
mod pile;
mod stage;
mod terminal;

use self::{pile::Pile, stage::Stage, terminal::Terminal};

/// The sections of docs/operations.md ("A bad night: the gateway is down") are the comments here, in their order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_night_is_mended_from_the_terminal_alone_heavy_outage() {
    let stage = Stage::set().await;
    let terminal = Terminal::new(&stage);
    let pile = Pile::heap(&stage).await;

    // 1. What is wrong?
    let groups = terminal.json(&["attention"]);
    let first = groups["items"].as_array().expect("groups").first().expect("something needs attention").clone();
    assert!(first["count"].as_i64().expect("a count") > 50, "{first}");
    let example = first["example"].as_str().expect("an example");
    let why = terminal.json(&["run", "why", example]);
    assert!(why.to_string().contains("gateway"), "{why}");

    // 2. Hold what calls the gateway.
    for activity in pile::CALLS_THE_GATEWAY {
        terminal.run(&["hold", "set", "activity", activity, "--reason", "the gateway is down, INC-7"]);
    }
    pile.more_come(&stage).await;
    stage.until("nobody tries any more", async || terminal.list_count("running").await == 0).await;

    // 3. The gateway is back: let go, and let those that waited go on by themselves.
    stage.gateway_is("available").await;
    for activity in pile::CALLS_THE_GATEWAY {
        terminal.run(&["hold", "release", "activity", activity, "--reason", "the gateway is back"]);
    }

    // 4. Try the stuck ones again: first what would happen, then for real.
    let plan = terminal.json(&["run", "retry", "--status", "stuck", "--dry-run", "--reason", "the gateway is back"]);
    assert!(plan["matched"].as_i64().expect("a count") >= pile.stuck_at_least(), "{plan}");
    terminal.bulk(&["run", "retry", "--status", "stuck", "--rate", "500", "--reason", "the gateway is back"]);
    stage.until("only refused refunds are left", async || pile.only_refused_refunds_are_stuck(&stage).await).await;

    // 5. What the bank refused: call the bank, then try those again, by their fingerprint.
    let groups = terminal.json(&["attention"]);
    let refused = groups["items"].as_array().expect("groups").iter().find(|group| group["kind"] == "stuck");
    let refused = refused.expect("the refused refunds are on the list")["fingerprint"].as_str().expect("hex").to_owned();
    stage.bank_lifts_its_block().await;
    terminal.bulk(&["run", "retry", "--fingerprint", &refused, "--rate", "500", "--reason", "the bank lifted its block"]);
    stage.until("nothing is stuck", async || terminal.list_count("stuck").await == 0).await;

    // 6. One customer's complaint: see what undoing the order means, then do it.
    let placed = pile.a_placed_order(&stage).await;
    let plan = terminal.json(&["run", "compensate", &placed, "--dry-run", "--reason", "complaint 4711"]);
    assert!(!plan["undo"].as_array().expect("undos").is_empty(), "{plan}");
    terminal.run(&["run", "compensate", &placed, "--yes", "--reason", "complaint 4711"]);
    stage.until("it is undone", async || terminal.json(&["run", "show", &placed])["status"] == "compensated").await;

    // 7. Is everything all right?
    stage.until("all is at rest", async || pile.at_rest(&stage).await).await;
    terminal.run(&["doctor", "--database-url", &stage.database_url()]);
    let groups = terminal.json(&["attention"]);
    assert_eq!(groups["items"].as_array().map(Vec::len), Some(0), "{groups}");
    books::add_up(&stage).await;
    books::audit_tells_the_story(&terminal.audit(), "key:night-shift");
    stage.strike().await;
}
