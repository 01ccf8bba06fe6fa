//! Who may import whom. The rules of `docs/architecture.md`, checked against the manifests and
//! the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const SERVICES: [&str; 4] = ["auth", "forum", "cms", "admin"];
/// Services that have texts of people in them.
const TELLERS: [&str; 2] = ["forum", "cms"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The project's own crates that a crate depends on (not for tests).
fn own_dependencies(folder: &str) -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
    let dependencies = dependencies.split("\n[").next().unwrap();
    dependencies
        .lines()
        .filter_map(|line| line.trim().strip_prefix("panel-"))
        .map(|line| line.split(['.', ' ', '=']).next().unwrap().to_owned())
        .collect()
}

/// Every source file below a folder, with its path from the root, without its tests.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name != "tests.rs"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
            (path.strip_prefix(root()).unwrap().display().to_string(), text)
        })
        .collect()
}

/// The code of a file without comments.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn files_with(folder: &str, words: &[&str]) -> Vec<String> {
    let hit = |text: &str| words.iter().any(|word| code(text).contains(word));
    sources(folder).into_iter().filter(|(_, text)| hit(text)).map(|(path, _)| path).collect()
}

#[test]
fn crates_depend_downwards_only() {
    assert!(own_dependencies("actors/kernel").is_empty());
    assert!(own_dependencies("actors/pictures").is_empty());
    assert_eq!(own_dependencies("actors/text"), ["kernel"]);
    for folder in ["cluster", "gateway"].iter().chain(&SERVICES) {
        let dependencies = own_dependencies(&format!("actors/{folder}"));
        let allowed = match *folder {
            "cms" => &["kernel", "pictures", "text"][..],
            folder if TELLERS.contains(&folder) => &["kernel", "text"],
            _ => &["kernel"],
        };
        assert_eq!(dependencies, allowed, "actors/{folder}");
    }
}

/// The modules at the top of a crate that each of them names as `crate::…`.
fn imports(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let module = |path: &str| {
        let rest = path.split("/src/").nth(1).unwrap();
        rest.split(['/', '.']).next().unwrap().to_owned()
    };
    let files = sources(folder);
    let modules: BTreeSet<String> = files.iter().map(|(path, _)| module(path)).collect();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in &files {
        for named in code(text).split("crate::").skip(1) {
            let list = named.strip_prefix('{').and_then(|list| list.split('}').next());
            for name in list.unwrap_or(named).split(',').take(if list.is_some() { 99 } else { 1 }) {
                let name = name.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next();
                let name = name.unwrap_or_default();
                if modules.contains(name) && name != module(path) {
                    found.entry(module(path)).or_default().insert(name.to_owned());
                }
            }
        }
    }
    found
}

#[test]
fn modules_of_the_edge_and_the_node_have_no_circles() {
    for folder in ["actors/gateway/src", "node/src"] {
        let mut left = imports(folder);
        assert!(left.len() >= 3, "{folder} is read wrongly: {left:?}");
        // Whoever imports nobody that is left is in no circle.
        loop {
            let names: BTreeSet<String> = left.keys().cloned().collect();
            let before = left.len();
            left.retain(|_, imported| imported.iter().any(|name| names.contains(name)));
            if left.len() == before {
                break;
            }
        }
        assert!(left.is_empty(), "{folder} has a circle: {left:?}");
    }
}

#[test]
fn sql_is_in_stores_and_in_the_kernels_database_room() {
    for folder in ["node", "actors"] {
        for path in files_with(folder, &["SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM"]) {
            let allowed = path.contains("/store")
                || path.starts_with("actors/kernel/src/data/")
                || path.starts_with("actors/kernel/src/events/");
            assert!(allowed, "{path} has SQL in it");
        }
    }
}

#[test]
fn ractor_cluster_is_for_the_cluster_and_message_derives() {
    for folder in ["node/src", "actors"] {
        for (path, text) in sources(folder) {
            for line in code(&text).lines().filter(|line| line.contains("ractor_cluster::")) {
                let derive = line.trim() == "use ractor_cluster::RactorMessage;"
                    || line.trim() == "use ractor_cluster::RactorClusterMessage;";
                assert!(path.starts_with("actors/cluster/") || derive, "{path}: {line}");
            }
        }
    }
    // Whatever has a serialisable message is visible to every peer: only front doors and the
    // node agent have.
    let mut remotable = files_with("actors", &["RactorClusterMessage"]);
    remotable.sort();
    assert_eq!(remotable, ["actors/cluster/src/protocol.rs", "actors/kernel/src/message/mod.rs"]);
}

#[test]
fn bincode_stays_in_one_file() {
    assert_eq!(files_with("actors", &["bincode"]), ["actors/kernel/src/message/wire.rs"]);
    assert!(files_with("node", &["bincode"]).is_empty());
}

