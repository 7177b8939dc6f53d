//! A Rust file split into code, strings and comments: just enough of a lexer for the rules in `main.rs`.
//!
//! It knows comments (nested too), strings (raw and byte strings too) and characters; everything else is code. Line numbers stay right, as
//! what is cut out of the code is replaced by spaces.

/// One file, taken apart.
pub(crate) struct Source {
    /// The code, with comments and the insides of strings blanked out.
    pub(crate) code: String,
    /// Each string literal with the line (from 1) that it begins on, escapes left as written.
    pub(crate) strings: Vec<(usize, String)>,
}

impl Source {
    /// Takes a file apart.
    pub(crate) fn parse(text: &str) -> Self {
        let mut source = Self { code: String::with_capacity(text.len()), strings: Vec::new() };
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '/' if rest.starts_with("//") => source.blank(&rest[..rest.find('\n').unwrap_or(rest.len())]),
                '/' if rest.starts_with("/*") => source.blank(&rest[..block_comment(rest)]),
                '"' => source.string(rest, 1, end_of_string(&rest[1..]), 1),
                'r' if !source.in_word() && raw_hashes(rest).is_some() => source.raw_string(rest),
                '\'' => source.character_or_lifetime(rest),
                other => source.keep(other),
            };
            rest = &rest[length..];
        }
        source
    }

    /// The line (from 1) of an offset into the code.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        1 + self.code[..offset].matches('\n').count()
    }

    fn in_word(&self) -> bool {
        self.code.ends_with(|last: char| (last.is_alphanumeric() && last != 'b') || last == '_')
    }

    fn keep(&mut self, character: char) -> usize {
        self.code.push(character);
        character.len_utf8()
    }

    fn blank(&mut self, part: &str) -> usize {
        self.code.extend(part.chars().map(|character| if character == '\n' { '\n' } else { ' ' }));
        part.len()
    }

    /// A string whose inside begins at `start` and is `inside` long, with a closing part of `closing` bytes.
    fn string(&mut self, rest: &str, start: usize, inside: usize, closing: usize) -> usize {
        let line = self.line_of(self.code.len());
        let end = (start + inside).min(rest.len());
        self.strings.push((line, rest[start..end].to_owned()));
        self.code.push('"');
        self.blank(&rest[start..end]);
        self.code.push('"');
        (end + closing).min(rest.len())
    }

    fn raw_string(&mut self, rest: &str) -> usize {
        let hashes = raw_hashes(rest).unwrap_or(0);
        let closing = format!("\"{}", "#".repeat(hashes));
        let start = hashes + 2;
        let inside = rest[start..].find(&closing).unwrap_or(rest.len() - start);
        self.string(rest, start, inside, closing.len())
    }

    fn character_or_lifetime(&mut self, rest: &str) -> usize {
        let mut following = rest[1..].chars();
        let (first, second) = (following.next(), following.next());
        match (first, second) {
            (Some('\\'), Some(escaped)) => {
                let from = 2 + escaped.len_utf8();
                let end = rest[from..].find('\'').map_or(rest.len(), |at| from + at + 1);
                self.blank(&rest[..end])
            }
            (Some(character), Some('\'')) => self.blank(&rest[..2 + character.len_utf8()]),
            _ => self.keep('\''),
        }
    }
}

/// Bytes until the unescaped closing quote.
fn end_of_string(inside: &str) -> usize {
    let mut escaped = false;
    for (at, character) in inside.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    inside.len()
}

/// The length of a comment that may hold others.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest.as_bytes().get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") if depth == 1 => return at + 2,
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

/// How many `#` a raw string that begins here has; `None` if none begins here.
fn raw_hashes(rest: &str) -> Option<usize> {
    let after = rest[1..].trim_start_matches('#');
    after.starts_with('"').then(|| rest.len() - 1 - after.len())
}

/// Whether it can be a part of an identifier.
pub(crate) fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The identifier that a text begins with; empty if none does.
pub(crate) fn word(text: &str) -> &str {
    &text[..text.find(|character| !is_word_character(character)).unwrap_or(text.len())]
}

/// Whether what stands there is no part of a longer word.
pub(crate) fn is_whole_word(text: &str, at: usize, length: usize) -> bool {
    !text[..at].ends_with(is_word_character) && !text[at + length..].starts_with(is_word_character)
}
