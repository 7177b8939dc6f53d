//! Lists come in slices, each with a cursor that says where the next one begins.

use serde::{Deserialize, Serialize};

use crate::engine::error::Error;

/// A slice of a list, newest first unless said otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "server", schema(as = Page))]
pub struct Slice<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask the next slice with; none on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Slice<T> {
    /// A list that comes whole.
    pub const fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }

    /// Of items of which one more was read than is shown: that one says whether another slice follows. `cursor` is the
    /// place of an item in the list.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(cursor);
        Self { items, next_cursor }
    }
}

/// How many items a slice has: 50 unless asked otherwise.
///
/// # Errors
/// `invalid_request` outside of 1 to 200.
pub(crate) fn check_limit(limit: Option<u32>) -> Result<usize, Error> {
    match limit.unwrap_or(50) {
        limit @ 1..=200 => Ok(limit as usize),
        limit => Err(Error::InvalidRequest(format!("limit is {limit}; it goes from 1 to 200"))),
    }
}
