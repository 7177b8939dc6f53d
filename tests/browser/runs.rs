//! Finding runs, and understanding one.

use serde_json::json;

use crate::{chrome::Chrome, stage::Stage};

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_runs_and_a_chip_filters_them_in_the_address() {
    let stage = Stage::set().await;
    let stuck = stage.run("parcel", "grace", "stuck").await;
    stage.run("trip", "ada", "compensated").await;
    let chrome = Chrome::at(&stage.url).await;
    chrome.open("/runs").await;
    chrome.until_text("#view table", "parcel").await;
    assert!(chrome.text("#view table").await.contains("trip"));
    chrome.click(".chips a[href='/runs?status=stuck']").await;
    chrome.until("only the stuck one is left", async || !chrome.text("#view table").await.contains("trip")).await;
    assert_eq!(chrome.address().await, "/runs?status=stuck");
    chrome.click(&format!("#view a[href='/runs/{stuck}']")).await;
    chrome.until_text("h1", "parcel").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_means_nothing_is_told_and_one_that_nothing_matches_too() {
    let stage = Stage::set().await;
    let chrome = Chrome::at(&stage.url).await;
    chrome.open("/runs").await;
    chrome.until_text("#view", "No runs yet").await;
    chrome.open("/runs?since=yesterday").await;
    chrome.until_text("#view .problem", "write a span before now").await;
    chrome.open("/runs?key=nobodys").await;
    chrome.until_text("#view", "No run matches").await;
    assert!(chrome.complaints().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compensated_order_shows_its_steps_and_below_them_their_undos() {
    let stage = Stage::set().await;
    let (order, run) = stage.order_until("tok_declined", 2, "compensated").await;
    let chrome = Chrome::at(&stage.url).await;
    chrome.open(&format!("/runs/{run}")).await;
    chrome.until_text("#waterfall", "Undo, last first").await;
    let lanes = "const rows = [...document.querySelectorAll('#waterfall li')].map((row) => row.innerText.trim());
        const at = rows.findIndex((row) => row.startsWith('Undo'));
        return [rows.slice(1, at).length, rows.slice(at + 1).length, document.querySelectorAll('#waterfall .arrow-head').length]";
    let counted = chrome.ask(lanes, Vec::new()).await;
    let (forward, undos, arrows) = (&counted[0], &counted[1], &counted[2]);
    assert!(forward.as_u64() > undos.as_u64() && undos.as_u64() >= Some(2), "{counted}");
    assert_eq!(undos, arrows, "each undo points to what it undoes");
    let text = chrome.text("#waterfall").await;
    let place = |word: &str| text.rfind(word).unwrap_or_else(|| panic!("{word} is not in {text}"));
    assert!(place("create_intent") < place("reserve_stock"), "the last is undone first: {text}");
    chrome.open(&format!("/orders/{order}")).await;
    chrome.until_text(".figures", "cancelled").await;
    chrome.click(&format!("a[href='/runs/{run}']")).await;
    chrome.until_text("h1", "order").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_are_shown_as_text_and_never_as_a_page() {
    let stage = Stage::set().await;
    let run = stage.run("parcel", "<script>document.title='broken'</script><b id=evil>", "stuck").await;
    let chrome = Chrome::at(&stage.url).await;
    chrome.open(&format!("/runs/{run}")).await;
    chrome.until_text("#view", "<b id=evil>").await;
    assert_eq!(
        chrome.ask("return [document.getElementById('evil'), document.title.includes('broken')]", Vec::new()).await,
        json!([null, false])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_work_without_scripts() {
    let stage = Stage::set().await;
    let stuck = stage.run("parcel", "grace", "stuck").await;
    let chrome = Chrome::at(&stage.url).await;
    chrome.without_scripts().await;
    chrome.open("/runs?status=stuck").await;
    chrome.click(&format!("#view a[href='/runs/{stuck}']")).await;
    chrome.click(".verbs a[href$='/act/retry']").await;
    chrome.write("textarea[name=reason]", "paper is there").await;
    stage.give_paper();
    chrome.click("form button.primary").await;
    stage.until(stuck, "completed").await;
}