#[test]
fn rules_decide_and_do_nothing_else() {
    for service in SERVICES {
        let rules = format!("actors/{service}/src/rules");
        let more = std::fs::read_dir(root().join(&rules)).into_iter().flatten().flatten();
        let parts = more.map(|part| part.path()).filter(|part| !part.ends_with("tests.rs"));
        for path in parts.chain([root().join(format!("{rules}.rs"))]) {
            let text = code(&std::fs::read_to_string(&path).unwrap());
            for forbidden in
                ["async ", "tokio", "sqlx", "ractor", "std::fs", "std::net", "Clock", "::data"]
            {
                assert!(!text.contains(forbidden), "{} has {forbidden}", path.display());
            }
        }
    }
}

#[test]
fn the_environment_is_read_in_config_only() {
    for folder in ["node/src", "actors"] {
        for path in files_with(folder, &["env::var", "env::vars"]) {
            assert_eq!(path, "node/src/config/environment.rs");
        }
    }
}

/// The tables that a folder of migrations makes.
fn tables(folder: &str) -> Vec<String> {
    let directory = root().join("migrations").join(folder).join("sqlite");
    let texts = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let texts: Vec<String> = texts.collect();
    words_after(&texts.join("\n"), &["CREATE TABLE ", "CREATE VIRTUAL TABLE "])
}

/// The lower-case words that follow one of these in the text.
fn words_after(text: &str, markers: &[&str]) -> Vec<String> {
    let word = |rest: &str| {
        rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>()
    };
    let found = markers.iter().flat_map(|marker| text.split(marker).skip(1).map(word));
    found.filter(|name| !name.is_empty()).collect()
}

#[test]
fn nobody_names_another_services_tables() {
    let kernel = tables("kernel");
    assert!(kernel.contains(&"outbox".to_owned()));
    for service in SERVICES {
        let own = tables(service);
        let mut named = 0;
        for (path, text) in sources(&format!("actors/{service}/src")) {
            let text = code(&text);
            for other in SERVICES.iter().filter(|other| **other != service) {
                assert!(!text.contains(&format!("panel_{other}")), "{path} names {other}");
            }
            if path.contains("/store") {
                for table in words_after(&text, &[" FROM ", " JOIN ", "INSERT INTO ", "UPDATE "]) {
                    named += 1;
                    assert!(own.contains(&table), "{path} names the table {table}");
                }
            }
        }
        assert!(named > 0, "{service} has no SQL in its store, or this test reads it wrongly");
    }
}

#[test]
fn every_file_says_what_it_is_and_fits() {
    for folder in ["node/src", "actors", "tests", "fuzz/src", "fuzz/fuzz_targets"] {
        for (path, text) in sources(folder) {
            assert!(text.starts_with("//!"), "{path} does not say what it is");
            let lines = text.lines().count();
            assert!(lines <= 500, "{path} has {lines} lines");
        }
    }
}

/// Columns that say whose something is.
const WHOSE: [&str; 8] = [
    "user_id",
    "author_id",
    "editor_id",
    "owner_id",
    "created_by",
    "deleted_by",
    "actor",
    "subject",
];
/// Tables that have one and are in nobody's export, and why that is right.
const NOT_TOLD: [(&str, &str, &str); 2] = [
    ("auth", "recovery_codes", "hashes, and nothing else"),
    ("cms", "media_usage", "sums of what is in media"),
];

#[test]
fn whatever_has_an_owner_is_in_what_its_owner_can_have() {
    for service in SERVICES {
        let records = root().join(format!("actors/{service}/src/store/personal.rs"));
        let records = std::fs::read_to_string(records).unwrap();
        let words: Vec<&str> = records.split_whitespace().collect();
        let told: BTreeSet<&str> =
            words.windows(2).filter(|pair| pair[0] == "FROM").map(|pair| pair[1]).collect();
        let mut schema = String::new();
        let directory = root().join(format!("migrations/{service}/sqlite"));
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            schema += &std::fs::read_to_string(file).unwrap();
        }
        let mut owned = BTreeSet::new();
        for table in schema.split("CREATE TABLE ").skip(1) {
            let (name, rest) = table.split_once([' ', '(']).unwrap();
            let columns = rest.split(';').next().unwrap().lines();
            let mut names = columns.filter_map(|line| line.split_whitespace().next());
            if names.any(|column| WHOSE.contains(&column)) {
                // A table that is made anew takes the place of the old one.
                owned.insert(name.trim_end_matches("_new"));
            }
        }
        assert!(!owned.is_empty(), "the schema of {service} is read wrongly");
        for table in owned {
            let excepted = NOT_TOLD.iter().any(|(of, name, _)| (*of, *name) == (service, table));
            assert!(told.contains(table) || excepted, "{service}.{table} is told to nobody");
        }
    }
}
