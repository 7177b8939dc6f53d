//! Statements that are put together of the parts that a call needs, and values that are bound by name.
//!
//! `-- part NAME` and `-- end` stand around a part's lines; `$name` stands for a value. What comes out is a constant text for each
//! choice of parts, so that connections keep it prepared.

use sqlx::{Arguments, Encode, Postgres, Type, postgres::PgArguments};

use crate::engine::error::Error;

/// The values of one call: numbered in the order in which they are bound.
#[derive(Default)]
pub(super) struct Values {
    names: Vec<&'static str>,
    arguments: PgArguments,
}

impl Values {
    pub(super) fn bind<'v, T: Encode<'v, Postgres> + Type<Postgres>>(
        &mut self,
        name: &'static str,
        value: T,
    ) -> Result<(), Error> {
        self.names.push(name);
        self.arguments.add(value).map_err(|error| Error::Database(sqlx::Error::Encode(error)))
    }

    pub(super) fn names(&self) -> &[&'static str] {
        &self.names
    }

    pub(super) fn into_arguments(self) -> PgArguments {
        self.arguments
    }
}

/// The text with only the chosen parts, without its comments but the first, and with numbers for names.
pub(super) fn assemble(text: &str, chosen: impl Fn(&str) -> bool, names: &[&str]) -> String {
    let (mut assembled, mut left_out) = (String::with_capacity(text.len()), false);
    for (n, line) in text.lines().enumerate() {
        match line.strip_prefix("-- ") {
            Some(comment) if n > 0 => match comment.strip_prefix("part ") {
                Some(part) => left_out = !chosen(part),
                None => left_out &= comment != "end",
            },
            _ if line.starts_with("--") && n > 0 => {}
            _ if left_out => {}
            _ => {
                number(line, names, &mut assembled);
                assembled.push('\n');
            }
        }
    }
    assembled
}

fn number(line: &str, names: &[&str], into: &mut String) {
    let mut pieces = line.split('$');
    into.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(piece.len());
        let (name, rest) = piece.split_at(end);
        into.push('$');
        match names.iter().position(|known| *known == name) {
            Some(at) => into.push_str(&at.saturating_add(1).to_string()),
            // Postgres refuses it, which the first test that sends it sees.
            None => into.push_str(name),
        }
        into.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_left_out_and_values_numbered() {
        let text = "-- What it does.\n-- Why.\nSELECT $b::int\n-- part more\n, $a, $b\n-- end\n-- part less\n, $c\n-- end\nFROM t";
        let assembled = assemble(text, |part| part == "more", &["a", "b"]);
        assert_eq!(assembled, "-- What it does.\nSELECT $2::int\n, $1, $2\nFROM t\n");
        assert_eq!(assemble(text, |_| false, &["b"]), "-- What it does.\nSELECT $1::int\nFROM t\n");
    }
}
