//! `/vendors`: the payment vendors with their breakers, and the forms that open and close them.

use askama::Template;

use crate::{
    engine::{BreakerMode, BreakerStatus, Operator},
    http::{
        base::{Base, filters},
        page::{self, Address, Fragment},
        plugin::Form,
        problem::Problem,
    },
    orders::{Orders, SetBreakers, VendorInfo},
};

#[derive(Template)]
#[template(path = "vendors.html")]
struct VendorsPage {
    vendors: Vec<VendorInfo>,
}

/// All vendors.
pub(super) async fn render(orders: &Orders, base: &Base) -> Result<Fragment, Problem> {
    let vendors = orders.vendors().await?;
    Fragment::render(base, "Vendors", "vendors", &VendorsPage { vendors })
}

/// The form of a mode.
pub(super) async fn form(orders: &Orders, address: &Address) -> Result<Form, Problem> {
    let (name, mode) = parts(address)?;
    let known = orders.vendors().await?;
    if !known.iter().any(|vendor| vendor.name == name) {
        return Err(crate::orders::Error::UnknownVendor(name.to_owned()).into());
    }
    let (verb, means, label) = match mode {
        BreakerMode::Open => {
            ("Hold back", "No call of the vendor is sent. Orders with a token for another go there.", "Open")
        }
        BreakerMode::Closed => ("Let through", "All calls are sent, whatever becomes of them.", "Close"),
        BreakerMode::Auto => ("Leave to its breakers", "Calls are held back only while most of them fail.", "Auto"),
    };
    Ok(Form {
        section: "vendors",
        parent: ("/vendors", "Vendors"),
        title: format!("{verb}: {name}"),
        means,
        plan: Vec::new(),
        label,
        done: "set",
        closed: false,
    })
}

/// Sets the mode.
pub(super) async fn submit(orders: &Orders, address: &Address, by: &Operator) -> Result<(), Problem> {
    let (name, state) = parts(address)?;
    orders.acting_as(&by.actor).set_vendor(name, &SetBreakers { state, reason: by.reason.clone() }).await?;
    Ok(())
}

fn parts(address: &Address) -> Result<(&str, BreakerMode), Problem> {
    match address.segments().as_slice() {
        ["vendors", name, word] => match word.parse() {
            Ok(mode) => Ok((*name, mode)),
            Err(_) => Err(Problem::new("unknown_route", "no page has this address")),
        },
        _ => Err(Problem::new("unknown_route", "no page has this address")),
    }
}

fn kind(vendor: &VendorInfo) -> &'static str {
    match vendor.kind {
        crate::payments::VendorKind::Stripe => "Stripe's API",
        crate::payments::VendorKind::Acquirer => "an acquirer",
    }
}

/// A breaker's state, as people say it.
fn state(breaker: &BreakerStatus) -> String {
    breaker.state.word().replace('_', " ")
}
