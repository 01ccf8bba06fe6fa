//! The authority: what it makes, what it refuses, and how it lies in its directory.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::tls::{NodeCertificate, TlsError};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_certificate_says_name_roles_and_time() {
    let authority = Authority::create(now()).unwrap();
    let validity = Validity::days(now(), 365);
    let issued = authority.issue("n_1.a", &roles(&["forum", "gateway"]), validity).unwrap();
    let found = issued.certificate();
    assert_eq!(found.name, "n_1.a");
    assert_eq!(found.roles, roles(&["forum", "gateway"]));
    assert!(found.not_before < now() && now().minus(DAY) < found.not_before);
    assert_eq!(found.not_after, now().plus(DAY * 365));
    assert_eq!(found.serial.len(), 32);
    let again = authority.issue("n_1.a", &roles(&["forum", "gateway"]), validity).unwrap();
    assert_ne!(again.certificate().serial, found.serial);
}

#[test]
fn what_no_node_can_be_is_not_certified() {
    let authority = Authority::create(now()).unwrap();
    let validity = Validity::days(now(), 365);
    let refusal = |name: &str, allowed: &[&str], validity| match authority
        .issue(name, &roles(allowed), validity)
        .unwrap_err()
    {
        TlsError::Request(why) => why,
        other => panic!("{other:?}"),
    };
    for name in ["", ".n", "a/b", "*.a", "ñ"] {
        assert!(refusal(name, &["forum"], validity).contains("1 to 64 letters"), "{name}");
    }
    assert_eq!(refusal("n1", &["Fo:rum"], validity), "\"Fo:rum\" is not a role");
    assert_eq!(refusal("n1", &[], validity), "a node needs at least one role");
    let outlives = refusal("n1", &["forum"], Validity::days(now(), 3_653));
    assert!(outlives.starts_with("the authority itself ends 2036-"), "{outlives}");
}

#[test]
fn it_is_saved_privately_once_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("ca");
    let authority = Authority::create(now()).unwrap();
    authority.save(&place).unwrap();
    assert_eq!(mode(&place), 0o700);
    assert_eq!(mode(&place.join("ca.key")), 0o600);
    let read = Authority::load(&place).unwrap();
    assert_eq!((read.name(), read.not_after()), (authority.name(), authority.not_after()));
    let other = Authority::create(now()).unwrap();
    assert_ne!(other.name(), authority.name(), "two authorities have two names");
    let refused = other.save(&place).unwrap_err().to_string();
    assert!(refused.contains("ca is there already"), "{refused}");
    assert_eq!(Authority::load(&place).unwrap().name(), authority.name());
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is left over: {left:?}");
}

#[test]
fn it_signs_the_same_after_it_was_read_back() {
    let cluster = Cluster::new();
    let place = cluster.dir.path().join("ca");
    cluster.authority.save(&place).unwrap();
    let read = Authority::load(&place).unwrap();
    let issued = read.issue("n1", &roles(&["cms"]), Validity::days(now(), 1)).unwrap();
    let dir = cluster.node_dir("n1");
    issued.write(&dir, &cluster.key()).unwrap();
    assert_eq!(cluster.load(&dir).unwrap().own().name, "n1");
}

#[test]
fn what_is_no_authority_is_refused() {
    let cluster = Cluster::new();
    let place = cluster.dir.path().join("ca");
    cluster.authority.save(&place).unwrap();
    let node = cluster.issue("n1", &["forum"], Validity::days(now(), 1));
    let refused = || Authority::load(&place).unwrap_err().to_string();

    std::fs::copy(node.join("node.key"), place.join("ca.key")).unwrap();
    assert!(refused().contains("ca.key is not the key of"), "{}", refused());
    std::fs::copy(node.join("node.pem"), place.join("ca.pem")).unwrap();
    assert!(refused().contains("ca.pem holds a certificate that is no authority's"));
    std::fs::write(place.join("ca.pem"), "nothing").unwrap();
    assert!(refused().contains("ca.pem holds no certificate in PEM form"), "{}", refused());
    std::fs::remove_file(place.join("ca.pem")).unwrap();
    assert!(refused().contains("ca.pem is not there"), "{}", refused());
}

#[test]
fn certificates_that_name_no_node_or_two_are_refused() {
    let name = |names: Vec<rcgen::SanType>| {
        let mut params = rcgen::CertificateParams::default();
        params.subject_alt_names = names;
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        NodeCertificate::from_der(certificate.der()).map(|found| (found.name, found.roles))
    };
    let dns = |name: &str| rcgen::SanType::DnsName(name.try_into().unwrap());
    let uri = |name: &str| rcgen::SanType::URI(name.try_into().unwrap());
    let refused = |names| name(names).unwrap_err().to_string();
    assert_eq!(refused(vec![]), "the certificate does not name exactly one node");
    assert_eq!(refused(vec![uri("panel:role:forum")]), refused(vec![]));
    assert_eq!(refused(vec![dns("n1"), dns("n2")]), refused(vec![]));
    assert_eq!(refused(vec![dns("*.a")]), "the certificate has a name that no node can have");
    let more = vec![uri("https://a"), dns("n1"), uri("panel:role:cms"), uri("panel:role:A B")];
    assert_eq!(name(more), Ok(("n1".to_owned(), roles(&["cms"]))));
}
