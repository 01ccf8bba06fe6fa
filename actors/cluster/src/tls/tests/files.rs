//! The files of a node: each thing that can be wrong with them is a sentence that names the file.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::tls::{TlsError, cluster_key};

/// A node's directory after something was done to it, and what is said then.
fn refusal(spoil: impl FnOnce(&Cluster, &Path)) -> String {
    let cluster = Cluster::new();
    let dir = cluster.issue("n1", &["forum"], Validity::days(now(), 30));
    cluster.load(&dir).unwrap();
    spoil(&cluster, &dir);
    cluster.load(&dir).unwrap_err().to_string()
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn missing_files_are_named() {
    for name in ["ca.pem", "node.pem", "node.key"] {
        let said = refusal(|_, dir| std::fs::remove_file(dir.join(name)).unwrap());
        assert!(said.ends_with(&format!("/n1/{name} is not there")), "{said}");
    }
    let said = refusal(|_, dir| {
        std::fs::remove_file(dir.join("node.pem")).unwrap();
        std::fs::create_dir(dir.join("node.pem")).unwrap();
    });
    assert!(said.contains("node.pem can't be read: "), "{said}");
}

#[test]
fn garbage_is_named() {
    for (name, why) in [
        ("ca.pem", "holds no certificate in PEM form"),
        ("node.pem", "holds no certificate in PEM form"),
        ("node.key", "is not a key in PEM form"),
    ] {
        for garbage in [&b""[..], b"garbage", &[0xff; 100]] {
            let said = refusal(|_, dir| std::fs::write(dir.join(name), garbage).unwrap());
            assert!(said.ends_with(&format!("{name} {why}")), "{said}");
        }
        // A copy that broke off.
        let said = refusal(|_, dir| {
            let whole = std::fs::read(dir.join(name)).unwrap();
            std::fs::write(dir.join(name), &whole[..whole.len() / 2]).unwrap();
        });
        assert!(said.contains(&format!("/n1/{name} ")), "{said}");
        // PEM around something that is none.
        let label = if name == "node.key" { "PRIVATE KEY" } else { "CERTIFICATE" };
        let hollow = format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        let said = refusal(|_, dir| std::fs::write(dir.join(name), &hollow).unwrap());
        assert!(said.contains(&format!("/n1/{name} ")), "{said}");
        let said = refusal(|_, dir| std::fs::write(dir.join(name), vec![b'-'; 300_000]).unwrap());
        assert!(said.contains(&format!("{name} is longer than")), "{said}");
    }
}

#[test]
fn keys_that_others_can_read_are_refused() {
    for mode in [0o640, 0o604, 0o644, 0o660] {
        let said = refusal(|_, dir| chmod(&dir.join("node.key"), mode));
        let why =
            format!("node.key can be read by others (mode {mode:04o}): change its mode to 0600");
        assert!(said.ends_with(&why), "{said}");
    }
    let cluster = Cluster::new();
    let dir = cluster.issue("n1", &["forum"], Validity::days(now(), 30));
    chmod(&dir.join("node.key"), 0o400);
    cluster.load(&dir).unwrap();
}

#[test]
fn a_key_must_be_that_of_the_certificate() {
    let said = refusal(|cluster, dir| {
        let other = cluster.issue("n2", &["forum"], Validity::days(now(), 30));
        std::fs::copy(other.join("node.key"), dir.join("node.key")).unwrap();
    });
    assert!(
        said.contains("/n1/node.key is not the key of ") && said.ends_with("node.pem"),
        "{said}"
    );
}

#[test]
fn the_certificate_must_be_by_a_trusted_authority() {
    let said = refusal(|_, dir| {
        let stranger = Cluster::new();
        let other = stranger.issue("n1", &["forum"], Validity::days(now(), 30));
        std::fs::copy(other.join("ca.pem"), dir.join("ca.pem")).unwrap();
    });
    assert!(said.ends_with("node.pem is not signed by an authority in ca.pem"), "{said}");
    let said = refusal(|_, dir| {
        std::fs::copy(dir.join("node.pem"), dir.join("ca.pem")).unwrap();
    });
    assert!(said.ends_with("ca.pem holds a certificate that is no authority's"), "{said}");
    let said = refusal(|_, dir| {
        std::fs::copy(dir.join("ca.pem"), dir.join("node.pem")).unwrap();
    });
    assert!(said.contains("node.key is not the key of"), "{said}");
}

#[test]
fn the_cluster_key_is_private_and_whole() {
    let cluster = Cluster::new();
    let dir = cluster.issue("n1", &["forum"], Validity::days(now(), 30));
    cluster_key(&dir).unwrap();
    let refused = || cluster_key(&dir).unwrap_err().to_string();
    let path = dir.join("cluster.key");
    chmod(&path, 0o644);
    assert!(refused().contains("cluster.key can be read by others"), "{}", refused());
    chmod(&path, 0o600);
    std::fs::write(&path, "short").unwrap();
    assert!(refused().ends_with("cluster.key does not hold a 32-byte key"), "{}", refused());
    std::fs::remove_file(&path).unwrap();
    assert!(refused().ends_with("cluster.key is not there"), "{}", refused());
}

#[test]
fn a_directory_belongs_to_one_node_of_one_cluster() {
    let cluster = Cluster::new();
    let dir = cluster.issue("n1", &["forum"], Validity::days(now(), 30));
    let before = std::fs::read(dir.join("node.key")).unwrap();
    let issue = |name: &str| {
        cluster.authority.issue(name, &roles(&["forum"]), Validity::days(now(), 30)).unwrap()
    };
    let refused = issue("n2").write(&dir, &cluster.key()).unwrap_err().to_string();
    assert!(refused.ends_with("is the certificate of n1: give n2 another directory"), "{refused}");
    let other = cluster.dir.path().join("other.key");
    write_private(&other, &[8; 32]).unwrap();
    let refused = issue("n1").write(&dir, &other).unwrap_err().to_string();
    assert!(refused.ends_with("cluster.key is the key of another cluster"), "{refused}");
    assert_eq!(std::fs::read(dir.join("node.key")).unwrap(), before, "nothing was replaced");
    issue("n1").write(&dir, &cluster.key()).unwrap();
    assert_ne!(std::fs::read(dir.join("node.key")).unwrap(), before);
    let names = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.count(), 4, "nothing is left over");
}

/// Between the two renames of a renewal a machine may stand still for longer than a reader waits:
/// then the reader says what it saw, keeps what it has, and finds the new pair later.
#[test]
fn who_reads_while_a_certificate_is_renewed_has_a_whole_pair() {
    let cluster = Cluster::new();
    let n1 = cluster.node("n1", &["forum"]);
    let first = n1.own().serial;
    std::thread::scope(|scope| {
        let renewing = scope.spawn(|| {
            for _ in 0..50 {
                cluster.issue("n1", &["forum"], Validity::days(now(), 30));
            }
        });
        while !renewing.is_finished() {
            match n1.reload() {
                Ok(_) | Err(TlsError::KeyOfAnother { .. }) => {}
                Err(other) => panic!("half a file was read: {other}"),
            }
        }
    });
    n1.reload().unwrap();
    assert_ne!(n1.own().serial, first);
    assert_eq!(n1.own(), cluster.load(&cluster.node_dir("n1")).unwrap().own());
}
