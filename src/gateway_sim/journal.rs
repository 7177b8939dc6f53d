//! The ledger's file: a JSON object per line for what has changed, written before the answer goes out. A simulator that is
//! stopped or killed goes on where it was; its switches are not kept.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{
    Inner,
    ledger::Due,
    objects::{Intent, Refund, Reply},
};

/// One change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Intent(Intent),
    Refund(Refund),
    /// All that is still to happen by itself.
    Due(BTreeSet<(i64, Due)>),
    /// The answer that is stored under a key.
    Answer {
        key: String,
        fingerprint: String,
        reply: Reply,
    },
    /// Everything before was deleted.
    Forgotten,
}

/// The file.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// What its last line about it says.
    due: BTreeSet<(i64, Due)>,
}

impl Journal {
    /// Reads what a file has into an empty ledger, and writes it anew without what later lines have replaced.
    ///
    /// # Errors
    /// When the file can't be read or written, or is not one of these.
    pub(super) fn open(path: &Path, inner: &mut Inner) -> io::Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => read(&text, inner)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let fresh = path.with_extension("new");
        let mut journal = Self { file: File::create(&fresh)?, due: BTreeSet::new() };
        journal.write(inner)?;
        fs::rename(&fresh, path)?;
        journal.file = OpenOptions::new().append(true).open(path)?;
        Ok(journal)
    }

    /// Writes what has changed.
    ///
    /// # Errors
    /// When the disk is full, for example.
    pub(super) fn write(&mut self, inner: &mut Inner) -> io::Result<()> {
        let mut lines = Vec::new();
        if inner.keys.take_forgotten() {
            lines.push(Line::Forgotten);
            self.due.clear();
        }
        lines.extend(inner.ledger.intents.take_changed().into_iter().map(Line::Intent));
        lines.extend(inner.ledger.refunds.take_changed().into_iter().map(Line::Refund));
        if inner.ledger.due != self.due {
            self.due.clone_from(&inner.ledger.due);
            lines.push(Line::Due(self.due.clone()));
        }
        lines.extend(inner.keys.take_answered());
        let mut text = String::new();
        for line in &lines {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        // In one write: a process that is killed leaves whole lines, or half of the last one.
        self.file.write_all(text.as_bytes())
    }
}

fn read(text: &str, inner: &mut Inner) -> io::Result<()> {
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let line: Line = match serde_json::from_str(line) {
            Ok(line) => line,
            Err(_) if lines.peek().is_none() && !line.ends_with('\n') => return Ok(()),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        };
        match line {
            Line::Intent(intent) => inner.ledger.intents.insert(&intent.id.clone(), intent),
            Line::Refund(refund) => inner.ledger.refunds.insert(&refund.id.clone(), refund),
            Line::Due(due) => inner.ledger.due = due,
            Line::Answer { key, fingerprint, reply } => inner.keys.restore(key, fingerprint, reply),
            Line::Forgotten => {
                inner.ledger.forget();
                inner.keys.clear();
            }
        }
    }
    Ok(())
}
