//! Callers may stop waiting for the order service at any await: see the engine's test of the same name.

use std::{collections::BTreeSet, time::Duration};

use backstitch::{
    engine::{BreakerMode, Engine, Registry},
    notices::{Channel, Recipient},
    orders::{
        CancelOrder, ChangeOrder, DifferenceFilter, Fulfilment, MendDifference, NotificationFilter, OrderFilter,
        PutItem, SendNotification, SetBreakers, ShopSettings, runs::ReconcileInput,
    },
};
use futures_util::future::{BoxFuture, join_all};
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use crate::{
    shop::Shop,
    support::{
        drop_at_each_await, no_transaction_is_open,
        shop::{GATEWAY_TIMEOUT, open_orders, order_request},
    },
};

/// They only migrate or compare migrations, are the same by another name, or go on until they are dropped.
const OTHERS: &[&str] = &["migrate", "place_in_trace", "deliver_notices"];

type Call<'a> = Box<dyn Fn() -> BoxFuture<'a, ()> + 'a>;

fn boxed<'a, F: Future<Output: Send> + Send + 'a>(make: impl Fn() -> F + 'a) -> Call<'a> {
    Box::new(move || {
        let call = make();
        Box::pin(async move { drop(call.await) })
    })
}

macro_rules! calls {
    ($($name:ident => $call:expr),* $(,)?) => {
        vec![$((stringify!($name), boxed(move || async move { $call.await }))),*]
    };
}

fn methods() -> BTreeSet<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/orders/service");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("the folder is there") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("a text");
        let of_line = |line: &str| line.strip_prefix("    pub async fn ")?.split(['(', '<']).next().map(str::to_owned);
        names.extend(text.lines().filter_map(of_line));
    }
    names
}

#[tokio::test]
async fn a_dropped_call_leaves_nothing_open() {
    let shop = Shop::without_worker().await;
    shop.stock("tea", 1_000).await;
    let (first, second) = (shop.order("tok_ok", 1).await, shop.order("tok_ok", 1).await);
    let pool = PgPoolOptions::new().max_connections(3).acquire_timeout(Duration::from_secs(10));
    let pool = pool.connect_lazy(shop.url()).expect("a URL");
    let orders = open_orders(&Engine::new(pool, Registry::new()), ShopSettings::default());
    let wanted = order_request("tok_ok", &[("tea", 1)]);
    let item =
        PutItem { name: "tea".to_owned(), price: 1000, currency: "EUR".to_owned(), on_hand: 1_000, seller: None };
    let filter = OrderFilter { customer_id: Some("ada".to_owned()), ..OrderFilter::default() };
    let cancel = CancelOrder::default();
    let change: ChangeOrder =
        serde_json::from_value(serde_json::json!({"delivery": {"address": "here"}})).expect("a change");
    let gateway = &shop.simulator.gateway(GATEWAY_TIMEOUT);
    let (orders, wanted, item, filter, cancel, change) = (&orders, &wanted, &item, &filter, &cancel, &change);
    let now = &ReconcileInput { grace_ms: 0, second_look_ms: 0, ..ReconcileInput::default() };
    let notifications = &NotificationFilter::default();
    let (about, recipient) = ("order.placed".to_owned(), Recipient::Operator);
    let send = &SendNotification { order_id: first, about, recipient, channel: Some(Channel::Log) };
    let differences = &DifferenceFilter::default();
    let set = &SetBreakers { state: BreakerMode::Auto, reason: Some("why".into()) };
    let difference = Uuid::max();
    let query = "INSERT INTO shop.difference
            (id, kind, about, payment_id, expected, actual, currency, state, first_seen, last_seen)
        VALUES ($1, 'amount_differs', 'pi_1', 'pi_1', 1, 2, 'EUR', 'open', shop.now(), shop.now())";
    shop.sql(query, difference).await;
    let mend = &MendDifference { reason: Some("a reason".to_owned()), ..MendDifference::default() };
    let calls = calls! {
        place => orders.place(wanted, Some("a key")),
        get => orders.get(first),
        customer_of => orders.customer_of(first),
        notifications => orders.notifications(notifications),
        send_notification => orders.send_notification(send, None),
        notice_breakers => orders.notice_breakers(),
        unsent_alerts => orders.unsent_alerts(),
        resend_notification => orders.resend_notification(Uuid::max()),
        unsent_notifications => orders.unsent_notifications(),
        wait => orders.wait(first, Duration::from_millis(100)),
        list => orders.list(filter),
        change_delivery => orders.change_delivery(first, &change.delivery),
        report => orders.report(first, Fulfilment::Shipped),
        cancel => orders.cancel(second, cancel),
        put_item => orders.put_item("tea", item),
        item => orders.item("tea"),
        items => orders.items("", 10),
        webhook => orders.webhook("stripe", |_| Some("t=1,v1=00"), b"{}"),
        vendors => orders.vendors(),
        providers => orders.providers(),
        set_provider => orders.set_provider("log", set),
        set_vendor => orders.set_vendor("stripe", set),
        book_breaches => orders.book_breaches(),
        refunds_waiting => orders.refunds_waiting(),
        units_committed => orders.units_committed("tea"),
        missing_migrations => orders.missing_migrations(),
        compare => orders.compare(gateway, now),
        reconcile => orders.reconcile(now),
        reconciliation => orders.reconciliation(None),
        differences => orders.differences(differences),
        open_differences => orders.open_differences(),
        difference => orders.difference(difference),
        mend_difference => orders.mend_difference(difference, mend),
    };
    let listed: BTreeSet<String> = calls.iter().map(|(name, _)| (*name).to_owned()).collect();
    let missing: Vec<_> =
        methods().into_iter().filter(|name| !listed.contains(name) && !OTHERS.contains(&&**name)).collect();
    assert!(missing.is_empty(), "not dropped at any await: {missing:?}");
    for (name, call) in &calls {
        for _ in 0..3 {
            drop_at_each_await(name, call).await;
        }
        no_transaction_is_open(&shop.pool, name).await;
        for placed in join_all((0..6).map(|_| orders.place(wanted, None))).await {
            let acknowledged = placed.expect("the pool is of use").order.id;
            shop.orders.get(acknowledged).await.unwrap_or_else(|error| panic!("lost after {name}: {error}"));
        }
    }
}
