//! Floors and circles: which part of the crate may know which.

use std::collections::BTreeSet;

use crate::{
    assert_none,
    graph::{Graph, Need},
    pages,
};

/// The floors from the bottom, each with what else of the crate it may name. A part is on one floor only, and each permission is
/// used: what is not needed is taken out here, so that nobody comes to need it unseen.
const FLOORS: &[(&str, &[&str])] = &[
    // The engine is a library: what runs on it is handed to it in a registry.
    ("engine", &[]),
    ("transfer", &["engine"]),
    // What several floors above share.
    ("embedded", &[]),
    ("secret", &[]),
    ("signing", &["secret"]),
    ("tls", &[]),
    ("kafka", &[]),
    ("inbox", &["engine", "kafka", "secret", "signing"]),
    ("sinks", &["engine", "kafka", "secret", "signing", "tls"]),
    ("config", &["engine", "inbox", "kafka", "secret", "sinks"]),
    ("telemetry", &["engine", "tls"]),
    // The shop: a port to gateways, the order domain, one external system per activity, one workflow per file.
    ("payments", &["secret", "tls"]),
    ("gateway_sim", &["payments", "secret", "tls"]),
    ("notices", &["secret", "signing", "tls"]),
    ("orders", &["engine", "notices", "payments", "secret"]),
    ("activities", &["engine", "orders", "payments"]),
    ("workflows", &["activities", "engine", "orders", "payments"]),
    // The faces.
    ("http", &["engine", "inbox", "telemetry"]),
    ("shop", &["engine", "http", "orders", "payments"]),
    (
        "bench",
        &[
            "activities",
            "engine",
            "gateway_sim",
            "http",
            "orders",
            "payments",
            "secret",
            "shop",
            "telemetry",
            "tls",
            "workflows",
        ],
    ),
    (
        "cli",
        &[
            "activities",
            "bench",
            "config",
            "embedded",
            "engine",
            "gateway_sim",
            "http",
            "inbox",
            "notices",
            "orders",
            "payments",
            "secret",
            "shop",
            "sinks",
            "telemetry",
            "tls",
            "transfer",
            "workflows",
        ],
    ),
];

/// The engine's rooms: each may name those before it. Its single files (`error`, `registry`, the traits of authors) are left out.
const ENGINE_ROOMS: &[&str] = &["core", "read_models", "store", "api", "worker", "maintenance", "testing"];

fn read_crate() -> Graph {
    let files = pages(&["src"], &["rs"]).into_iter().filter(|page| page.path != "src/main.rs");
    let files: Vec<(String, String)> =
        files.map(|page| (page.path.trim_start_matches("src/").to_owned(), page.text)).collect();
    Graph::read(&files)
}

/// The part of the crate that a file is in.
fn part(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

/// Needs that no floor permits, parts that stand on no floor, and permissions that nobody uses.
fn breaches(floors: &[(&str, &[&str])], parts: &BTreeSet<&str>, needs: &[Need]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, (floor, may_name)) in floors.iter().enumerate() {
        if !parts.contains(floor) {
            found.push(format!("{floor} is a floor and not in src"));
        }
        for (other, _) in floors[..at].iter().filter(|(other, _)| other == floor) {
            found.push(format!("{other} is on two floors"));
        }
        for below in *may_name {
            if !floors[..at].iter().any(|(other, _)| other == below) {
                found.push(format!("{floor} may name {below}, which is no floor below it"));
            }
            if !needs.iter().any(|need| part(&need.from) == *floor && part(&need.to) == *below) {
                found.push(format!("{floor} may name {below}, and does not"));
            }
        }
    }
    let homeless = parts.iter().filter(|part| !floors.iter().any(|(floor, _)| floor == *part));
    found.extend(homeless.map(|part| format!("{part} is on no floor")));
    let may = |from: &str, to: &str| {
        from == to || floors.iter().any(|(floor, may_name)| *floor == from && may_name.contains(&to))
    };
    let forbidden = needs.iter().filter(|need| !may(part(&need.from), part(&need.to)));
    found.extend(forbidden.map(|need| format!("src/{}:{}: names src/{}", need.from, need.line, need.to)));
    found
}

