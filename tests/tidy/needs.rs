//! What one Rust file defines, imports and names by a path: what [`crate::graph`] is made of.

use std::collections::HashSet;

use crate::source::{Source, is_word_character};

/// One file of a crate.
pub(crate) struct File {
    pub(crate) path: String,
    /// The module's path from the crate's root.
    pub(crate) module: Vec<String>,
    pub(crate) definitions: HashSet<String>,
    pub(crate) imports: Vec<Import>,
    /// Paths in the code with the line and the inline modules around them.
    pub(crate) paths: Vec<(Vec<String>, usize, Vec<String>)>,
    /// Identifiers in the code outside of `use`.
    pub(crate) words: HashSet<String>,
}

/// One name of a `use`.
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    /// What it is called here; none for a glob.
    pub(crate) name: Option<String>,
    pub(crate) public: bool,
    pub(crate) line: usize,
    /// The inline modules around it.
    pub(crate) inside: Vec<String>,
}

/// The path of a file's module, from the crate's root.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let stem = path.trim_end_matches(".rs");
    let mut module: Vec<String> = stem.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

/// Takes a file apart.
pub(crate) fn read_file(path: &str, text: &str) -> File {
    let source = Source::parse(text);
    let mut reader = Reader { tokens: tokens(&source), at: 0, inside: Vec::new() };
    let mut file = File {
        path: path.to_owned(),
        module: module_of(path),
        definitions: HashSet::new(),
        imports: Vec::new(),
        paths: Vec::new(),
        words: HashSet::new(),
    };
    reader.read_into(&mut file);
    file
}

/// A token with its line: an identifier, `::`, or one other character.
type Token<'a> = (&'a str, usize);

fn tokens(source: &Source) -> Vec<Token<'_>> {
    let code = source.code.as_str();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while let Some(first) = code[at..].chars().next() {
        let length = if is_word_character(first) {
            code[at..].find(|character| !is_word_character(character)).unwrap_or(code.len() - at)
        } else if code[at..].starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        if first == '\n' {
            line += 1;
        } else if !first.is_whitespace() {
            tokens.push((&code[at..at + length], line));
        }
        at += length;
    }
    tokens
}

struct Reader<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    /// The inline modules that are open, each with the depth of its brace.
    inside: Vec<(String, usize)>,
}

impl Reader<'_> {
    fn word(&self, offset: isize) -> &str {
        let at = self.at.checked_add_signed(offset);
        at.and_then(|at| self.tokens.get(at)).map_or("", |token| token.0)
    }

    fn inside(&self) -> Vec<String> {
        self.inside.iter().map(|(name, _)| name.clone()).collect()
    }

    fn read_into(&mut self, file: &mut File) {
        let mut depth = 0;
        let mut test = false;
        while self.at < self.tokens.len() {
            let (word, line) = self.tokens[self.at];
            match word {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if self.inside.last().is_some_and(|(_, open)| *open == depth) {
                        self.inside.pop();
                    }
                }
                "cfg" if self.word(1) == "(" && self.word(2) == "test" && self.word(3) == ")" => test = true,
                "mod" if self.word(2) == "{" && test => {
                    self.at += 2;
                    self.skip_braces();
                    test = false;
                    continue;
                }
                "mod" if self.word(2) == "{" => self.inside.push((self.word(1).to_owned(), depth)),
                "use" if !matches!(self.word(-1), "<" | "+" | "(") => {
                    self.read_use(file, line, std::mem::take(&mut test));
                    continue;
                }
                ";" => test = false,
                "fn" | "struct" | "enum" | "trait" | "type" | "static" | "union" | "const" => {
                    if depth == 0 && self.word(1) != "fn" {
                        file.definitions.insert(self.word(1).to_owned());
                    }
                }
                _ => {
                    if is_identifier(word) {
                        self.read_path(file, line);
                    }
                }
            }
            self.at += 1;
        }
    }

    /// Notes an identifier, and the whole path if one begins here; stays on its last token.
    fn read_path(&mut self, file: &mut File, line: usize) {
        let mut path = vec![self.word(0).to_owned()];
        file.words.insert(path[0].clone());
        let begins = !matches!(self.word(-1), "::" | ".");
        while self.word(1) == "::" && is_identifier(self.word(2)) {
            self.at += 2;
            path.push(self.word(0).to_owned());
        }
        if begins && path.len() > 1 {
            file.paths.push((path, line, self.inside()));
        }
    }

    /// From `{` to behind its `}`.
    fn skip_braces(&mut self) {
        let mut depth = 0;
        while self.at < self.tokens.len() {
            match self.word(0) {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    /// From `use` to behind its `;`.
    fn read_use(&mut self, file: &mut File, line: usize, test: bool) {
        let public = matches!(self.word(-1), "pub" | ")");
        self.at += 1;
        let before = file.imports.len();
        self.read_tree(file, &mut Vec::new(), public, line);
        if test {
            file.imports.truncate(before);
        }
        while self.at < self.tokens.len() && self.word(0) != ";" {
            self.at += 1;
        }
        self.at += 1;
    }

    fn read_tree(&mut self, file: &mut File, prefix: &mut Vec<String>, public: bool, line: usize) {
        let length = prefix.len();
        loop {
            match self.word(0).to_owned().as_str() {
                "{" => {
                    self.at += 1;
                    while self.at < self.tokens.len() && self.word(0) != "}" {
                        self.read_tree(file, prefix, public, line);
                        if self.word(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    break;
                }
                "*" => {
                    let inside = self.inside();
                    file.imports.push(Import { path: prefix.clone(), name: None, public, line, inside });
                    self.at += 1;
                    break;
                }
                word => {
                    // `self` at the end of a path in braces is the path before it.
                    if word != "self" || prefix.is_empty() {
                        prefix.push(word.to_owned());
                    }
                    self.at += 1;
                    if self.word(0) == "::" {
                        self.at += 1;
                        continue;
                    }
                    let mut name = prefix.last().cloned();
                    if self.word(0) == "as" {
                        name = Some(self.word(1).to_owned());
                        self.at += 2;
                    }
                    let inside = self.inside();
                    file.imports.push(Import { path: prefix.clone(), name, public, line, inside });
                    break;
                }
            }
        }
        prefix.truncate(length);
    }
}

fn is_identifier(word: &str) -> bool {
    word.starts_with(|first: char| first.is_alphabetic() || first == '_')
}
