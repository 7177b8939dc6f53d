//! The same night with a browser alone: every step is a click, and a reason that is typed.

use serde_json::Value;

use crate::{books, chrome::Chrome, pile, pile::Pile, stage::Stage, terminal::Terminal};

const ENTER: &str = "\u{e007}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_night_outage_is_mended_in_the_browser() {
    let stage = Stage::set().await;
    let pile = Pile::heap(&stage).await;
    let chrome = Chrome::at(&stage.url).await;

    // Sign in: a visitor without a session gets the form first, and then the page that they wanted.
    chrome.open("/attention").await;
    chrome.write("#key", &stage.operator_key).await;
    chrome.write("#key", ENTER).await;

    // 1. What is wrong?
    chrome.until_text("#view table", "gateway_").await;
    chrome.until_text("#view table", "refund").await;

    // 2. Hold back what calls the gateway.
    for activity in pile::CALLS_THE_GATEWAY {
        chrome.open("/fleet").await;
        chrome.click(&format!("a[href='/fleet/hold?kind=activity&name={activity}']")).await;
        confirm(&chrome, "button.danger", "the gateway is down, INC-7").await;
        chrome.find(&format!("a[href='/fleet/release?kind=activity&name={activity}']")).await;
    }
    let held = pile.more_come(&stage).await;
    chrome.open(&format!("/runs/{held}")).await;
    chrome.until_text("main", "create_intent").await;

    // 3. The gateway is back: release the holds.
    stage.gateway_is("available").await;
    for activity in pile::CALLS_THE_GATEWAY {
        chrome.open("/fleet").await;
        chrome.click(&format!("a[href='/fleet/release?kind=activity&name={activity}']")).await;
        confirm(&chrome, "button.primary", "the gateway is back").await;
        chrome.find(&format!("a[href='/fleet/hold?kind=activity&name={activity}']")).await;
    }

    // 4. Try the stuck ones again, from the list of what needs attention.
    let terminal = Terminal::new(&stage);
    retry_the_stuck(&chrome, &terminal, "the gateway is back", pile.stuck_at_least()).await;
    stage.until("only refused refunds are left", async || pile.only_refused_refunds_are_stuck(&stage).await).await;

    // 5. What the bank refuses.
    stage.bank_lifts_its_block().await;
    retry_the_stuck(&chrome, &terminal, "the bank lifted its block", 100).await;
    let stuck = "SELECT count(*) = 0 FROM backstitch.run WHERE status = 4";
    stage.until("nothing is stuck", async || stage.ask(stuck).await).await;

    // 6. One customer's complaint.
    let placed = pile.a_placed_order(&stage).await;
    chrome.open(&format!("/runs/{placed}")).await;
    chrome.press(".verbs", "Compensate…").await;
    chrome.until_text("dialog .plan", "charge").await;
    confirm(&chrome, "button.danger", "complaint 4711").await;
    chrome.until_text("#view", "compensated").await;

    // 7. Is everything all right?
    stage.until("all is at rest", async || pile.at_rest(&stage).await).await;
    chrome.open("/attention").await;
    chrome.until_text("#view", "Nothing needs you").await;
    chrome.open("/audit").await;
    chrome.until_text("#view table", "complaint 4711").await;
    let complaints = chrome.complaints().await;
    assert!(complaints.is_empty(), "{complaints:?}");
    books::add_up(&stage).await;
    books::audit_tells_the_story(&terminal.audit(), "key:night-shift");
    stage.strike().await;
}

/// Types the reason into the open dialog, and goes through with it.
async fn confirm(chrome: &Chrome, button: &str, reason: &str) {
    chrome.write("dialog textarea[name=reason]", reason).await;
    chrome.click(&format!("dialog form {button}")).await;
}

/// Retries the stuck runs, group by group, and looks at each operation until it is done. Those of one outage are in two groups where
/// some saw the gateway's answer and others were spared by its breaker.
async fn retry_the_stuck(chrome: &Chrome, terminal: &Terminal, reason: &str, at_least: i64) {
    let groups = terminal.json(&["attention", "list", "--kind", "stuck"]);
    let groups = groups["items"].as_array().expect("groups");
    let counts = groups.iter().map(|group| group["count"].as_i64().expect("a count"));
    assert!(counts.clone().sum::<i64>() >= at_least, "{groups:?}");
    for (group, count) in groups.iter().zip(counts) {
        let fingerprint = group["fingerprint"].as_str().expect("hex");
        chrome.open("/attention?kind=stuck").await;
        chrome.click(&format!("#view table a.primary[href*='{fingerprint}']")).await;
        chrome.until_text("dialog .plan", &format!("It is for {count} run")).await;
        let faster =
            "const rate = document.querySelector('dialog input[name=rate]'); rate.value = '500'; return rate.value";
        assert_eq!(chrome.ask(faster, Vec::new()).await, Value::from("500"));
        confirm(chrome, "button.primary", reason).await;
        chrome.until_text("#view", &format!("{count} done")).await;
    }
}
