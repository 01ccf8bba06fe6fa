use std::path::Path;

use rcgen::{CertificateParams, KeyPair};

use super::*;

/// Writes a certificate for these names and its key, of which some may be left as they are.
fn issue(dir: &Path, names: &[&str], what: &str) -> TlsConfig {
    let config = TlsConfig {
        certificate: dir.join("site.pem"),
        key: dir.join("site.key"),
        ..TlsConfig::default()
    };
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    let key = KeyPair::generate().unwrap();
    if what != "key" {
        std::fs::write(&config.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    }
    if what != "certificate" {
        std::fs::write(&config.key, key.serialize_pem()).unwrap();
    }
    config
}

#[test]
fn a_certificate_says_whose_it_is_and_until_when() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["panel.example", "*.panel.example", "192.0.2.1", "2001:db8::1"];
    let config = issue(dir.path(), &names, "both");
    let certificate = SiteCertificate::load(&config).unwrap();
    assert_eq!(certificate.current().unwrap().not_after.to_string(), "2030-01-01T00:00:00.000000Z");
    for host in ["panel.example", "PANEL.example", "a.panel.example", "192.0.2.1", "2001:db8::1"] {
        assert!(certificate.names(host), "{host}");
    }
    for host in ["example", "a.b.panel.example", "panel.example.evil", "192.0.2.2", ""] {
        assert!(!certificate.names(host), "{host}");
    }
}

#[test]
fn a_renewal_is_taken_and_what_can_t_be_used_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let config = issue(dir.path(), &["a.example"], "both");
    let certificate = SiteCertificate::load(&config).unwrap();
    let (first, before) = (certificate.current(), certificate.server_config().unwrap());
    assert!(!certificate.reload().unwrap(), "nothing has changed");
    issue(dir.path(), &["b.example"], "both");
    assert!(certificate.reload().unwrap());
    assert!(certificate.names("b.example") && certificate.current() != first);
    assert!(!Arc::ptr_eq(&before, &certificate.server_config().unwrap()));
    for (file, bytes) in [("site.pem", "nonsense"), ("site.key", "nonsense")] {
        let path = dir.path().join(file);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let error = certificate.reload().unwrap_err();
        assert!(error.path.ends_with(file), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(certificate.reload().unwrap_err().to_string().ends_with("is not there"));
        std::fs::write(&path, good).unwrap();
    }
    assert!(certificate.names("b.example"), "what was there stays");
    assert!(!certificate.reload().unwrap());
}

#[test]
fn half_a_renewal_is_waited_out() {
    let dir = tempfile::tempdir().unwrap();
    let config = issue(dir.path(), &["a.example"], "both");
    let other = tempfile::tempdir().unwrap();
    issue(other.path(), &["b.example"], "both");
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let files = Files { certificate: config.certificate.clone(), key: config.key.clone() };
    std::fs::copy(other.path().join("site.key"), &config.key).unwrap();
    let mut pauses = 0;
    let settled = files.settled(&provider, || {
        pauses += 1;
        if pauses == 3 {
            std::fs::copy(other.path().join("site.pem"), &config.certificate).unwrap();
        }
    });
    let Described { names, .. } = described(&settled.unwrap().0.cert[0]).unwrap();
    assert_eq!((names, pauses), (vec!["b.example".to_owned()], 3));
    issue(dir.path(), &["c.example"], "certificate");
    let mut pauses = 0;
    let error = files.settled(&provider, || pauses += 1).unwrap_err();
    assert!(error.why.starts_with("is not the key of "), "{error}");
    assert_eq!(pauses, panel_kernel::certificates::ATTEMPTS - 1);
}

#[test]
fn what_is_issued_is_in_force_from_then_on() {
    let certificate = SiteCertificate::to_be_issued().unwrap();
    assert!(certificate.server_config().is_none() && certificate.current().is_none());
    assert!(!certificate.names("a.example"));
    let issued = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let (chain, key) = issued("a.example");
    certificate.install(&chain, &key).unwrap();
    assert!(certificate.names("a.example"));
    assert!(!certificate.reload().unwrap(), "the first is no renewal");
    let (other_chain, other_key) = issued("b.example");
    for (chain, key, why) in [
        (other_chain.as_str(), key.as_str(), "keys may not be consistent"),
        ("nonsense", key.as_str(), "can't be used"),
        (chain.as_str(), "nonsense", "the key is not in PEM form"),
    ] {
        let error = certificate.install(chain, key).unwrap_err();
        assert!(error.contains(why), "{error}");
        assert!(certificate.names("a.example"), "what was there stays");
    }
    certificate.install(&chain, &key).unwrap();
    assert!(!certificate.reload().unwrap(), "the same again is none either");
    certificate.install(&other_chain, &other_key).unwrap();
    assert!(certificate.names("b.example"));
    assert!(certificate.reload().unwrap() && !certificate.reload().unwrap());
}