/// Needs of a room for one that stands behind it, and rooms that are not there.
fn room_breaches(rooms: &[&str], needs: &[Need]) -> Vec<String> {
    let room = |path: &str| {
        let (inside, _) = path.strip_prefix("engine/")?.split_once('/')?;
        rooms.iter().position(|room| *room == inside)
    };
    let gone = |at: &usize| !needs.iter().any(|need| room(&need.from) == Some(*at));
    let gone = (0..rooms.len()).filter(gone).map(|at| format!("engine/{} is a room and not in src", rooms[at]));
    let upwards = |need: &&Need| room(&need.from).zip(room(&need.to)).is_some_and(|(from, to)| from < to);
    let upwards = needs.iter().filter(upwards);
    gone.chain(upwards.map(|need| format!("src/{}:{}: names src/{}", need.from, need.line, need.to))).collect()
}

#[test]
fn each_room_of_the_engine_names_only_earlier_ones() {
    assert_none(&room_breaches(ENGINE_ROOMS, &read_crate().needs()), "the rooms of src/engine, in their order");
}

#[test]
fn each_part_names_only_floors_below_it() {
    let all = pages(&["src"], &["rs"]);
    let paths = all.iter().map(|page| page.path.trim_start_matches("src/"));
    let parts: BTreeSet<&str> = paths.map(part).filter(|part| !["lib", "main"].contains(part)).collect();
    assert_none(&breaches(FLOORS, &parts, &read_crate().needs()), "the floors of src");
}

#[test]
fn no_files_need_each_other_in_a_circle() {
    let graph = read_crate();
    let needs = graph.needs();
    let describe = |circle: Vec<String>| {
        let within = needs.iter().filter(|need| circle.contains(&need.from) && circle.contains(&need.to));
        let within = within.map(|need| format!("    src/{}:{} needs src/{}", need.from, need.line, need.to));
        format!("{}:\n{}", circle.join(", "), within.collect::<Vec<_>>().join("\n"))
    };
    let found: Vec<String> = graph.circles().into_iter().map(describe).collect();
    assert_none(&found, "files that need each other can't be read one by one: what both need goes below both");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(from: &str, to: &str) -> Need {
        Need { from: from.to_owned(), to: to.to_owned(), line: 3 }
    }

    #[test]
    fn a_need_across_floors_has_to_be_permitted() {
        let floors: &[(&str, &[&str])] = &[("engine", &[]), ("orders", &["engine"])];
        let parts = BTreeSet::from(["engine", "orders"]);
        let down = need("orders/mod.rs", "engine/client.rs");
        assert!(breaches(floors, &parts, std::slice::from_ref(&down)).is_empty());
        let up = need("engine/client.rs", "orders/mod.rs");
        assert_eq!(breaches(floors, &parts, &[down, up]), ["src/engine/client.rs:3: names src/orders/mod.rs"]);
    }

    #[test]
    fn rooms_name_only_earlier_rooms() {
        let down = need("engine/store/mod.rs", "engine/core/model.rs");
        let aside = need("engine/core/model.rs", "engine/error.rs");
        assert!(room_breaches(&["core", "store"], &[down.clone(), aside]).is_empty());
        let up = need("engine/core/model.rs", "engine/store/rows.rs");
        let found = room_breaches(&["core", "store", "worker"], &[down, up]);
        let expected =
            ["engine/worker is a room and not in src", "src/engine/core/model.rs:3: names src/engine/store/rows.rs"];
        assert_eq!(found, expected);
    }

    #[test]
    fn floors_are_complete_and_without_dead_rules() {
        let floors: &[(&str, &[&str])] = &[("engine", &["http"]), ("gateway", &[]), ("engine", &[])];
        let found = breaches(floors, &BTreeSet::from(["engine", "http"]), &[]);
        let expected = [
            "engine may name http, which is no floor below it",
            "engine may name http, and does not",
            "gateway is a floor and not in src",
            "engine is on two floors",
            "http is on no floor",
        ];
        assert_eq!(found, expected);
    }
}
