//! The documents against what they speak of: quoted code, links, kinds of problems, metrics,
//! tests; and Compose against itself.

use std::path::{Path, PathBuf};

use panel_kernel::problem::Kind;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The Rust and SQL blocks of a document.
fn code_blocks(document: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") && line != "```" {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if matches!(line, "```rust" | "```sql") {
                blocks.push(block.join("\n"));
            }
        }
    }
    blocks
}

/// A block's first line names its file; the rest must be in it, word for word.
fn quote_is_true(block: &str) -> Result<(), String> {
    let (first, quoted) = block.split_once('\n').ok_or("a block of one line")?;
    let named = first.strip_prefix("// ").or_else(|| first.strip_prefix("-- "));
    let path = named.ok_or_else(|| format!("{first:?} names no file"))?;
    let text =
        std::fs::read_to_string(root().join(path)).map_err(|why| format!("{path}: {why}"))?;
    let missing = || format!("{path} has no such text:\n{quoted}");
    text.contains(quoted.trim_matches('\n')).then_some(()).ok_or_else(missing)
}

#[test]
fn quoted_code_is_in_the_files_it_is_quoted_from() {
    for (path, least) in [("docs/adding-a-service.md", 10), ("docs/testing.md", 1)] {
        let blocks = code_blocks(&read(path));
        assert!(blocks.len() >= least, "{path} quotes {} pieces of code only", blocks.len());
        for block in blocks {
            quote_is_true(&block).unwrap_or_else(|why| panic!("{path}: {why}"));
        }
    }
}

#[test]
fn a_quote_that_is_not_true_is_noticed() {
    let document = "```rust\n// tests/it/guestbook/rules.rs\nfn never() {}\n```\n";
    let [block] = &code_blocks(document)[..] else { panic!("one block") };
    assert!(quote_is_true(block).unwrap_err().contains("no such text"));
    assert!(quote_is_true("fn unnamed() {}\n}").unwrap_err().contains("names no file"));
    assert!(quote_is_true("// no/such/file.rs\nx").is_err());
}

fn documents() -> Vec<PathBuf> {
    let folders = [root().join("docs"), root().join("docs/adr")];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut links = 0;
    for path in documents() {
        let text = std::fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            links += 1;
            let there = path.parent().unwrap().join(target);
            assert!(there.exists(), "{}: {target} is not there", path.display());
        }
    }
    assert!(links > 20, "{links} links");
}

#[test]
fn every_kind_of_problem_is_explained() {
    let text = read("docs/errors.md");
    for kind in Kind::ALL {
        let row = format!("| `{}` | {} |", kind.name(), kind.status().as_u16());
        assert!(text.contains(&row), "docs/errors.md has no row {row}");
    }
    let table = text.split("\n## ").find(|section| section.starts_with("Kinds")).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(rows.count(), Kind::ALL.len(), "a kind is explained that there is not");
}

#[test]
fn every_fault_point_is_listed() {
    let text = read("docs/testing.md");
    for point in panel_kernel::faults::POINTS {
        assert!(text.contains(&format!("| `{}` |", point.name)), "{} is not listed", point.name);
    }
}

#[test]
fn every_metric_is_listed() {
    let text = read("docs/operations.md");
    let sources = [
        "actors/kernel/src/metrics.rs",
        "actors/kernel/src/redis/mod.rs",
        "actors/gateway/src/cache/mod.rs",
        "actors/gateway/src/dispatch/metrics.rs",
        "actors/gateway/src/edge/limit.rs",
        "actors/gateway/src/edge/observe.rs",
        "actors/cluster/src/grievances.rs",
        "actors/cluster/src/roster/metrics.rs",
        "actors/cluster/src/tls/watch.rs",
    ];
    for source in sources {
        let source = read(source);
        let names: Vec<&str> =
            source.split('"').filter(|part| part.starts_with("panel_")).collect();
        assert!(!names.is_empty());
        for name in names {
            assert!(text.contains(&format!("`{name}`")), "docs/operations.md has no {name}");
        }
    }
}

/// Rows of the degradation contract name tests as `tests/…`: `name`, `name`.
#[test]
fn every_promise_names_a_test_that_there_is() {
    let text = read("docs/degradation.md");
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
    let heads = text.lines().filter(|line| line.starts_with("|---")).count();
    let promises: Vec<&&str> = rows.iter().filter(|row| row.contains("`tests/")).collect();
    assert!(promises.len() > 30, "{} promises", promises.len());
    assert_eq!(promises.len() + heads, rows.len(), "a promise without a test");
    for row in promises {
        let mut source = String::new();
        let mut named = 0;
        for part in row.split('`').skip(1).step_by(2) {
            if part.starts_with("tests/") {
                source = read(part);
            } else if !source.is_empty() {
                assert!(source.contains(&format!("fn {part}(")), "there is no {part}: {row}");
                named += 1;
            }
        }
        assert!(named > 0, "names no test: {row}");
    }
}

#[test]
fn compose_and_the_image_are_made_of_what_there_is() {
    let compose = read("docker-compose.yml");
    let (dockerfile, ignored) = (read("deploy/Dockerfile"), read(".dockerignore"));
    let copied = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    for path in copied.filter(|line| !line.starts_with("--from")).flat_map(|line| {
        let mut paths: Vec<&str> = line.split(' ').collect();
        paths.pop();
        paths
    }) {
        assert!(root().join(path).exists(), "deploy/Dockerfile copies {path}");
        assert!(ignored.contains(&format!("!{path}")), ".dockerignore leaves out {path}");
    }
    let toolchain = read("rust-toolchain.toml");
    let version = dockerfile.split("ARG RUST=").nth(1).and_then(|rest| rest.lines().next());
    assert!(toolchain.contains(&format!("\"{}\"", version.unwrap())), "{version:?}");
    // Who is certified is who runs, with the same role.
    let nodes: Vec<(&str, &str)> = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- ")?.split_once('='))
        .collect();
    assert_eq!(nodes.len(), compose.matches("run --name ").count());
    for (name, role) in nodes {
        assert!(compose.contains(&format!("run --name {name} --roles {role} ")), "{name}");
        assert!(compose.contains(&format!("--advertise {name}:5700")), "{name}");
    }
}
