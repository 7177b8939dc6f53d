//! Which file of a crate needs which other: read from `use` lines and from paths in the code.
//!
//! Just enough of name resolution for the rules about circles and floors. A name that comes through a re-export belongs to the
//! file that defines it, and re-exporting is no need of its own: so a `mod.rs` that only lists its children needs none of
//! them. Modules of tests (`#[cfg(test)]`) don't count, neither do methods.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::needs::{File, module_of, read_file};

/// A crate's files and their needs.
pub(crate) struct Graph {
    files: Vec<File>,
    by_module: HashMap<Vec<String>, usize>,
}

/// That one file needs another, and where that can be seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) line: usize,
}

/// Where a path leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Module(usize),
    Item(usize),
}

impl Graph {
    /// Reads a crate's files, given as (path below `src/`, text).
    pub(crate) fn read(files: &[(String, String)]) -> Self {
        let files: Vec<File> = files.iter().map(|(path, text)| read_file(path, text)).collect();
        let by_module = files.iter().enumerate().map(|(at, file)| (file.module.clone(), at)).collect();
        Self { files, by_module }
    }

    /// All needs, one per pair of files, in order.
    pub(crate) fn needs(&self) -> Vec<Need> {
        let mut found: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for from in 0..self.files.len() {
            for (to, line) in self.needs_of(from) {
                if to != from {
                    let first = found.entry((from, to)).or_insert(line);
                    *first = line.min(*first);
                }
            }
        }
        let name = |at: usize| self.files[at].path.clone();
        found.into_iter().map(|((from, to), line)| Need { from: name(from), to: name(to), line }).collect()
    }

    /// Groups of files that need each other in a circle, each in order. What a module's own file (`mod.rs`) defines for the
    /// files below it may be needed by them, though that file composes them: this is a tree and not a circle.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        let mut reach: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let needs = self.needs();
        for need in needs.into_iter().filter(|need| !module_of(&need.from).starts_with(&module_of(&need.to))) {
            reach.entry(need.from).or_default().insert(need.to);
        }
        let all: BTreeMap<&str, BTreeSet<&str>> =
            reach.keys().map(|from| (from.as_str(), reachable(&reach, from))).collect();
        let mut circles = BTreeSet::new();
        for (from, to) in &all {
            if to.contains(from) {
                let both = to.iter().filter(|other| all.get(**other).is_some_and(|back| back.contains(from)));
                circles.insert(both.map(|path| (*path).to_owned()).collect::<Vec<_>>());
            }
        }
        circles.into_iter().collect()
    }

    fn needs_of(&self, from: usize) -> Vec<(usize, usize)> {
        let file = &self.files[from];
        let mut found = Vec::new();
        for import in &file.imports {
            let target = self.absolute(from, &import.path, &import.inside).and_then(|path| self.follow(&path));
            match (target, &import.name) {
                (Some(Target::Module(to)), None) if !import.public => found.push((to, import.line)),
                (Some(Target::Item(to)), Some(name)) if !import.public || file.words.contains(name) => {
                    found.push((to, import.line));
                }
                _ => {}
            }
        }
        for (path, line, inside) in &file.paths {
            let target = self.absolute(from, path, inside).and_then(|path| self.follow(&path));
            if let Some(Target::Item(to)) = target {
                found.push((to, *line));
            }
        }
        found
    }

    /// A path as it is written in a file, from the crate's root; none for another crate's and for local names.
    fn absolute(&self, at: usize, path: &[String], inside: &[String]) -> Option<Vec<String>> {
        self.absolute_within(at, path, inside, 0)
    }

    fn absolute_within(&self, at: usize, path: &[String], inside: &[String], depth: usize) -> Option<Vec<String>> {
        let file = &self.files[at];
        let mut scope: Vec<String> = file.module.iter().chain(inside).cloned().collect();
        let first = path.first()?.as_str();
        let mut rest = path;
        match first {
            "crate" => Some(path[1..].to_vec()),
            "self" | "super" => {
                while let Some(("self" | "super", after)) =
                    rest.split_first().map(|(word, after)| (word.as_str(), after))
                {
                    if rest[0] == "super" {
                        scope.pop()?;
                    }
                    rest = after;
                }
                Some(scope.into_iter().chain(rest.iter().cloned()).collect())
            }
            _ => {
                let child: Vec<String> = file.module.iter().cloned().chain([first.to_owned()]).collect();
                if self.by_module.contains_key(&child) {
                    return Some(child.into_iter().chain(path[1..].iter().cloned()).collect());
                }
                let mut imports = file.imports.iter().filter(|import| import.path != path && import.path.len() > 1);
                let import = imports.find(|import| import.name.as_deref() == Some(first))?;
                if depth > 4 {
                    return None;
                }
                let start = self.absolute_within(at, &import.path, &import.inside, depth + 1)?;
                Some(start.into_iter().chain(path[1..].iter().cloned()).collect())
            }
        }
    }

    /// The file that a path from the root leads to.
    fn follow(&self, path: &[String]) -> Option<Target> {
        let root = *self.by_module.get(&Vec::new())?;
        let (at, rest) = self.descend(root, path);
        match rest {
            [] => Some(Target::Module(at)),
            _ => Some(self.look_up(at, rest, &mut HashSet::new()).unwrap_or(Target::Item(at))),
        }
    }

    /// As far as modules with files go.
    fn descend<'a>(&self, mut at: usize, mut path: &'a [String]) -> (usize, &'a [String]) {
        while let Some((first, rest)) = path.split_first() {
            let child: Vec<String> = self.files[at].module.iter().chain([first]).cloned().collect();
            let Some(next) = self.by_module.get(&child) else { break };
            (at, path) = (*next, rest);
        }
        (at, path)
    }

    /// Who defines the name that begins `path` in this module, through its imports.
    fn look_up(&self, at: usize, path: &[String], seen: &mut HashSet<(usize, String)>) -> Option<Target> {
        let name = path.first()?;
        if self.files[at].definitions.contains(name) {
            return Some(Target::Item(at));
        }
        if !seen.insert((at, name.clone())) {
            return None;
        }
        let outside = self.files[at].imports.iter().filter(|import| import.inside.is_empty());
        for import in outside {
            let rest: &[String] = if import.name.is_none() { path } else { &path[1..] };
            if import.name.as_ref().is_some_and(|here| here != name) {
                continue;
            }
            let Some(start) = self.absolute(at, &import.path, &[]) else { continue };
            let whole: Vec<String> = start.into_iter().chain(rest.iter().cloned()).collect();
            let (next, rest) = self.descend(*self.by_module.get(&Vec::new())?, &whole);
            match rest {
                [] => return Some(Target::Module(next)),
                _ if next == at => {}
                _ => match self.look_up(next, rest, seen) {
                    None if import.name.is_some() => return Some(Target::Item(next)),
                    None => {}
                    found => return found,
                },
            }
        }
        None
    }
}

