//! `panel-node certs`: the files it makes, who may read them, and what it refuses.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use panel_cluster::tls::{Credentials, NodeCertificate};
use panel_harness::Node;
use panel_kernel::time::Clock;
use tempfile::TempDir;

/// The machine that certificates are issued on.
struct Desk(Arc<TempDir>);

impl Desk {
    fn new() -> Self {
        Self(Arc::new(TempDir::with_prefix("panel-certs-").unwrap()))
    }

    /// One with an authority.
    async fn with_authority() -> Self {
        let desk = Self::new();
        let made = desk.certs(&["init"]).await;
        assert!(made.status.success(), "{made:?}");
        desk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    async fn certs(&self, arguments: &[&str]) -> Output {
        Node::builder().data_dir(&self.0).cli(&[&["certs"], arguments].concat()).await
    }

    async fn issue(&self, name: &str, roles: &str, out: &Path) -> Output {
        let out = out.to_str().unwrap();
        self.certs(&["issue", "--name", name, "--roles", roles, "--out", out]).await
    }

    /// Its code, and the one sentence it said.
    async fn refused(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.certs(arguments).await;
        assert!(!output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

/// The modes of all that is in a directory, and of itself.
fn modes(directory: &Path) -> BTreeMap<String, u32> {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut found = BTreeMap::from([(".".to_owned(), mode(directory))]);
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        found.insert(entry.file_name().into_string().unwrap(), mode(&entry.path()));
    }
    found
}

fn modes_are(directory: &Path, expected: &[(&str, u32)]) {
    let expected = expected.iter().map(|(name, mode)| ((*name).to_owned(), *mode)).collect();
    assert_eq!(modes(directory), expected, "{}", directory.display());
}

fn own(directory: &Path) -> NodeCertificate {
    Credentials::load(directory, Clock::system()).unwrap().own()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_is_made_once() {
    let desk = Desk::with_authority().await;
    let ca = desk.path().join("ca");
    modes_are(&ca, &[(".", 0o700), ("ca.key", 0o600), ("ca.pem", 0o644)]);
    let key = desk.path().join("keys/cluster.key");
    assert_eq!(modes(key.parent().unwrap())["cluster.key"], 0o600);
    let read = || {
        ["ca/ca.pem", "ca/ca.key", "keys/cluster.key"]
            .map(|name| std::fs::read(desk.path().join(name)).unwrap())
    };
    let before = read();
    let (code, said) = desk.refused(&["init"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("ca is there already") && said.lines().count() == 1, "{said}");
    assert!(read() == before, "nothing is overwritten");
    // A new authority for the same cluster: the key that seals its data stays.
    std::fs::rename(&ca, desk.path().join("ca.old")).unwrap();
    assert!(desk.certs(&["init"]).await.status.success());
    assert!(read()[0] != before[0] && read()[2] == before[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_gets_all_it_needs_and_nothing_more() {
    let desk = Desk::with_authority().await;
    let out = desk.path().join("made/n2");
    let issued = desk.issue("n2", "gateway,forum", &out).await;
    assert!(issued.status.success(), "{issued:?}");
    let said = String::from_utf8(issued.stdout).unwrap();
    assert!(said.contains("for n2 (forum, gateway) until 2"), "{said}");
    modes_are(
        &out,
        &[
            (".", 0o700),
            ("ca.pem", 0o644),
            ("cluster.key", 0o600),
            ("node.key", 0o600),
            ("node.pem", 0o644),
        ],
    );
    let read = |name: &str| std::fs::read(desk.path().join(name)).unwrap();
    assert!(read("made/n2/cluster.key") == read("keys/cluster.key"));
    assert!(read("made/n2/ca.pem") == read("ca/ca.pem"));
    panel_cluster::tls::cluster_key(&out).unwrap();
    let certificate = own(&out);
    assert_eq!(certificate.name, "n2");
    assert_eq!(certificate.roles.iter().collect::<Vec<_>>(), ["forum", "gateway"]);
    let days = |certificate: &NodeCertificate| {
        Clock::system().now().until(certificate.not_after).as_secs() / 3_600 / 24
    };
    assert!((364..=365).contains(&days(&certificate)), "{certificate:?}");
    assert!(certificate.not_before < Clock::system().now());
    let out = out.to_str().unwrap();
    let arguments = ["issue", "--name", "n2", "--roles", "forum", "--out", out, "--days", "30"];
    assert!(desk.certs(&arguments).await.status.success());
    assert!((29..=30).contains(&days(&own(Path::new(out)))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewing_replaces_the_pair_and_keeps_the_trust() {
    let desk = Desk::with_authority().await;
    let out = desk.path().join("n1");
    assert!(desk.issue("n1", "forum", &out).await.status.success());
    let running = Credentials::load(&out, Clock::system()).unwrap();
    let first = running.own();
    assert!(desk.issue("n1", "forum,cms", &out).await.status.success());
    assert_eq!(running.reload(), Ok(true));
    assert_ne!(running.own().serial, first.serial);
    assert_eq!(running.own().roles.len(), 2);
    assert_eq!(modes(&out).len(), 5, "nothing is left over: {:?}", modes(&out));
    // A new authority takes the old one's place: whoever is renewed trusts both.
    std::fs::rename(desk.path().join("ca"), desk.path().join("ca.old")).unwrap();
    assert!(desk.certs(&["init"]).await.status.success());
    assert!(desk.issue("n1", "forum", &out).await.status.success());
    assert_eq!(running.reload(), Ok(true));
    let trusted = std::fs::read_to_string(out.join("ca.pem")).unwrap();
    for authority in ["ca/ca.pem", "ca.old/ca.pem"] {
        let pem = std::fs::read_to_string(desk.path().join(authority)).unwrap();
        assert!(trusted.contains(&pem), "{authority} is not in {trusted}");
    }
    assert_eq!(trusted.matches("BEGIN CERTIFICATE").count(), 2);
    // The directory is this node's.
    let refused = desk.issue("n2", "forum", &out).await;
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("is the certificate of n1"), "{said}");
    assert_eq!(running.reload(), Ok(false), "nothing was replaced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_issued_is_refused_in_a_sentence() {
    let desk = Desk::with_authority().await;
    let out = desk.path().join("n1");
    let out = out.to_str().unwrap();
    for (name, roles, days, part) in [
        ("a/b", "forum", "365", "--name: \"a/b\" must be 1 to 64 letters"),
        (&"n".repeat(65), "forum", "365", "1 to 64 letters"),
        ("", "forum", "365", "1 to 64 letters"),
        ("n1", "king", "365", "--roles: \"king\" is not a role (gateway, auth, forum, cms, admin)"),
        ("n1", "forum,", "365", "--roles: \"\" is not a role"),
        ("n1", "forum", "0", "--days"),
        ("n1", "forum", "36500", "--days"),
    ] {
        let arguments = ["issue", "--name", name, "--roles", roles, "--out", out, "--days", days];
        let (code, said) = desk.refused(&arguments).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(part), "{said}");
    }
    for missing in [&["issue", "--name", "n1", "--out", out][..], &["issue", "--roles", "forum"]] {
        assert_eq!(desk.refused(missing).await.0, Some(2));
    }
    assert!(!Path::new(out).exists(), "nothing was begun");
    // Where there is no authority, or no key of the cluster.
    let arguments = ["issue", "--name", "n1", "--roles", "forum", "--out", out];
    let (code, said) = Desk::new().refused(&arguments).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("panel-node certs init"), "{said}");
    std::fs::remove_file(desk.path().join("keys/cluster.key")).unwrap();
    let (code, said) = desk.refused(&arguments).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("cluster.key is not there") && said.lines().count() == 1, "{said}");
    assert!(!Path::new(out).exists(), "nothing was begun");
}
