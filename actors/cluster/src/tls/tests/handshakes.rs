//! Handshakes, for every pair of ends: who gets through, and what each side says why not.

use std::io;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::*;
use crate::tls::config::{AnyNode, KernelTime};
use crate::tls::{Cause, NodeCertificate, Reason, any_server, classify, peer_certificate};

type Server = server::TlsStream<DuplexStream>;
type Client = client::TlsStream<DuplexStream>;

/// Takes the connection, looks who it is, and greets.
async fn accept(config: Arc<ServerConfig>, stream: DuplexStream) -> io::Result<Server> {
    let mut stream = TlsAcceptor::from(config).accept(stream).await?;
    stream.write_all(b"!").await?;
    stream.flush().await?;
    Ok(stream)
}

/// In TLS 1.3 the dialer has finished before its own certificate is looked at: it hears of a
/// refusal where it first reads.
async fn connect(config: Arc<ClientConfig>, stream: DuplexStream) -> io::Result<Client> {
    let mut stream = TlsConnector::from(config).connect(any_server(), stream).await?;
    stream.read_u8().await?;
    Ok(stream)
}

async fn shake(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
) -> (io::Result<Server>, io::Result<Client>) {
    let (here, there) = duplex(64 * 1024);
    tokio::join!(accept(server, here), connect(client, there))
}

/// Who each end found at the other.
fn found(pair: &(io::Result<Server>, io::Result<Client>)) -> (NodeCertificate, NodeCertificate) {
    let (server, client) = (pair.0.as_ref().unwrap(), pair.1.as_ref().unwrap());
    (peer_certificate(server.get_ref().1).unwrap(), peer_certificate(client.get_ref().1).unwrap())
}

/// What each end says why it failed.
fn causes(pair: &(io::Result<Server>, io::Result<Client>)) -> (Cause, Cause) {
    (classify(pair.0.as_ref().unwrap_err()), classify(pair.1.as_ref().unwrap_err()))
}

const fn found_by_us(reason: Reason) -> Cause {
    Cause { reason, by_peer: false }
}

const fn told_by_peer(reason: Reason) -> Cause {
    Cause { reason, by_peer: true }
}

async fn between(
    server: &Credentials,
    client: &Credentials,
) -> (io::Result<Server>, io::Result<Client>) {
    shake(server.server_config(), client.client_config()).await
}

#[tokio::test]
async fn two_nodes_of_a_cluster_know_each_other() {
    let cluster = Cluster::new();
    let (n1, n2) = (cluster.node("n1", &["gateway"]), cluster.node("n_2", &["auth", "forum"]));
    let pair = between(&n1, &n2).await;
    let (at_server, at_client) = found(&pair);
    assert_eq!(at_server, n2.own());
    assert_eq!(at_client, n1.own());
    assert_eq!((at_server.name.as_str(), at_server.roles), ("n_2", roles(&["auth", "forum"])));
    let (_, server) = pair.0.as_ref().unwrap().get_ref();
    assert_eq!(server.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(server.server_name(), None, "no name is sent in the clear");
}

#[tokio::test]
async fn a_stranger_is_refused_on_either_side() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let (own, stranger) = (cluster.node("n1", &["forum"]), other.node("n2", &["forum"]));
    // Each trusts the authority that the other one does not know.
    let trust = |mine: &Cluster, theirs: &Cluster, name: &str| {
        let dir = mine.node_dir(name);
        let both = std::fs::read_to_string(dir.join("ca.pem")).unwrap();
        theirs.authority.save(&theirs.dir.path().join("ca")).unwrap();
        let more = std::fs::read_to_string(theirs.dir.path().join("ca/ca.pem")).unwrap();
        std::fs::write(dir.join("ca.pem"), both + &more).unwrap();
    };
    let both = causes(&between(&own, &stranger).await);
    assert_eq!(both.1, found_by_us(Reason::WrongAuthority), "the dialer sees the server first");
    assert_eq!(both.0, told_by_peer(Reason::WrongAuthority));
    trust(&other, &cluster, "n2");
    assert_eq!(stranger.reload(), Ok(true));
    let dialer = causes(&between(&own, &stranger).await);
    assert_eq!(dialer, (found_by_us(Reason::WrongAuthority), told_by_peer(Reason::WrongAuthority)));
    let listener = causes(&between(&stranger, &own).await);
    assert_eq!(
        listener,
        (told_by_peer(Reason::WrongAuthority), found_by_us(Reason::WrongAuthority))
    );
    // Two authorities side by side are how one takes the other's place.
    trust(&cluster, &other, "n1");
    assert_eq!(own.reload(), Ok(true));
    found(&between(&own, &stranger).await);
    found(&between(&stranger, &own).await);
}

