//! Several vendors behind one port. A payment's id says whose it is, so that whatever is done about it goes to the vendor that has
//! the money: `north:pay_1` is the payment `pay_1` of the vendor `north`; one without a name is the first vendor's.
//!
//! Before each call a gate is asked, which holds back calls of a vendor that fails; what comes of the call is told to it.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{
    GatewayFuture, PaymentGateway,
    error::{GatewayError, Refusal, SetupError, UNKNOWN_VENDOR, UnknownReason},
    list::{Listed, Page},
    types::{Intent, NewIntent, NewRefund, Refund},
    vendor::{FIRST_VENDOR, Vendor},
};

/// Stands between a vendor's name and the vendor's own id: no id has it.
const BETWEEN: char = ':';

/// The operations of a vendor, each with a breaker of its own.
pub const OPERATIONS: [&str; 5] = ["create", "charge", "void", "refund", "read"];
const CREATE: &str = OPERATIONS[0];
const CHARGE: &str = OPERATIONS[1];
const VOID: &str = OPERATIONS[2];
const REFUND: &str = OPERATIONS[3];
const READ: &str = OPERATIONS[4];

/// Holds calls back, and hears what comes of them.
pub trait Gate: Send + Sync {
    /// Whether a call may go; why not.
    fn admit<'a>(&'a self, vendor: &'a str, operation: &'static str) -> Admission<'a>;
}

/// Whether a call may go.
pub type Admission<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Passed>, String>> + Send + 'a>>;

/// A call that may go.
pub trait Passed: Send {
    /// Tells whether the vendor served it.
    fn record(self: Box<Self>, served: bool);
}

/// The vendors of a shop.
pub struct VendorPool {
    members: Vec<Member>,
    gate: OnceLock<Arc<dyn Gate>>,
}

struct Member {
    vendor: Vendor,
    gateway: Arc<dyn PaymentGateway>,
}

impl std::fmt::Debug for VendorPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.vendors()).finish()
    }
}

impl VendorPool {
    /// Clients of these vendors; sends nothing.
    ///
    /// # Errors
    /// When a URL or a key is not usable.
    pub fn new(
        vendors: Vec<Vendor>,
        timeout: Duration,
        traceparent: Option<fn() -> Option<String>>,
    ) -> Result<Self, SetupError> {
        let connect = |vendor: Vendor| Ok(Member { gateway: vendor.connect(timeout, traceparent)?, vendor });
        Ok(Self { members: vendors.into_iter().map(connect).collect::<Result<_, _>>()?, gate: OnceLock::new() })
    }

    /// Has calls pass this gate from now on. The first one stays.
    pub fn guard(&self, gate: Arc<dyn Gate>) {
        let _ = self.gate.set(gate);
    }

    /// The vendors, in their order.
    pub fn vendors(&self) -> impl Iterator<Item = &Vendor> {
        self.members.iter().map(|member| &member.vendor)
    }

    fn member(&self, name: &str) -> Result<&Member, GatewayError> {
        let found = self.members.iter().find(|member| member.vendor.name == name);
        found.ok_or_else(|| GatewayError::rejected(0, UNKNOWN_VENDOR, format!("no vendor named {name} is set up here")))
    }

    /// Calls one vendor, unless its gate is shut.
    async fn call<'a, T>(
        &'a self,
        name: &'a str,
        operation: &'static str,
        call: impl FnOnce(&'a dyn PaymentGateway) -> GatewayFuture<'a, T>,
    ) -> Result<T, GatewayError> {
        let member = self.member(name)?;
        let passed = self.admit(member, operation).await?;
        let answer = call(member.gateway.as_ref()).await;
        passed.into_iter().for_each(|passed| passed.record(is_served(&answer)));
        answer.map_err(|error| name_error(name, error))
    }

    /// Whether a call may go: nothing is sent otherwise.
    async fn admit(&self, member: &Member, operation: &'static str) -> Result<Option<Box<dyn Passed>>, GatewayError> {
        let Some(gate) = self.gate.get() else { return Ok(None) };
        let admitted = gate.admit(&member.vendor.name, operation).await;
        admitted.map(Some).map_err(|message| Refusal::Unavailable { message }.into())
    }
}

/// Whether the vendor did its part, whatever it said.
fn is_served<T>(answer: &Result<T, GatewayError>) -> bool {
    match answer {
        Ok(_) => true,
        Err(GatewayError::Refused(refusal)) => !matches!(refusal, Refusal::Unavailable { .. }),
        Err(GatewayError::Unknown { reason, .. }) => {
            matches!(reason, UnknownReason::InProgress | UnknownReason::KeyReused)
        }
    }
}

/// The vendor of a payment or refund, by its id.
pub fn vendor_of(id: &str) -> &str {
    split(id).0
}

/// A vendor's name and the vendor's own id.
fn split(id: &str) -> (&str, &str) {
    id.split_once(BETWEEN).unwrap_or((FIRST_VENDOR, id))
}

/// A vendor's id as ours.
pub(super) fn join(vendor: &str, id: String) -> String {
    if vendor == FIRST_VENDOR { id } else { format!("{vendor}{BETWEEN}{id}") }
}

