//! The order domain: the shop's rules, apart from how work is carried out.
//!
//! | part | is |
//! |---|---|
//! | `state` | the axes of an order and every legal move, with a drawing |
//! | `money`, `refund`, `delivery` | pure rules: shares, refund tiers, distances |
//! | `difference`, `reconcile` | what our books and the gateway's disagree about, and how that is found |
//! | `changes`, `events` | what becomes of an order, and what that says outside |
//! | `notices` | whom an event tells what, and the sending of it |
//! | `alerts` | what operators are told is wrong |
//! | `service` | [`Orders`]: what HTTP and CLI call; it records requests, and starts or signals the run |
//! | `store` | all SQL, and the history store |
//! | `runs` | the contract with the runs: names, inputs, the one signal |
//!
//! The service records facts (a cancel was accepted, the order was dispatched); the order's run moves its states. The
//! one exception is `cancelling`, which an accepted cancel sets at once, because it is a lock.

pub(crate) mod alerts;
mod changes;
mod delivery;
pub mod difference;
mod error;
mod events;
mod gate;
pub mod money;
pub(crate) mod notices;
mod order;
pub(crate) mod reconcile;
mod refund;
pub mod runs;
mod service;
mod settings;
pub mod state;
mod stock;
pub(crate) mod store;

/// The schema that the shop's tables are in.
pub(crate) const SCHEMA: &str = "shop";

pub use self::service::{ProviderInfo, SetBreakers, VendorInfo};
pub use self::{
    delivery::{Delivery, Position, distance_km},
    error::Error,
    events::EVENT_TYPES,
    notices::{Contact, NoticeSink, Notices, Notification, NotificationCount, NotificationState, Seller},
    order::{Cancel, Item, Line, Order, OrderPage},
    refund::{BadTiers, RefundTiers, Tier},
    service::{
        CancelOrder, ChangeOrder, Comparison, DifferenceFilter, Fulfilment, FulfilmentReport, MendDifference, MendPlan,
        NewDelivery, NotificationFilter, OrderFilter, Orders, Payment, PlaceOrder, Placed, PutItem, SendNotification,
        Wanted, WebhookTaken, book_breaches,
    },
    settings::ShopSettings,
    store::history::{History, HistoryFuture, PostgresHistory},
};

/// Whether the engine's tables may be in a schema of this name beside the shop's, each with a history of its own.
///
/// # Errors
/// `invalid_schema`: it is the shop's.
pub fn check_schema(name: &str) -> Result<(), Error> {
    if name == SCHEMA {
        let why = "the shop's tables are in the schema of that name";
        return Err(crate::engine::Error::InvalidSchema { name: name.to_owned(), why }.into());
    }
    Ok(())
}
