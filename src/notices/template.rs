//! Texts: templates in files, one for each message and language. The first line is the subject.
//!
//! A field that is not known is an error, never an empty place. Every template is tried with examples when it is loaded; what
//! only then fails with a real order parks the notice.

use std::{collections::HashMap, path::Path};

use minijinja::{Environment, UndefinedBehavior, value::Serde};
use serde::Serialize;

use super::{Recipient, address::check_locale};

/// The language of who has none.
const FALLBACK: &str = "en";

/// The largest template, in bytes.
const LARGEST: u64 = 64 * 1024;

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        /// What can be told, by the event that it is about.
        pub const TEMPLATES: &[&str] = &[$($name),*];
        const BUILT_IN: &[(&str, &str, &str)] = &[
            $(("en", $name, include_str!(concat!("templates/en/", $name, ".txt"))),
              ("de", $name, include_str!(concat!("templates/de/", $name, ".txt")))),*
        ];
    };
}

built_in![
    "order.created",
    "order.awaiting_payment",
    "order.placed",
    "order.processing",
    "order.shipped",
    "order.delivered",
    "order.updated",
    "order.cancelling",
    "order.cancelled",
    "payment.captured",
    "payment.failed",
    "payment.unknown",
    "payment.refunded",
];

/// What a template may name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// `customer`, `seller` or `operator`.
    pub recipient: Recipient,
    /// The order's id.
    pub order_id: String,
    /// Who ordered.
    pub customer_id: String,
    /// The order's state.
    pub state: String,
    /// What it costs, with the decimals of its currency.
    pub total: String,
    /// What was charged.
    pub captured: String,
    /// What was refunded.
    pub refunded: String,
    /// Whether anything was charged.
    pub is_charged: bool,
    /// Why it was cancelled, in words; empty if it was not.
    pub reason: String,
    /// Its lines; a seller's own.
    pub items: Vec<FactLine>,
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FactLine {
    /// The item.
    pub sku: String,
    /// Units.
    pub quantity: i64,
    /// The price of one.
    pub price: String,
}

impl Facts {
    fn example(recipient: Recipient, is_charged: bool) -> Self {
        let text = |text: &str| text.to_owned();
        let line = FactLine { sku: text("tea"), quantity: 2, price: text("5.00 EUR") };
        Self {
            recipient,
            order_id: text("01890000-0000-7000-8000-000000000000"),
            customer_id: text("c1"),
            state: text("placed"),
            total: text("10.00 EUR"),
            captured: text(if is_charged { "10.00 EUR" } else { "0.00 EUR" }),
            refunded: text("0.00 EUR"),
            is_charged,
            reason: text(if is_charged { "" } else { "out of stock" }),
            items: vec![line],
        }
    }
}

/// A rendered text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// One line.
    pub subject: String,
    /// The rest.
    pub body: String,
}

/// Why templates can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The folder or a file in it can't be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// A file in it is no template of ours.
    #[error("{path}: {why}")]
    Unusable {
        /// Which.
        path: String,
        /// Why.
        why: String,
    },
}

/// All texts.
#[derive(Clone, Debug)]
pub struct Templates {
    environment: Environment<'static>,
    /// By language and name.
    sources: HashMap<(String, String), String>,
}

impl Templates {
    /// Those that are built in.
    pub fn built_in() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let owned = |(locale, name, text): &(&str, &str, &str)| {
            (((*locale).to_owned(), (*name).to_owned()), (*text).to_owned())
        };
        Self { environment, sources: BUILT_IN.iter().map(owned).collect() }
    }

    /// The same, overridden by the files `LOCALE/NAME.txt` of a folder.
    ///
    /// # Errors
    /// A file can't be read, has an unknown name, or fails with an example.
    pub fn with_folder(mut self, folder: &Path) -> Result<Self, TemplateError> {
        for locale in read_folder(folder)? {
            let word = locale.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let unusable = |why: String| TemplateError::Unusable { path: locale.display().to_string(), why };
            if !locale.is_dir() || check_locale(&word).is_err() {
                return Err(unusable("not a folder of a locale, such as de".to_owned()));
            }
            for file in read_folder(&locale)? {
                self.add(&word, &file)?;
            }
        }
        Ok(self)
    }

    fn add(&mut self, locale: &str, file: &Path) -> Result<(), TemplateError> {
        let path = file.display().to_string();
        let unusable = |why: String| TemplateError::Unusable { path: path.clone(), why };
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(".txt").filter(|name| TEMPLATES.contains(name));
        let name = name.ok_or_else(|| unusable(format!("not one of {}, each with .txt", TEMPLATES.join(", "))))?;
        let unreadable = |error| TemplateError::Unreadable { path: path.clone(), error };
        if std::fs::metadata(file).map_err(unreadable)?.len() > LARGEST {
            return Err(unusable(format!("larger than {LARGEST} bytes")));
        }
        let source = std::fs::read_to_string(file).map_err(unreadable)?;
        for recipient in Recipient::ALL {
            for is_charged in [true, false] {
                self.render_source(name, &source, &Facts::example(recipient, is_charged)).map_err(unusable)?;
            }
        }
        self.sources.insert((locale.to_ascii_lowercase(), name.to_owned()), source);
        Ok(())
    }

    /// The text of a message in a language, or in the nearest there is.
    ///
    /// # Errors
    /// What is wrong with the template.
    pub fn render(&self, name: &str, locale: Option<&str>, facts: &Facts) -> Result<Text, String> {
        let wanted = locale.unwrap_or(FALLBACK).to_ascii_lowercase();
        let language = wanted.split('-').next().unwrap_or(FALLBACK);
        let find = |locale: &str| self.sources.get(&(locale.to_owned(), name.to_owned()));
        let source = find(&wanted).or_else(|| find(language)).or_else(|| find(FALLBACK));
        self.render_source(name, source.ok_or_else(|| format!("there is no template {name}"))?, facts)
    }

    fn render_source(&self, name: &str, source: &str, facts: &Facts) -> Result<Text, String> {
        let (first, body) = source.split_once('\n').unwrap_or((source, ""));
        let subject =
            first.strip_prefix("Subject:").ok_or_else(|| format!("{name}: the first line is not Subject: …"))?;
        let render = |what: &str, source: &str| {
            let failed = |error: minijinja::Error| format!("{name}, its {what}: {error}");
            self.environment.render_named_str(what, source, Serde(facts)).map_err(failed)
        };
        // What breaks the line would begin another header.
        let subject = render("subject", subject)?.split_whitespace().collect::<Vec<_>>().join(" ");
        if subject.is_empty() {
            return Err(format!("{name}: its subject is empty"));
        }
        Ok(Text { subject, body: render("text", body)?.trim().to_owned() })
    }
}

