//! The schema that an engine's tables are in, and every statement with its name filled in.
//!
//! Statements say `{schema}` where the name belongs. Each is rendered once per engine, when it is first used, and is a constant
//! text from then on, so that connections keep it prepared. No search_path is set or relied on: statements also run on
//! connections of the engine's users.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::engine::error::Error;

/// The schema's name unless set otherwise.
pub const DEFAULT_SCHEMA: &str = "backstitch";

/// What a statement says in place of the name.
const PLACEHOLDER: &str = "{schema}";

/// Postgres cuts identifiers to 63 bytes; this leaves room for the channel `…_due` and for names of its own making.
const LONGEST: usize = 48;

/// An engine's schema.
pub(crate) struct Schema {
    name: String,
    /// Rendered statements by address and length of their texts, which are constants of the program, and the parts of them.
    rendered: RwLock<HashMap<(usize, usize, u32), Arc<str>>>,
}

impl Schema {
    /// A schema of this name.
    ///
    /// # Errors
    /// `invalid_schema`: it is not a plain lower-case identifier, is too long, or is a word of SQL's own.
    pub(crate) fn new(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        match objection(&name) {
            None => Ok(Self { name, rendered: RwLock::default() }),
            Some(why) => Err(Error::InvalidSchema { name, why }),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A statement with the name filled in.
    pub(crate) fn sql(&self, statement: &'static str) -> SqlStr {
        AssertSqlSafe(self.text(statement)).into_sql_str()
    }

    /// The same as a text, to build a longer statement from.
    pub(crate) fn text(&self, statement: &'static str) -> Arc<str> {
        self.known(statement, 0, || self.render(statement))
    }

    /// A statement of these parts (not 0), which `assemble` puts together when they are asked for first.
    pub(super) fn sql_of_parts(&self, statement: &'static str, parts: u32, assemble: impl Fn() -> String) -> SqlStr {
        AssertSqlSafe(self.known(statement, parts, || self.render(&assemble()))).into_sql_str()
    }

    fn known(&self, statement: &'static str, parts: u32, render: impl Fn() -> String) -> Arc<str> {
        let key = (statement.as_ptr().addr(), statement.len(), parts);
        if let Some(text) = self.rendered.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return text.clone();
        }
        let mut rendered = self.rendered.write().unwrap_or_else(PoisonError::into_inner);
        rendered.entry(key).or_insert_with(|| render().into()).clone()
    }

    /// Any text with the name filled in. Not kept: for what is rare.
    pub(crate) fn render(&self, text: &str) -> String {
        text.replace(PLACEHOLDER, &self.name)
    }

    /// The channel on which "something may be due" is hinted. Polling alone is enough; a hint only makes it sooner.
    pub(crate) fn channel(&self) -> String {
        format!("{}_due", self.name)
    }
}

impl Default for Schema {
    fn default() -> Self {
        Self { name: DEFAULT_SCHEMA.to_owned(), rendered: RwLock::default() }
    }
}

/// Its name, for statements that are put together with `format!`.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.name).finish()
    }
}

/// What is wrong with a name.
fn objection(name: &str) -> Option<&'static str> {
    let letter_or = |also: fn(u8) -> bool| move |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || also(byte);
    let first = letter_or(|_| false);
    let rest = letter_or(|byte| byte.is_ascii_digit());
    if !name.bytes().next().is_some_and(first) || !name.bytes().all(rest) {
        Some("it has to be lower-case letters, digits and underscores, and not to begin with a digit")
    } else if name.len() > LONGEST {
        Some("it is longer than 48 characters")
    } else if name.starts_with("pg_") || name == "information_schema" {
        Some("it belongs to Postgres")
    } else if RESERVED.split(' ').any(|word| word == name) {
        Some("it is a word of SQL's own")
    } else {
        None
    }
}

/// Words that Postgres (13 to 18) takes as a schema's name only in quotes: `pg_get_keywords()` with catcode R or T.
const RESERVED: &str = "all analyse analyze and any array as asc asymmetric authorization binary both case cast check \
    collate collation column concurrently constraint create cross current_catalog current_date \
    current_role current_schema current_time current_timestamp current_user default deferrable desc \
    distinct do else end except false fetch for foreign freeze from full grant group having ilike in \
    initially inner intersect into is isnull join lateral leading left like limit localtime \
    localtimestamp natural not notnull null offset on only or order outer overlaps placing primary \
    references returning right select session_user similar some symmetric system_user table tablesample \
    then to trailing true union unique user using variadic verbose when where window with";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_identifiers() {
        for good in ["backstitch", "_", "tenant_7", "a".repeat(48).as_str()] {
            assert_eq!(objection(good), None, "{good}");
        }
        for bad in ["", "7up", "Tenant", "a-b", "a.b", "a b", "é", "\"a\"", "pg_temp", "user", "a".repeat(49).as_str()]
        {
            assert!(Schema::new(bad).is_err_and(|error| error.code() == "invalid_schema"), "{bad}");
        }
    }

    #[test]
    fn a_statement_is_rendered_once() {
        let (schema, statement) = (Schema::new("cell_1").expect("a name"), "SELECT {schema}.now() FROM {schema}.run");
        let text = schema.text(statement);
        assert_eq!(&*text, "SELECT cell_1.now() FROM cell_1.run");
        assert!(Arc::ptr_eq(&text, &schema.text(statement)));
    }
}
