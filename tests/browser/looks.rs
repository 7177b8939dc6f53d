//! Every page, wide and narrow, light and dark: nothing is refused by the policy, no script fails, nothing sticks out.
//!
//! With `BACKSTITCH_SCREENSHOTS=DIR` the same test keeps pictures of the pages: scripts/screenshots.sh.

use std::path::PathBuf;

use backstitch::{
    engine::{RunFilter, Verb},
    orders::Orders,
};
use serde_json::Value;
use uuid::Uuid;

use crate::{chrome::Chrome, stage::Stage};

/// A page to look at: its name and its address.
type Look = (&'static str, String);

/// A shop in an ordinary night: things that went well, went wrong and were undone, wait, and are stuck.
async fn a_night(stage: &Stage) -> Vec<Look> {
    let mut parcels = Vec::new();
    for traveller in ["grace", "edsger", "barbara", "alan"] {
        parcels.push(stage.start("parcel", traveller).await);
    }
    let trip = stage.start("trip", "ada").await;
    stage.start("approval", "donald").await;
    stage.order_until("tok_ok", 1, "waiting").await;
    stage.order_until("tok_flaky_2", 3, "waiting").await;
    let (order, declined) = stage.order_until("tok_declined", 2, "compensated").await;
    stage.until(trip, "compensated").await;
    for parcel in &parcels {
        stage.until(*parcel, "stuck").await;
    }
    let by = |reason: &str| backstitch::engine::Operator {
        actor: "night-shift".into(),
        reason: Some(reason.into()),
        ..backstitch::engine::Operator::default()
    };
    let _ = stage.engine.retry(parcels[3], &by("the printer was switched on again")).await;
    let _ = stage.engine.cancel(trip, &by("the customer called")).await;
    stage.until(parcels[3], "stuck").await;
    let trips = RunFilter { workflow: Some("parcel".into()), ..RunFilter::default() };
    let again = by("once more, before the morning shift");
    let operation =
        stage.engine.operate_on(&Verb::Retry { policy: None }, &trips, &again, Some(100)).await.expect("an operation");
    stage.schedule("nightly-parcels").await;
    let difference = a_difference(&stage.orders, order).await;
    let parked = a_parked_event(&stage.orders).await;
    vec![
        ("overview", "/".to_owned()),
        ("runs", "/runs".to_owned()),
        ("run-compensated", format!("/runs/{trip}")),
        ("run-order", format!("/runs/{declined}")),
        ("run-stuck", format!("/runs/{}", parcels[0])),
        ("act", format!("/runs/{}/act/compensate", parcels[0])),
        ("attention", "/attention".to_owned()),
        ("operations", "/operations".to_owned()),
        ("operation", format!("/operations/{}", operation.id)),
        ("schedules", "/schedules".to_owned()),
        ("schedule", "/schedules/nightly-parcels".to_owned()),
        ("fleet", "/fleet".to_owned()),
        ("events", "/events".to_owned()),
        ("inbox", "/inbox".to_owned()),
        ("inbox-event", format!("/inbox/{parked}")),
        ("discard", format!("/inbox/{parked}/discard")),
        ("notifications", "/notifications".to_owned()),
        ("orders", "/orders?customer_id=ada".to_owned()),
        ("order", format!("/orders/{order}")),
        ("differences", "/differences".to_owned()),
        ("vendors", "/vendors".to_owned()),
        ("mend", format!("/differences/{difference}/mend")),
        ("audit", "/audit".to_owned()),
        ("nothing", "/runs?key=nobodys".to_owned()),
        ("missing", "/runs/nothing-like-this".to_owned()),
        ("nowhere", "/nothing/at/all".to_owned()),
        ("docs", "/docs".to_owned()),
    ]
}

/// An order that was paid twice, as a comparison with the gateway records it.
async fn a_difference(orders: &Orders, order: Uuid) -> Uuid {
    let id = Uuid::now_v7();
    let query = "INSERT INTO shop.difference
            (id, kind, about, payment_id, order_id, expected, actual, currency, state, first_seen, last_seen)
        VALUES ($1, 'captured_twice', 'pi_2', 'pi_2', $2, 0, 1000, 'EUR', 'open', shop.now(), shop.now())";
    sqlx::query(query).bind(id).bind(order).execute(orders.engine().pool()).await.expect("a row");
    id
}

/// An event from outside of a version that nobody knows, and one that is no event at all.
async fn a_parked_event(orders: &Orders) -> Uuid {
    let id = Uuid::now_v7();
    let query = "INSERT INTO backstitch.received_event (id, source, event_id, type, state, code, message, body)
        VALUES ($1, 'carrier', 'evt_3Q9mKfLkdIwHu7ix0snxqbRp', 'parcel.delivered', 'parked', 'unknown_version',
                'parcel.delivered of version \"v7\" is not understood', '{\"id\": \"evt_3Q9m\", \"data\": {\"parcel\": 7}}'),
            (gen_random_uuid(), 'carrier', 'parcels/0/4711', '', 'parked', 'invalid_request',
                'the record is no event of this source: no JSON', 'garbage')";
    sqlx::query(query).bind(id).execute(orders.engine().pool()).await.expect("rows");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_every_screen_and_scheme() {
    let stage = Stage::set().await;
    let looks = a_night(&stage).await;
    let chrome = Chrome::at(&stage.url).await;
    for (width, height, scheme) in [(1280, 900, "light"), (1280, 900, "dark"), (360, 740, "light")] {
        chrome.size(width, height).await;
        chrome.scheme(scheme).await;
        for (name, address) in &looks {
            chrome.open(address).await;
            chrome.find("main h1, main h2").await;
            let wide = chrome.ask("return document.scrollingElement.scrollWidth", Vec::new()).await;
            assert!(
                wide.as_u64() <= Some(u64::from(width)),
                "{name} is {wide} wide on {width}: {}",
                widest(&chrome).await
            );
            let refused = chrome.complaints().await;
            let ours: Vec<&String> = refused
                .iter()
                .filter(|text| !matches!(*name, "missing" | "nowhere") || !text.contains("404"))
                .collect();
            assert!(ours.is_empty(), "{name}: {ours:?}");
            let flaws = chrome.ask(FLAWS, vec![(*name == "docs").into()]).await;
            assert_eq!(flaws, serde_json::json!([]), "{name} on {width}, {scheme}");
            keep(&chrome, &format!("{name}-{width}-{scheme}")).await;
        }
    }
}

/// Links and buttons without a name, links in a text that only their colour tells, and, where asked for, targets that are too
/// small for a finger. Colours are held in src/http/pages/assets.rs.
const FLAWS: &str = "
    const shown = [...document.querySelectorAll('a[href], button, summary')].filter((one) => one.checkVisibility());
    const say = (what) => (one) => what + ': ' + one.outerHTML.slice(0, 120);
    const text = (one) => one.innerText.trim();
    const isNameless = (one) => !text(one) && !one.getAttribute('aria-label');
    const isInText = (one) => {
        const block = one.closest('p, dd, li, td');
        return one.matches('a:not(.button, .chip, .skip)') && block && text(block) !== text(one) && !one.closest('nav, .waterfall');
    };
    const isColourAlone = (one) => isInText(one) && !getComputedStyle(one).textDecorationLine.includes('underline');
    const isSmall = (one) => !one.closest('p') && one.getBoundingClientRect().height < 23.5;
    return [
        ...shown.filter(isNameless).map(say('no name')),
        ...shown.filter(isColourAlone).map(say('a colour alone')),
        ...(arguments[0] ? shown.filter(isSmall).map(say('small')) : []),
    ].slice(0, 8)";

/// What sticks out, for the message.
async fn widest(chrome: &Chrome) -> Value {
    let script =
        "return [...document.querySelectorAll('body *')].filter((one) => !one.closest('.scroll, svg, nav, pre')
        && one.getBoundingClientRect().right > innerWidth + 1).slice(0, 8).map((one) => one.outerHTML.slice(0, 90))";
    chrome.ask(script, Vec::new()).await
}

/// Keeps a picture, where pictures are wanted.
async fn keep(chrome: &Chrome, name: &str) {
    let Some(dir) = std::env::var_os("BACKSTITCH_SCREENSHOTS").map(PathBuf::from) else { return };
    let picture = chrome.client.screenshot().await.expect("a picture");
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join(format!("{name}.png")), picture).expect("it can be written");
}