pub(super) fn name_intent(vendor: &str, intent: Intent) -> Intent {
    Intent { id: join(vendor, intent.id), ..intent }
}

pub(super) fn name_refund(vendor: &str, refund: Refund) -> Refund {
    Refund { id: join(vendor, refund.id), intent_id: refund.intent_id.map(|intent| join(vendor, intent)), ..refund }
}

fn name_error(vendor: &str, error: GatewayError) -> GatewayError {
    match error {
        GatewayError::Refused(Refusal::UnexpectedState { intent, message }) => {
            Refusal::UnexpectedState { intent: Box::new(name_intent(vendor, *intent)), message }.into()
        }
        other => other,
    }
}

/// A page of one vendor's list. Its cursor always names the vendor.
fn name_page<T>(vendor: &str, page: Page<T>, name: impl Fn(&str, T) -> T) -> Page<T> {
    let named = |listed: Listed<T>| Listed { item: name(vendor, listed.item), made_at_s: listed.made_at_s };
    let items = page.items.into_iter().map(named).collect();
    Page { items, unreadable: page.unreadable, next: page.next.map(|next| format!("{vendor}{BETWEEN}{next}")) }
}

/// Whose list a cursor continues, and after what; nothing: from its beginning.
fn split_cursor(after: Option<&str>) -> (&str, Option<&str>) {
    let (vendor, after) = after.map_or((FIRST_VENDOR, ""), split);
    (vendor, Some(after).filter(|after| !after.is_empty()))
}

impl PaymentGateway for VendorPool {
    fn create_intent<'a>(&'a self, key: &'a str, new: &'a NewIntent) -> GatewayFuture<'a, Intent> {
        let vendor = new.vendor.as_deref().unwrap_or(FIRST_VENDOR);
        Box::pin(async move {
            let made = self.call(vendor, CREATE, |gateway| gateway.create_intent(key, new)).await?;
            Ok(name_intent(vendor, made))
        })
    }

    fn confirm_intent<'a>(&'a self, key: &'a str, id: &'a str) -> GatewayFuture<'a, Intent> {
        let (vendor, id) = split(id);
        Box::pin(async move {
            let intent = self.call(vendor, CHARGE, |gateway| gateway.confirm_intent(key, id)).await?;
            Ok(name_intent(vendor, intent))
        })
    }

    fn cancel_intent<'a>(&'a self, key: &'a str, id: &'a str) -> GatewayFuture<'a, Intent> {
        let (vendor, id) = split(id);
        Box::pin(async move {
            let intent = self.call(vendor, VOID, |gateway| gateway.cancel_intent(key, id)).await?;
            Ok(name_intent(vendor, intent))
        })
    }

    fn get_intent<'a>(&'a self, id: &'a str) -> GatewayFuture<'a, Intent> {
        let (vendor, id) = split(id);
        Box::pin(async move {
            let intent = self.call(vendor, READ, |gateway| gateway.get_intent(id)).await?;
            Ok(name_intent(vendor, intent))
        })
    }

    fn refund<'a>(&'a self, key: &'a str, new: &'a NewRefund) -> GatewayFuture<'a, Refund> {
        let (vendor, id) = split(&new.intent_id);
        Box::pin(async move {
            let new = NewRefund { intent_id: id.to_owned(), ..new.clone() };
            let member = self.member(vendor)?;
            let passed = self.admit(member, REFUND).await?;
            let answer = member.gateway.refund(key, &new).await;
            passed.into_iter().for_each(|passed| passed.record(is_served(&answer)));
            answer.map(|refund| name_refund(vendor, refund)).map_err(|error| name_error(vendor, error))
        })
    }

    fn get_refund<'a>(&'a self, id: &'a str) -> GatewayFuture<'a, Refund> {
        let (vendor, id) = split(id);
        Box::pin(async move {
            let refund = self.call(vendor, READ, |gateway| gateway.get_refund(id)).await?;
            Ok(name_refund(vendor, refund))
        })
    }

    fn refunds_of<'a>(&'a self, intent_id: &'a str) -> GatewayFuture<'a, Vec<Refund>> {
        let (vendor, id) = split(intent_id);
        Box::pin(async move {
            let refunds = self.call(vendor, READ, |gateway| gateway.refunds_of(id)).await?;
            Ok(refunds.into_iter().map(|refund| name_refund(vendor, refund)).collect())
        })
    }

    fn list_intents<'a>(&'a self, after: Option<&'a str>) -> GatewayFuture<'a, Page<Intent>> {
        let (vendor, after) = split_cursor(after);
        Box::pin(async move {
            let page = self.call(vendor, READ, |gateway| gateway.list_intents(after)).await?;
            Ok(name_page(vendor, page, name_intent))
        })
    }

    fn list_refunds<'a>(&'a self, after: Option<&'a str>) -> GatewayFuture<'a, Page<Refund>> {
        let (vendor, after) = split_cursor(after);
        Box::pin(async move {
            let page = self.call(vendor, READ, |gateway| gateway.list_refunds(after)).await?;
            Ok(name_page(vendor, page, name_refund))
        })
    }

    fn list_starts(&self) -> Vec<Option<String>> {
        self.vendors().map(|vendor| Some(format!("{}{BETWEEN}", vendor.name))).collect()
    }
}
