//! Mending runs: one from its page, many from the list of what needs attention.

use backstitch::engine::{NewKey, Role};

use crate::{chrome::Chrome, stage::Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_run_is_retried_from_its_page() {
    let stage = Stage::set().await;
    let run = stage.run("parcel", "grace", "stuck").await;
    let chrome = Chrome::at(&stage.url).await;
    chrome.open(&format!("/runs/{run}")).await;
    chrome.press(".verbs", "Retry…").await;
    chrome.until_text("dialog", "Tries again").await;
    assert_eq!(stage.engine.run(run).await.expect("a run").status, "stuck", "a preview changes nothing");
    stage.give_paper();
    chrome.write("dialog textarea[name=reason]", "printer 7 has paper again").await;
    chrome.click("dialog form button.primary").await;
    chrome.until_text(".notice", "Retry").await;
    stage.until(run, "completed").await;
    chrome.until_text("#audit", "printer 7 has paper again").await;
    chrome.open("/audit").await;
    chrome.until_text("#view table", "printer 7 has paper again").await;
    assert!(chrome.complaints().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_group_is_retried_at_once() {
    let stage = Stage::set().await;
    let mut runs = Vec::new();
    for traveller in ["grace", "ada", "barbara"] {
        runs.push(stage.start("parcel", traveller).await);
    }
    for run in &runs {
        stage.until(*run, "stuck").await;
    }
    let chrome = Chrome::at(&stage.url).await;
    chrome.open("/attention").await;
    chrome.until_text("#view table", "out_of_paper").await;
    chrome.press("#view table", "Retry all…").await;
    chrome.until_text("dialog .plan", "It is for 3 runs").await;
    stage.give_paper();
    chrome.write("dialog textarea[name=reason]", "paper in all printers").await;
    chrome.click("dialog form button.primary").await;
    chrome.until_text(".notice", "Created").await;
    chrome.until_text("#view", "3 done").await;
    for run in runs {
        stage.until(run, "completed").await;
    }
    chrome.open("/attention").await;
    chrome.until_text("#view", "Nothing needs you").await;
    assert!(chrome.complaints().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_is_held_and_released() {
    let stage = Stage::set().await;
    let chrome = Chrome::at(&stage.url).await;
    chrome.open("/fleet").await;
    chrome.click("a[href='/fleet/hold?kind=activity&name=print_label']").await;
    chrome.write("dialog textarea[name=reason]", "printer 7 smokes").await;
    chrome.click("dialog form button.danger").await;
    chrome.until_text("#view", "printer 7 smokes").await;
    chrome.click("a[href='/fleet/release?kind=activity&name=print_label']").await;
    chrome.click("dialog form button.primary").await;
    chrome.until("nothing is held back", async || !chrome.text("#view").await.contains("printer 7 smokes")).await;
    chrome.open("/audit").await;
    chrome.until_text("#view table", "release").await;
    assert!(chrome.text("#view table").await.contains("hold"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_reason_refuses_a_verb() {
    let stage = Stage::set().await;
    let run = stage.run("parcel", "grace", "stuck").await;
    let chrome = Chrome::at(&stage.url).await;
    chrome.open(&format!("/runs/{run}/act/compensate")).await;
    chrome.until_text(".plan", "book_car").await;
    // Past what the browser itself would hold back.
    chrome.ask("document.querySelector('textarea[name=reason]').required = false", Vec::new()).await;
    chrome.click("form button.danger").await;
    chrome.until_text(".problem", "reason").await;
    assert_eq!(stage.engine.run(run).await.expect("a run").status, "stuck");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_session_is_refused() {
    let stage = Stage::set().await;
    let run = stage.run("parcel", "grace", "stuck").await;
    let chrome = Chrome::at(&stage.url).await;
    chrome.open(&format!("/runs/{run}/act/retry")).await;
    chrome.find("textarea[name=reason]").await;
    chrome.ask("document.querySelector('input[name=csrf]').value = 'forged'", Vec::new()).await;
    chrome.click("form button.primary").await;
    chrome.until_text("main", "token is missing or old").await;
    assert_eq!(stage.engine.run(run).await.expect("a run").status, "stuck");
}

#[tokio::test(flavor = "multi_thread")]
async fn tab_reaches_the_verbs_and_enter_opens_them() {
    let stage = Stage::set().await;
    let run = stage.run("parcel", "grace", "stuck").await;
    let chrome = Chrome::at(&stage.url).await;
    chrome.open(&format!("/runs/{run}")).await;
    chrome.find(".verbs a").await;
    let tab = '\u{e004}'.to_string();
    let mut seen = Vec::new();
    for _ in 0..40 {
        chrome.keys(&tab).await;
        let focused = chrome.ask("return document.activeElement.textContent.trim()", Vec::new()).await;
        let visible = "const style = getComputedStyle(document.activeElement); return style.outlineStyle !== 'none' && style.outlineWidth !== '0px'";
        assert_eq!(chrome.ask(visible, Vec::new()).await, true, "the focus can be seen on {focused}");
        seen.push(focused.as_str().unwrap_or_default().to_owned());
        if seen.last().is_some_and(|last| last == "Retry…") {
            break;
        }
    }
    assert_eq!(seen.first().map(String::as_str), Some("Skip to the content"));
    assert_eq!(seen.last().map(String::as_str), Some("Retry…"), "{seen:?}");
    chrome.keys("\u{e007}").await;
    chrome.until_text("dialog", "Retry").await;
    chrome.keys("\u{e00c}").await;
    chrome.until("the dialog is gone", async || chrome.text("dialog").await.is_empty()).await;
    chrome.keys("?").await;
    chrome.until_text("dialog", "Keyboard").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_why_buttons_are_dim() {
    let stage = Stage::set().await;
    let run = stage.run("parcel", "grace", "stuck").await;
    let new = NewKey { name: "trainee".to_owned(), role: Role::Viewer, expires_in: None };
    let token = stage.engine.create_key(&new, "test").await.expect("a key").token;
    let chrome = Chrome::at(&stage.url).await;
    chrome.open(&format!("/runs/{run}")).await;
    chrome.write("input[name=key]", &token).await;
    chrome.click("button.primary").await;
    chrome.until_text(".role-note", "an operator's key").await;
    let dim = "return getComputedStyle(document.querySelector('.verbs .button')).opacity";
    assert_eq!(chrome.ask(dim, Vec::new()).await, "0.75");
    chrome.press(".verbs", "Retry…").await;
    chrome.until_text("dialog", "this needs an operator's key").await;
    let buttons = "return document.querySelectorAll('dialog form button.primary:enabled').length";
    assert_eq!(chrome.ask(buttons, Vec::new()).await, 0, "there is nothing to press");
}
