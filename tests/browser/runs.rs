//! Finding runs, and understanding one.

use backstitch::engine::{StartRun, to_json};
use serde_json::json;

use crate::{chrome::Chrome, stage::Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_chip_filters_the_list_of_runs() {
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
async fn a_useless_filter_is_explained() {
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
async fn undos_are_drawn_below_their_steps() {
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
async fn payloads_are_shown_as_text() {
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

#[tokio::test(flavor = "multi_thread")]
async fn attempts_and_following_runs_are_shown() {
    let stage = Stage::set().await;
    let (_, run) = stage.order_until("tok_flaky_2", 1, "waiting").await;
    let input = to_json(&json!({ "traveller": "ada", "what": "Lisbon", "price": 1 })).expect("JSON");
    let next = StartRun { parent_id: Some(run), ..StartRun::named("approval", input) };
    let next = stage.engine.start(next).await.expect("it is accepted").run;
    let chrome = Chrome::at(&stage.url).await;
    chrome.open(&format!("/runs/{run}")).await;
    chrome.until_text("#waterfall", "charge").await;
    let drawn = "return [...document.querySelectorAll('#waterfall rect.bar.unknown title')].map((t) => t.textContent)";
    let drawn = chrome.ask(drawn, Vec::new()).await;
    let titles: Vec<&str> = drawn.as_array().expect("titles").iter().filter_map(|title| title.as_str()).collect();
    assert!(titles.len() == 2 && titles[0].starts_with("charge: attempt 1 unknown, "), "{titles:?}");
    let listed = "const table = document.querySelector('details.payload table');
        return [...table.rows].map((row) => [row.cells[0], row.cells[1]].map((cell) => cell.textContent.trim()).join(' '))";
    let expected = json!(["1 unknown", "2 verification", "3 unknown", "4 verification"]);
    assert_eq!(chrome.ask(listed, Vec::new()).await, expected);
    chrome.click(&format!("a[href='/runs/{next}']")).await;
    chrome.until_text("#view", "Continues from").await;
}
