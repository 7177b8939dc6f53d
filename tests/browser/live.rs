//! What changes shows without loading the page again, and leaves alone what people are doing.

use serde_json::{Value, json};

use crate::{chrome::Chrome, stage::Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_change_shows_without_loading_the_page_again() {
    let stage = Stage::set().await;
    let run = stage.run("parcel", "grace", "stuck").await;
    let chrome = Chrome::at(&stage.url).await;
    chrome.open(&format!("/runs/{run}")).await;
    chrome.until_text("#live", "live").await;
    chrome.ask("window.mark = 'the same page'; document.querySelector('#s0f details').open = true; document.querySelector('.verbs a').focus()", Vec::new()).await;
    stage.give_paper();
    let by = backstitch::engine::Operator {
        actor: "somebody else".into(),
        reason: Some("paper".into()),
        ..Default::default()
    };
    stage.engine.retry(run, &by).await.expect("it can be retried");
    chrome.until_text(".head", "completed").await;
    chrome.until_text("#audit", "somebody else").await;
    let same = "return [window.mark, document.querySelector('#s0f details').open]";
    assert_eq!(chrome.ask(same, Vec::new()).await, json!(["the same page", true]));
    assert!(chrome.complaints().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_run_appears_unless_updates_are_paused() {
    let stage = Stage::set().await;
    stage.run("approval", "first", "waiting").await;
    let chrome = Chrome::at(&stage.url).await;
    chrome.open("/runs").await;
    chrome.until_text("#live", "live").await;
    stage.run("approval", "second", "waiting").await;
    chrome.until_text("#view table", "approval-second").await;
    chrome.click("#live").await;
    chrome.until_text("#live", "paused").await;
    stage.run("approval", "third", "waiting").await;
    assert_eq!(
        chrome.ask("return performance.getEntriesByType('navigation').length", Vec::new()).await,
        Value::from(1)
    );
    assert!(!chrome.text("#view table").await.contains("approval-third"));
    chrome.click("#live").await;
    chrome.until_text("#view table", "approval-third").await;
}
