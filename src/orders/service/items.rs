//! Items: write and read.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Orders,
    place::{LONGEST_CUSTOMER, LONGEST_SKU, within},
};
use crate::engine::{AuditRecord, check::check_text};
use crate::notices::address::check_email;
use crate::orders::{error::Error, notices::Seller, order::Item, store};
use crate::payments::decimals;

/// An item to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutItem {
    /// Its name.
    #[cfg_attr(
        feature = "server",
        schema(max_length = 200, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$", example = "Apple")
    )]
    pub name: String,
    /// Price of one unit, in minor units.
    #[cfg_attr(feature = "server", schema(minimum = 0, example = 250))]
    pub price: i64,
    /// ISO code.
    #[cfg_attr(feature = "server", schema(pattern = "^[A-Za-z]{3}$", example = "EUR"))]
    pub currency: String,
    /// Units in stock, reserved ones included.
    #[cfg_attr(feature = "server", schema(minimum = 0, example = 100))]
    pub on_hand: i64,
    /// Who sells it, and is told of its orders, also of those under way; nobody, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller: Option<Seller>,
}

impl Orders {
    /// Creates or changes an item. Existing orders keep their price.
    ///
    /// # Errors
    /// `invalid_request`; `wrong_state` if orders have reserved more than `on_hand`.
    pub async fn put_item(&self, sku: &str, item: &PutItem) -> Result<Item, Error> {
        within("sku", sku, LONGEST_SKU)?;
        within("name", &item.name, 200)?;
        let currency = item.currency.to_ascii_uppercase();
        // Of one that is not known nobody knows the decimals: no amount of it could be sent to a vendor, or told.
        if decimals(&currency).is_none() {
            return Err(Error::InvalidRequest(format!("{:?} is not an ISO 4217 currency code", item.currency)));
        }
        if let Some(seller) = &item.seller {
            within("seller.id", &seller.id, LONGEST_CUSTOMER)?;
            let checked = seller.email.as_deref().map_or(Ok(()), check_email);
            checked.map_err(|error| Error::InvalidRequest(format!("seller.email {error}")))?;
        }
        if item.price < 0 || item.on_hand < 0 {
            return Err(Error::InvalidRequest("price and on_hand can't be negative".to_owned()));
        }
        let mut tx = self.engine.begin().await?;
        let before = store::items::lock(&mut tx, sku).await?;
        let put = store::items::put(&mut tx, sku, &item.name, item.price, &currency, item.on_hand).await?;
        let short = || Error::WrongState(format!("orders have reserved more than {} units of {sku}", item.on_hand));
        let put = put.ok_or_else(short)?;
        store::items::emit_crossing(&mut tx, before.as_ref(), &put).await?;
        store::notifications::put_seller(&mut tx, sku, item.seller.as_ref()).await?;
        let shown = |item: &Item| {
            let Item { name, price, currency, on_hand, .. } = item;
            json!({"name": name, "price": price, "currency": currency, "on_hand": on_hand})
        };
        let done = AuditRecord {
            action: "put_item",
            run: None,
            subject: Some(&format!("item {sku}")),
            before: before.as_ref().map(shown),
            after: Some(shown(&put)),
        };
        self.audit(&mut tx, &done, None).await?;
        tx.commit().await?;
        Ok(Item { seller: item.seller.clone(), ..put })
    }

    /// An item, its stock, and who sells it.
    ///
    /// # Errors
    /// `unknown_item`; `invalid_request` for what no item is called.
    pub async fn item(&self, sku: &str) -> Result<Item, Error> {
        within("sku", sku, LONGEST_SKU)?;
        let mut conn = self.engine.acquire().await?;
        let item = store::items::find(&mut conn, sku).await?.ok_or_else(|| Error::UnknownItem(sku.to_owned()))?;
        let seller = store::notifications::find_seller(&mut conn, sku).await?;
        Ok(Item { seller, ..item })
    }

    /// At most 200 items by key, after `after`.
    ///
    /// # Errors
    /// `invalid_request` for what no item is called.
    pub async fn items(&self, after: &str, limit: u32) -> Result<Vec<Item>, Error> {
        check_text("after", after, LONGEST_SKU)?;
        let mut conn = self.engine.acquire().await?;
        Ok(store::items::load_page(&mut conn, after, i64::from(limit.min(200))).await?)
    }
}
