//! Promise: what a gateway leaves out is unknown, never nothing; and an undo is done when the gateway shows it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backstitch::{
    engine::Operator,
    orders::{
        ShopSettings,
        state::{OrderState, PaymentState},
    },
};

use crate::{
    odd_gateway::{Change, OddGateway, unreadable},
    shop::{Opening, Shop},
};

#[tokio::test]
async fn an_unreadable_answer_never_places_an_order() {
    static MUMBLES: AtomicBool = AtomicBool::new(true);
    const MUMBLED: Change = Change { intent: |_| Err(unreadable()), ..Change::NONE };
    let port = |gateway| OddGateway::while_set(gateway, MUMBLED, &MUMBLES) as Arc<_>;
    let settings = ShopSettings { payment_window: Duration::from_secs(2), ..ShopSettings::default() };
    let shop = Shop::with(Opening { port, settings, ..Opening::default() }).await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_ok", 2).await;
    let order = shop.until(id, "its payment is unknown", |order| order.payment_state == PaymentState::Unknown).await;
    assert_eq!((order.placed_at, order.captured, shop.moved(id).await), (None, 0, (2000, 0)));
    let run = shop.engine.run(order.run_id).await.expect("a run");
    let charge = run.steps.expect("steps").into_iter().find(|step| step.name == "charge").expect("a charge");
    assert_eq!(charge.outcome.map(|outcome| outcome.word()), Some("unknown"));
    let error = charge.error.expect("it says why");
    assert!(format!("{error:?}").contains("gateway_answer_unreadable"), "{error:?}");

    MUMBLES.store(false, Ordering::SeqCst);
    let order = shop.until(id, "it is placed", |order| order.state.is_decided()).await;
    assert_eq!((order.state, order.captured, shop.moved(id).await), (OrderState::Placed, 2000, (2000, 0)));
    assert_eq!(shop.orders.book_breaches().await.expect("reads"), Vec::<String>::new());
}

#[tokio::test]
async fn an_undo_is_done_when_the_gateway_shows_it() {
    static LIES: AtomicBool = AtomicBool::new(true);
    const LYING: Change = Change { lies_of_refunds: true, ..Change::NONE };
    let port = |gateway| OddGateway::while_set(gateway, LYING, &LIES) as Arc<_>;
    let shop = Shop::with(Opening { port, ..Opening::default() }).await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_ok", 1).await;
    let order = shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    let by = Operator { actor: "test".into(), reason: Some("a mistake".into()), ..Default::default() };
    shop.engine.compensate(order.run_id, &by).await.expect("it can be undone");
    let run = shop.until_run(id, "stuck").await;
    let undone = |name: &str| {
        let step = run.steps.iter().flatten().find(|step| step.name == name && step.direction == "undo");
        step.and_then(|step| step.error.as_ref()).map(|error| error.code.clone())
    };
    assert_eq!(undone("charge").as_deref(), Some("books_differ"));
    assert_eq!((shop.get(id).await.refunded, shop.moved(id).await), (0, (1000, 0)));

    LIES.store(false, Ordering::SeqCst);
    shop.retry(id).await;
    shop.until_run(id, "compensated").await;
    assert_eq!((shop.get(id).await.refunded, shop.moved(id).await), (1000, (1000, 1000)));
}