fn read_folder(folder: &Path) -> Result<Vec<std::path::PathBuf>, TemplateError> {
    let unreadable = |error| TemplateError::Unreadable { path: folder.display().to_string(), error };
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let mut paths =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str, text: &str) -> tempdir::Folder {
        let folder = tempdir::Folder::new();
        let locale = folder.path().join("de");
        std::fs::create_dir_all(&locale).expect("a folder");
        std::fs::write(locale.join(name), text).expect("a file");
        folder
    }

    /// A folder that is removed with its owner.
    mod tempdir {
        pub(super) struct Folder(std::path::PathBuf);

        impl Folder {
            pub(super) fn new() -> Self {
                let path = std::env::temp_dir().join(format!("templates-{}", uuid::Uuid::now_v7()));
                std::fs::create_dir_all(&path).expect("a folder");
                Self(path)
            }

            pub(super) fn path(&self) -> &std::path::Path {
                &self.0
            }
        }

        impl Drop for Folder {
            fn drop(&mut self) {
                let _ = std::fs::remove_dir_all(&self.0);
            }
        }
    }

    #[test]
    fn every_built_in_template_renders_for_everybody() {
        let templates = Templates::built_in();
        for name in TEMPLATES {
            for recipient in Recipient::ALL {
                for is_charged in [true, false] {
                    let facts = Facts::example(recipient, is_charged);
                    let [en, de] = ["en", "de-AT"].map(|locale| templates.render(name, Some(locale), &facts));
                    let (en, de) = (en.expect(name), de.expect(name));
                    assert!(en != de && en.subject.contains(&facts.order_id) && !de.body.is_empty(), "{name}");
                }
            }
        }
    }

    #[test]
    fn german_texts_have_german_amounts_and_reasons() {
        let (captured, refunded) = ("25.925 KWD".to_owned(), "1.000 KWD".to_owned());
        let facts =
            Facts { captured, refunded, reason: "customer".to_owned(), ..Facts::example(Recipient::Customer, true) };
        let text = Templates::built_in().render("order.cancelled", Some("de"), &facts).expect("a text").body;
        assert_eq!(text, "Grund: auf Wunsch des Kunden. 1,000 KWD von 25,925 KWD wurden erstattet.");
    }

    #[test]
    fn a_template_with_an_unknown_field_is_refused() {
        for text in
            ["Subject: {{ colour }}\n", "Subject: x\n{{ items[0].weight }}", "Subject: x\n{% if colour %}y{% endif %}"]
        {
            let folder = folder("order.placed.txt", text);
            let error = Templates::built_in().with_folder(folder.path()).expect_err(text).to_string();
            assert!(error.contains("de/order.placed.txt") && error.contains("undefined"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_no_template_is_refused() {
        for (name, text) in
            [("order.lost.txt", "Subject: x\n"), ("order.placed.txt", "x\n"), ("order.placed.txt", "Subject: {{")]
        {
            let folder = folder(name, text);
            assert!(Templates::built_in().with_folder(folder.path()).is_err(), "{name}: {text}");
        }
    }

    #[test]
    fn a_folder_overrides_only_what_it_has() {
        let folder = folder("order.placed.txt", "Subject: Bezahlt:\t{{ total }}\nDanke.\n");
        let templates = Templates::built_in().with_folder(folder.path()).expect("it is usable");
        let facts =
            Facts { total: "5\r\nBcc: eve@example.com".to_owned(), ..Facts::example(Recipient::Customer, true) };
        let text = templates.render("order.placed", Some("de"), &facts).expect("a text");
        assert_eq!(text, Text { subject: "Bezahlt: 5 Bcc: eve@example.com".to_owned(), body: "Danke.".to_owned() });
        assert!(templates.render("order.placed", Some("fr"), &facts).expect("English").body != text.body);
    }
}