#[tokio::test]
async fn a_certificate_counts_in_its_time_only() {
    let cluster = Cluster::new();
    let good = cluster.node("n1", &["forum"]);
    let past = Validity { from: now().minus(DAY * 9), until: now().minus(DAY) };
    let expired = cluster.node_for("n2", &["forum"], past);
    let future = Validity { from: now().plus(DAY), until: now().plus(DAY * 9) };
    let early = cluster.node_for("n3", &["forum"], future);
    // The alert for both ends of the time is one and the same.
    for (bad, reason) in [(expired, Reason::Expired), (early, Reason::NotYetValid)] {
        let dialer = causes(&between(&good, &bad).await);
        assert_eq!(dialer, (found_by_us(reason), told_by_peer(Reason::Expired)));
        let listener = causes(&between(&bad, &good).await);
        assert_eq!(listener, (told_by_peer(Reason::Expired), found_by_us(reason)));
    }
}

#[tokio::test]
async fn a_certificate_that_ends_meanwhile_is_refused_at_the_next_handshake() {
    let cluster = Cluster::new();
    let hour = Duration::from_secs(3_600);
    let ends = Validity { from: now().minus(DAY), until: now().plus(hour) };
    let (n1, n2) = (cluster.node("n1", &["forum"]), cluster.node_for("n2", &["forum"], ends));
    // The same configurations all along: nothing of one handshake may help the next.
    let (server, client) = (n1.server_config(), n2.client_config());
    for _ in 0..3 {
        let pair = shake(server.clone(), client.clone()).await;
        let kind = pair.0.unwrap().get_ref().1.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Full));
    }
    cluster.clock.advance(hour * 2);
    let refused = causes(&shake(server, client).await);
    assert_eq!(refused, (found_by_us(Reason::Expired), told_by_peer(Reason::Expired)));
}

fn tls_client(
    cluster: &Cluster,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let pem = std::fs::read(cluster.node_dir("n1").join("ca.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    for root in panel_kernel::certificates::chain(Path::new("ca.pem"), &pem).unwrap() {
        roots.add(root).unwrap();
    }
    let time = Arc::new(KernelTime(cluster.clock.clone()));
    ClientConfig::builder_with_details(Arc::new(default_provider()), time)
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyNode::new(Arc::new(roots))))
        .with_no_client_auth()
}

#[tokio::test]
async fn who_shows_no_certificate_is_refused() {
    let cluster = Cluster::new();
    let n1 = cluster.node("n1", &["forum"]);
    let client = Arc::new(tls_client(&cluster, &[&rustls::version::TLS13]));
    let refused = causes(&shake(n1.server_config(), client).await);
    assert_eq!(refused, (found_by_us(Reason::NoCertificate), told_by_peer(Reason::NoCertificate)));
}

#[tokio::test]
async fn older_tls_and_other_protocols_are_refused() {
    let cluster = Cluster::new();
    let (n1, n2) = (cluster.node("n1", &["forum"]), cluster.node("n2", &["forum"]));
    let old = Arc::new(tls_client(&cluster, &[&rustls::version::TLS12]));
    let refused = causes(&shake(n1.server_config(), old).await);
    assert_eq!(refused, (found_by_us(Reason::WrongProtocol), told_by_peer(Reason::WrongProtocol)));

    let mut other = (*n2.client_config()).clone();
    other.alpn_protocols = vec![b"h2".to_vec()];
    let refused = causes(&shake(n1.server_config(), Arc::new(other)).await);
    assert_eq!(refused, (found_by_us(Reason::WrongProtocol), told_by_peer(Reason::WrongProtocol)));

    // Who offers none gets through the handshake, and no further.
    let mut none = (*n2.client_config()).clone();
    none.alpn_protocols.clear();
    let (server, client) = shake(n1.server_config(), Arc::new(none)).await;
    for found in [
        peer_certificate(server.unwrap().get_ref().1),
        peer_certificate(client.unwrap().get_ref().1),
    ] {
        assert_eq!(found, Err(crate::tls::TlsError::OtherProtocol));
    }
}

