//! Small enums with a word for each value: the word that the API, the command line and the tables use.

/// A text that is none of an enum's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {noun} {text}; there are {}", known.join(", "))]
pub struct UnknownWord {
    /// What kind of word was asked for.
    pub noun: &'static str,
    /// The text.
    pub text: String,
    /// The words that there are.
    pub known: &'static [&'static str],
}

/// Defines a small enum with a word for each value, and both ways between them, which serde uses too. A value compares with
/// its word, as `http::Method` does. The API's schema derives the words from the variants' names: a test holds both together.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $noun:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(rename_all = "snake_case"))]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// All values, in their order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Their words, in the same order.
            pub const WORDS: &'static [&'static str] = &[$($word),+];
            /// The word that people, the API and the tables use.
            pub const fn word(self) -> &'static str { match self { $(Self::$variant => $word),+ } }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::engine::core::words::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.word() == text).ok_or_else(|| Self::Err {
                    noun: $noun,
                    text: text.to_owned(),
                    known: Self::WORDS,
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(self.word()) }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <String as serde::Deserialize>::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, word: &str) -> bool { self.word() == word }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, word: &&str) -> bool { self.word() == *word }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro makes public enums")]
mod tests {
    words! {
        /// Two words.
        Colour, "colour" {
            /// Red.
            Red = "red",
            /// Dark blue.
            DarkBlue = "dark_blue",
        }
    }

    #[test]
    fn a_word_leads_to_its_value_and_back() {
        for (value, word) in Colour::ALL.iter().zip(Colour::WORDS) {
            assert_eq!((value.word(), word.parse()), (*word, Ok(*value)));
            assert_eq!(serde_json::to_value(value).ok(), Some((*word).into()));
            assert_eq!(*value, *word);
        }
    }

    #[test]
    fn an_unknown_word_names_the_known_ones() {
        let error = "green".parse::<Colour>().expect_err("no such colour");
        assert_eq!(error.to_string(), "there is no colour green; there are red, dark_blue");
    }
}
