//! What the program is built from: pinned where exactly one version is known, free of what is
//! banned, from one registry, and under licences that `deny.toml` allows.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// A package of the lock file.
#[derive(Debug)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
}

fn locked() -> Vec<Locked> {
    let lock = read("Cargo.lock");
    let value = |package: &str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let packages = lock.split("[[package]]").skip(1);
    packages
        .map(|package| Locked {
            name: value(package, "name").unwrap(),
            version: value(package, "version").unwrap(),
            source: value(package, "source"),
        })
        .collect()
}

/// What is really built here, name and licence. The lock file also has what features that
/// nobody asks for would bring, and other systems' crates.
fn built() -> Vec<(String, String)> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--workspace", "--locked", "--offline", "--edges", "normal,build,dev"])
        .args(["--prefix", "none", "--format", "{p}|{l}"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty());
    let mut packages: Vec<(String, String)> = lines
        .map(|line| {
            let (package, licence) = line.split_once('|').unwrap();
            let name = package.split(' ').next().unwrap();
            (name.to_owned(), licence.trim_end_matches(" (*)").to_owned())
        })
        .collect();
    packages.sort();
    packages.dedup();
    packages
}

/// The texts in quotes of a list in `deny.toml`.
fn listed(key: &str) -> Vec<String> {
    let text = read("deny.toml");
    let start = text.find(&format!("\n{key} = [")).unwrap();
    let list = text[start..].split_once('[').unwrap().1.split_once(']').unwrap().0;
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn banned() -> Vec<String> {
    let text = read("deny.toml");
    let names = text.split("crate = \"").skip(1);
    names.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// Whether an SPDX expression can be met with these licences. `/` is how old manifests write OR.
fn allowed(expression: &str, licences: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any_of(&mut words, licences);
    assert!(words.next().is_none(), "{expression:?} is not understood");
    met
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, licences: &[String]) -> bool {
    let mut met = all_of(words, licences);
    while words.next_if_eq(&"OR").is_some() {
        met |= all_of(words, licences);
    }
    met
}

fn all_of(words: &mut Words<'_>, licences: &[String]) -> bool {
    let mut met = one(words, licences);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, licences);
    }
    met
}

fn one(words: &mut Words<'_>, licences: &[String]) -> bool {
    let word = words.next().unwrap_or_default();
    if word == "(" {
        let met = any_of(words, licences);
        assert_eq!(words.next(), Some(")"));
        return met;
    }
    let mut name = word.to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        name = format!("{name} WITH {}", words.next().unwrap_or_default());
    }
    licences.contains(&name)
}

#[test]
fn expressions_are_read_as_they_are_meant() {
    let licences = ["MIT".to_owned(), "ISC".to_owned()];
    for good in ["MIT", "MIT/X", "X OR MIT", "ISC AND (X OR MIT)", "X WITH Y OR MIT"] {
        assert!(allowed(good, &licences), "{good}");
    }
    for bad in ["", "X", "MIT AND X", "(MIT OR ISC) AND X", "MIT WITH Y", "X AND MIT OR X"] {
        assert!(!allowed(bad, &licences), "{bad}");
    }
}

#[test]
fn every_licence_is_allowed() {
    let licences = listed("allow");
    let built = built();
    assert!(built.len() > 100, "{} packages", built.len());
    for (name, licence) in &built {
        assert!(allowed(licence, &licences), "{name} is under {licence:?}");
    }
    for licence in &licences {
        let used = built.iter().any(|(_, expression)| expression.contains(licence.as_str()));
        assert!(used, "nothing is under {licence}");
    }
}

#[test]
fn what_is_banned_is_not_there() {
    let (locked, built, banned) = (locked(), built(), banned());
    for name in ["openssl", "openssl-sys", "native-tls", "ring"] {
        assert!(banned.iter().any(|ban| ban == name), "deny.toml does not ban {name}");
    }
    for name in &banned {
        assert!(!built.iter().any(|(other, _)| other == name), "{name} is built");
        // Locked, never built: an optional dependency of rustls that nothing asks for, which
        // cargo writes down all the same.
        if name != "ring" {
            assert!(!locked.iter().any(|package| package.name == *name), "{name} is locked");
        }
    }
}

#[test]
fn what_is_pinned_has_its_version() {
    let locked = locked();
    for (name, version) in
        [("ractor", "0.16.5"), ("ractor_cluster", "0.16.5"), ("bincode", "2.0.1")]
    {
        let found: Vec<&str> = locked
            .iter()
            .filter(|package| package.name == name)
            .map(|package| package.version.as_str())
            // With which syntect reads the grammars that are built into it, and nothing else is read.
            .filter(|version| (name, *version) != ("bincode", "1.3.3"))
            .collect();
        assert_eq!(found, [version], "{name}");
    }
}

#[test]
fn everything_comes_from_one_registry() {
    let allowed = listed("allow-registry");
    for package in locked() {
        let Some(source) = package.source else {
            assert!(package.name.starts_with("panel-"), "{} has no source", package.name);
            continue;
        };
        let from = source.strip_prefix("registry+").unwrap_or(&source);
        assert!(allowed.iter().any(|registry| registry == from), "{}: {source}", package.name);
    }
}