#[tokio::test]
async fn what_is_no_tls_is_called_that() {
    let cluster = Cluster::new();
    let n1 = cluster.node("n1", &["forum"]);
    for garbage in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &[0; 64], &[0xff; 64]] {
        let (here, mut there) = duplex(64 * 1024);
        there.write_all(garbage).await.unwrap();
        let refused = accept(n1.server_config(), here).await.unwrap_err();
        assert_eq!(classify(&refused), found_by_us(Reason::NotTls), "{refused}");
        let (here, mut there) = duplex(64 * 1024);
        there.write_all(garbage).await.unwrap();
        let refused = connect(n1.client_config(), here).await.unwrap_err();
        assert_eq!(classify(&refused), found_by_us(Reason::NotTls), "{refused}");
    }
    // Nothing at all, and an end in the middle.
    for begun in [&b""[..], &[22, 3, 1, 2, 0, 1]] {
        let (here, mut there) = duplex(64 * 1024);
        there.write_all(begun).await.unwrap();
        drop(there);
        let refused = accept(n1.server_config(), here).await.unwrap_err();
        assert_eq!(classify(&refused), found_by_us(Reason::Closed), "{refused}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_and_costs_nobody_the_link() {
    let cluster = Cluster::new();
    let (n1, n2) = (cluster.node("n1", &["forum"]), cluster.node("n2", &["forum"]));
    let shared = n1.clone();
    let before = between(&n1, &n2).await;
    assert_eq!(n1.reload(), Ok(false), "nothing has changed");
    cluster.issue("n1", &["forum", "cms"], Validity::days(now(), 90));
    assert_eq!(n1.reload(), Ok(true));
    assert_eq!(n1.reload(), Ok(false));
    let renewed = shared.own();
    assert_eq!(renewed.not_after, now().plus(DAY * 90), "clones see it too");
    assert_ne!(renewed.serial, found(&before).1.serial);
    let after = between(&n1, &n2).await;
    assert_eq!(found(&after).1, renewed);
    assert_eq!(found(&between(&n2, &n1).await).0, renewed, "where it dials, too");
    let (mut server, mut client) = (before.0.unwrap(), before.1.unwrap());
    client.write_all(b"still there?").await.unwrap();
    client.flush().await.unwrap();
    let mut heard = [0; 12];
    server.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"still there?");
}

#[tokio::test]
async fn what_can_not_be_used_leaves_the_old_in_force() {
    let cluster = Cluster::new();
    let (n1, n2) = (cluster.node("n1", &["forum"]), cluster.node("n2", &["forum"]));
    let own = n1.own();
    let path = cluster.node_dir("n1").join("node.pem");
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, "half a cert").unwrap();
    assert!(n1.reload().unwrap_err().to_string().contains("node.pem holds no certificate"));
    for name in ["node.pem", "node.key"] {
        std::fs::copy(cluster.node_dir("n2").join(name), cluster.node_dir("n1").join(name))
            .unwrap();
    }
    let refused = n1.reload().unwrap_err().to_string();
    assert!(refused.ends_with("is the certificate of n2, and this node is n1"), "{refused}");
    assert_eq!(n1.own(), own);
    assert_eq!(found(&between(&n1, &n2).await).1, own);
    std::fs::write(&path, good).unwrap();
    let refused = n1.reload().unwrap_err().to_string();
    assert!(refused.contains("node.key is not the key of"), "{refused}");
    let n1 = n1.serving(vec!["forum".to_owned()]);
    let past = Validity { from: now().minus(DAY * 2), until: now().minus(DAY) };
    let early = Validity { from: now().plus(DAY), until: now().plus(DAY * 2) };
    let good = Validity::days(now(), 90);
    for (roles, validity, why) in [
        (["cms"], good, "does not allow the role \"forum\", which this node has"),
        (["forum"], past, "which is not now"),
        (["forum"], early, "which is not now"),
    ] {
        cluster.issue("n1", &roles, validity);
        let refused = n1.reload().unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
        assert_eq!(n1.own(), own);
    }
    cluster.issue("n1", &["forum"], good);
    assert_eq!(n1.reload(), Ok(true));
}