/// What one file needs, also by way of others.
fn reachable<'a>(reach: &'a BTreeMap<String, BTreeSet<String>>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut waiting) = (BTreeSet::new(), vec![from]);
    while let Some(at) = waiting.pop() {
        waiting.extend(reach.get(at).into_iter().flatten().map(String::as_str).filter(|to| seen.insert(*to)));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(files: &[(&str, &str)]) -> Graph {
        let files: Vec<_> = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        Graph::read(&files)
    }

    fn needs(files: &[(&str, &str)]) -> Vec<String> {
        graph(files).needs().into_iter().map(|need| format!("{}:{} {}", need.from, need.line, need.to)).collect()
    }

    const ROOT: (&str, &str) = ("lib.rs", "mod a; mod b;");

    #[test]
    fn imports_are_read_in_nested_braces() {
        let files = [
            ROOT,
            ("a/mod.rs", "mod one; mod two;"),
            ("a/one.rs", "pub struct One;"),
            ("a/two.rs", "use super::one::One; use crate::{\n b::{self, B},\n a::one};\nfn f() { one::f(); b::g() }"),
            ("b.rs", "pub struct B; pub fn g() {}"),
        ];
        assert_eq!(needs(&files), ["a/two.rs:1 a/one.rs", "a/two.rs:1 b.rs"]);
    }

    #[test]
    fn paths_count_in_code_only() {
        let files = [
            ROOT,
            ("a.rs", "// crate::b::B\nfn f() { let x = \"crate::b::B\"; }"),
            ("b.rs", "fn g() { crate::a::f(); std::mem::take(x); x.a::<u8>() }"),
        ];
        assert_eq!(needs(&files), ["b.rs:1 a.rs"]);
    }

    #[test]
    fn a_name_belongs_to_the_file_that_defines_it() {
        let files = [
            ROOT,
            ("a/mod.rs", "mod one; mod two; pub use one::One; pub use two::*; pub struct Own;"),
            ("a/one.rs", "pub struct One;"),
            ("a/two.rs", "pub enum Two {}"),
            ("b.rs", "use crate::a::{One, Own, Two};"),
        ];
        assert_eq!(needs(&files), ["b.rs:1 a/mod.rs", "b.rs:1 a/one.rs", "b.rs:1 a/two.rs"]);
    }

    #[test]
    fn a_re_export_alone_is_no_need() {
        let one = ("a/one.rs", "pub struct One;");
        let listing = ("a/mod.rs", "mod one; pub(crate) use self::one::One;");
        assert!(needs(&[ROOT, listing, one]).is_empty());
        let using = ("a/mod.rs", "mod one; pub use one::One; fn make() -> One { One }");
        assert_eq!(needs(&[ROOT, using, one]), ["a/mod.rs:1 a/one.rs"]);
    }

    #[test]
    fn a_parent_that_composes_its_children_is_no_circle() {
        let child = ("a/one.rs", "use super::Shared; pub struct One;");
        let parent = ("a/mod.rs", "mod one; use one::One; pub struct Shared;");
        assert!(graph(&[ROOT, parent, child]).circles().is_empty());
        let neighbour = ("b.rs", "use crate::a::Shared; pub fn g() {}");
        let parent = ("a/mod.rs", "mod one; use one::One; pub struct Shared; fn f() { crate::b::g() }");
        assert_eq!(graph(&[ROOT, parent, child, neighbour]).circles(), [["a/mod.rs", "b.rs"]]);
    }

    #[test]
    fn circles_are_found_however_long() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c; mod d;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "use super::c::C; pub struct B;"),
            ("c.rs", "pub struct C; fn f() { super::a::A }"),
            ("d.rs", "use crate::{a::A, c::C};"),
        ];
        assert_eq!(graph(&files).circles(), [["a.rs", "b.rs", "c.rs"]]);
    }

    #[test]
    fn modules_within_a_file_and_tests_stay_in_it() {
        let files = [
            ROOT,
            ("a.rs", "pub fn f() {}\nmod inner { use super::f; use super::super::b::g; }"),
            (
                "b.rs",
                "pub fn g() {}\n#[cfg(test)]\nmod tests { use crate::a::f; use super::*; }\n#[cfg(test)] use crate::a;",
            ),
        ];
        assert_eq!(needs(&files), ["a.rs:2 b.rs"]);
    }

    #[test]
    fn another_crate_of_a_modules_name_is_no_need() {
        let files = [ROOT, ("a.rs", "use b::x; fn f() { b::y() }"), ("b.rs", "")];
        assert!(needs(&files).is_empty());
    }
}
