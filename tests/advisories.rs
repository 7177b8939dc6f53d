//! No dependency in Cargo.lock has a known security advisory, checked offline against a copy of the RustSec database.
//!
//! The copy is expected in `BACKSTITCH_ADVISORY_DB` or beside the project; without one, the test says so and passes.
//! Only names and versions are matched, not functions and platforms, which is stricter than needed: false positives go
//! into `ACCEPTED`, with the reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use semver::{Version, VersionReq};

/// Accepted advisories, each with its reason.
const ACCEPTED: &[(&str, &str)] = &[];

/// Usual places of the copy, relative to the project's root.
const USUAL_PLACES: &[&str] = &["../shared/advisory-db", "../../shared/advisory-db", "../advisory-db"];

struct Advisory {
    id: String,
    package: String,
    /// Empty for a plain vulnerability, else `unmaintained`, `unsound`, `notice`.
    informational: String,
    withdrawn: bool,
    unharmed: Vec<VersionReq>,
}

impl Advisory {
    fn concerns(&self, version: &Version) -> bool {
        !self.withdrawn && !self.unharmed.iter().any(|range| range.matches(version))
    }
}

/// Reads the TOML block at the head of an advisory, as far as needed here.
fn parse_advisory(text: &str) -> Result<Advisory, String> {
    let block = text.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).ok_or("no TOML block")?;
    let value = |key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='))?;
        Some(line.trim().trim_matches('"').to_owned())
    };
    let mut unharmed = ranges(block, "patched")?;
    unharmed.extend(ranges(block, "unaffected")?);
    Ok(Advisory {
        id: value("id").ok_or("no id")?,
        package: value("package").ok_or("no package")?,
        informational: value("informational").unwrap_or_default(),
        withdrawn: value("withdrawn").is_some(),
        unharmed,
    })
}

/// The strings of an array that may span lines.
fn ranges(block: &str, key: &str) -> Result<Vec<VersionReq>, String> {
    let mut lines =
        block.lines().skip_while(|line| !line.strip_prefix(key).is_some_and(|rest| rest.trim().starts_with('=')));
    let mut array = String::new();
    for line in lines.by_ref() {
        array.push_str(line);
        if line.contains(']') {
            break;
        }
    }
    let strings = array.split('"').skip(1).step_by(2);
    strings.map(|range| VersionReq::parse(range).map_err(|error| format!("{range}: {error}"))).collect()
}

/// Name and version of each package that comes from a registry.
fn locked_packages(lock: &str) -> Vec<(String, Version)> {
    let field = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))?;
        Some(line.trim_matches('"').to_owned())
    };
    let blocks = lock.split("[[package]]").skip(1).filter(|block| block.contains("\nsource = "));
    blocks.filter_map(|block| Some((field(block, "name")?, Version::parse(&field(block, "version")?).ok()?))).collect()
}

fn database() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let given = std::env::var_os("BACKSTITCH_ADVISORY_DB").map(PathBuf::from);
    given.into_iter().chain(USUAL_PLACES.iter().map(|place| root.join(place))).find(|dir| dir.join("crates").is_dir())
}

#[test]
fn no_dependency_has_a_known_advisory() {
    let Some(database) = database() else {
        println!("skipped: no copy of the advisory database (set BACKSTITCH_ADVISORY_DB to one)");
        return;
    };
    let lock =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).expect("Cargo.lock is there");
    let packages = locked_packages(&lock);
    assert!(packages.len() > 50, "Cargo.lock was not understood: {} packages", packages.len());
    let mut found = BTreeMap::new();
    let mut read = 0;
    for (name, version) in &packages {
        for entry in fs::read_dir(database.join("crates").join(name)).into_iter().flatten().flatten() {
            let text = fs::read_to_string(entry.path()).expect("an advisory can be read");
            let advisory = parse_advisory(&text).unwrap_or_else(|error| panic!("{}: {error}", entry.path().display()));
            assert_eq!(&advisory.package, name, "{}", entry.path().display());
            read += 1;
            if advisory.concerns(version) && !ACCEPTED.iter().any(|(id, _)| *id == advisory.id) {
                found.insert(advisory.id, format!("{name} {version} {}", advisory.informational));
            }
        }
    }
    println!("{} packages, {read} advisories on them, {} apply", packages.len(), found.len());
    assert!(found.is_empty(), "dependencies with advisories: {found:#?}");
}

#[test]
fn version_ranges_are_matched() {
    let text = "```toml\n[advisory]\nid = \"RUSTSEC-2000-0001\"\npackage = \"demo\"\n\n[versions]\npatched = [\n    \">= 1.2.3, < 2.0.0\",\n    \
                \">= 2.0.5\",\n]\nunaffected = [\"< 1.1.0\"]\n```\n# Title";
    let advisory = parse_advisory(text).expect("it is well-formed");
    let concerned: Vec<&str> = ["1.0.9", "1.1.0", "1.2.2", "1.2.3", "2.0.4", "2.0.5"]
        .into_iter()
        .filter(|version| advisory.concerns(&Version::parse(version).expect("a version")))
        .collect();
    assert_eq!(concerned, ["1.1.0", "1.2.2", "2.0.4"]);
}
