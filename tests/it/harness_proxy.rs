//! The harness's proxy: each fault has the effect it promises, and no other.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use panel_harness::proxy::{Direction, IN_FLIGHT, Proxy};
use panel_harness::{Backend, Node, TestDatabase, Thread, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// For what has to come.
const SOON: Duration = Duration::from_secs(20);
/// For what must not come.
const A_WHILE: Duration = Duration::from_millis(300);
const ONE: &str = "127.0.1.1";
const TWO: &str = "127.0.1.2";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Says everything again.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                drop(tokio::io::copy(&mut from, &mut to).await);
                drop(to.shutdown().await);
            });
        }
    });
    address
}

/// Both ends of a connection through a proxy: the client's and the upstream's.
async fn ends(proxy: &Proxy, upstream: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    (client, upstream.accept().await.unwrap().0)
}

async fn try_dial(proxy: &Proxy, from: &str) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(proxy.address()).await
}

async fn dial(proxy: &Proxy, from: &str) -> TcpStream {
    try_dial(proxy, from).await.unwrap()
}

/// That a connection from there is reset, as early as that may come.
async fn is_turned_away(proxy: &Proxy, from: &str) {
    match try_dial(proxy, from).await {
        Ok(mut stream) => is_reset(&mut stream).await,
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

/// Writes a word and reads as much: whether it was the word.
async fn says_again(stream: &mut TcpStream, word: &[u8]) -> std::io::Result<bool> {
    let exchange = async {
        stream.write_all(word).await?;
        let mut heard = vec![0; word.len()];
        stream.read_exact(&mut heard).await?;
        Ok(heard == word)
    };
    tokio::time::timeout(SOON, exchange).await.expect("an answer or an end")
}

#[track_caller]
fn good(said: std::io::Result<bool>) {
    assert!(said.unwrap(), "other bytes came back");
}

/// That this stream ends by a reset, not by an orderly end.
async fn is_reset(stream: &mut TcpStream) {
    let read = tokio::time::timeout(SOON, stream.read(&mut [0; 64])).await.expect("an end");
    let kind = read.map_err(|error| error.kind());
    assert_eq!(kind, Err(std::io::ErrorKind::ConnectionReset));
}

/// That nothing comes for a while, not even the end.
async fn is_silent(stream: &mut TcpStream) {
    let read = tokio::time::timeout(A_WHILE, stream.read(&mut [0; 64])).await;
    assert!(read.is_err(), "{read:?} came");
}

#[tokio::test]
async fn without_a_fault_bytes_and_ends_go_through_and_are_counted() {
    let proxy = Proxy::start(echo().await);
    let sent: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let (mut from, mut to) = TcpStream::connect(proxy.address()).await.unwrap().into_split();
    let copy = sent.clone();
    let writing = tokio::spawn(async move {
        to.write_all(&copy).await.unwrap();
        to.shutdown().await.unwrap();
        to
    });
    let mut heard = Vec::new();
    tokio::time::timeout(SOON, from.read_to_end(&mut heard)).await.unwrap().unwrap();
    drop(writing.await.unwrap());
    assert!(heard == sent, "other bytes came back");
    eventually("the connection ends", SOON, async || proxy.counted().open == 0).await;
    let counted = proxy.counted();
    assert_eq!((counted.connections, counted.refused), (1, 0));
    assert_eq!(counted.to_upstream, sent.len() as u64);
    assert_eq!(counted.to_client, sent.len() as u64);
}

#[tokio::test]
async fn many_connections_do_not_mix() {
    let proxy = Arc::new(Proxy::start(echo().await));
    let talks: Vec<_> = (0..100_u32)
        .map(|number| {
            let proxy = Arc::clone(&proxy);
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
                for round in 0..20 {
                    let word = format!("{number} says {round}");
                    good(says_again(&mut stream, word.as_bytes()).await);
                }
            })
        })
        .collect();
    for talk in talks {
        talk.await.unwrap();
    }
    assert_eq!(proxy.counted().connections, 100);
}

#[tokio::test]
async fn a_cut_resets_and_refuses_until_it_is_healed() {
    let proxy = Proxy::start(echo().await);
    let mut open = TcpStream::connect(proxy.address()).await.unwrap();
    good(says_again(&mut open, b"before").await);
    for _ in 0..10 {
        proxy.everybody().cut();
        is_reset(&mut open).await;
        let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        proxy.heal();
        open = TcpStream::connect(proxy.address()).await.unwrap();
        good(says_again(&mut open, b"after").await);
    }
}

#[tokio::test]
async fn the_upstream_hears_of_a_cut_as_well() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(upstream.local_addr().unwrap());
    let (_client, mut server) = ends(&proxy, &upstream).await;
    proxy.everybody().reset();
    is_reset(&mut server).await;
    // A reset alone keeps nobody out.
    let (mut client, mut server) = ends(&proxy, &upstream).await;
    client.write_all(b"x").await.unwrap();
    server.read_exact(&mut [0]).await.unwrap();
    // And one end's reset is the other's.
    server.set_zero_linger().unwrap();
    drop(server);
    is_reset(&mut client).await;
}

#[tokio::test]
async fn a_peers_fault_is_nobody_elses() {
    let proxy = Proxy::start(echo().await);
    let (mut one, mut two) = (dial(&proxy, ONE).await, dial(&proxy, TWO).await);
    good(says_again(&mut one, b"one").await);
    good(says_again(&mut two, b"two").await);
    proxy.peer(ip(ONE)).cut();
    is_reset(&mut one).await;
    good(says_again(&mut two, b"two").await);
    is_turned_away(&proxy, ONE).await;
    assert_eq!(proxy.counted().refused, 1);
    good(says_again(&mut dial(&proxy, TWO).await, b"new").await);
    // Everybody's fault is the peer's too, and its end is not that of the peer's own.
    proxy.everybody().blackhole();
    two.write_all(b"wait").await.unwrap();
    is_silent(&mut two).await;
    proxy.everybody().heal();
    let mut heard = [0; 4];
    two.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"wait");
    is_turned_away(&proxy, ONE).await;
    proxy.peer(ip(ONE)).heal();
    good(says_again(&mut dial(&proxy, ONE).await, b"back").await);
}

#[tokio::test]
async fn refusing_newcomers_leaves_the_others() {
    let proxy = Proxy::start(echo().await);
    let mut open = TcpStream::connect(proxy.address()).await.unwrap();
    good(says_again(&mut open, b"before").await);
    proxy.everybody().refuse();
    TcpStream::connect(proxy.address()).await.unwrap_err();
    good(says_again(&mut open, b"still").await);
}

#[tokio::test]
async fn a_blackhole_holds_everything_and_loses_nothing() {
    let proxy = Proxy::start(echo().await);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    good(says_again(&mut stream, b"before").await);
    let through = |bytes| (bytes, bytes);
    let went = || (proxy.counted().to_upstream, proxy.counted().to_client);
    eventually("it is counted", SOON, async || went() == through(6)).await;
    proxy.everybody().blackhole();
    stream.write_all(b"held").await.unwrap();
    is_silent(&mut stream).await;
    assert_eq!(went(), through(6), "something went through");
    proxy.heal();
    let mut heard = [0; 4];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"held");
    good(says_again(&mut stream, b"after").await);
}

#[tokio::test]
async fn who_sends_into_a_blackhole_comes_to_wait() {
    let proxy = Proxy::start(echo().await);
    let (mut from, mut to) = TcpStream::connect(proxy.address()).await.unwrap().into_split();
    proxy.everybody().blackhole();
    let sent: Vec<u8> = (0..16_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut written = 0;
    // Until nothing more goes in: the kernel's buffers are full, and nobody empties them.
    while let Ok(wrote) = tokio::time::timeout(A_WHILE, to.write(&sent[written..])).await {
        written += wrote.unwrap();
        assert!(written < sent.len(), "a blackhole took in {written} bytes");
    }
    proxy.heal();
    let copy = sent.clone();
    let rest = tokio::spawn(async move {
        to.write_all(&copy[written..]).await.unwrap();
        to.shutdown().await.unwrap();
        to
    });
    let mut heard = Vec::new();
    tokio::time::timeout(SOON, from.read_to_end(&mut heard)).await.unwrap().unwrap();
    drop(rest.await.unwrap());
    assert!(heard == sent, "other bytes came back");
}

#[tokio::test]
async fn a_connection_made_in_a_blackhole_is_silent_and_unseen() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(upstream.local_addr().unwrap());
    for silent in [None, Some(Direction::ToUpstream), Some(Direction::ToClient)] {
        match silent {
            None => proxy.everybody().blackhole(),
            Some(direction) => proxy.everybody().one_way(direction),
        }
        let mut patient = TcpStream::connect(proxy.address()).await.unwrap();
        patient.write_all(b"patient").await.unwrap();
        let mut impatient = TcpStream::connect(proxy.address()).await.unwrap();
        impatient.write_all(b"impatient").await.unwrap();
        drop(impatient);
        let seen = tokio::time::timeout(A_WHILE, upstream.accept()).await;
        assert!(seen.is_err(), "the upstream saw {seen:?}");
        is_silent(&mut patient).await;
        eventually("one is given up", SOON, async || proxy.counted().open == 1).await;
        proxy.heal();
        let (mut server, _) = upstream.accept().await.unwrap();
        let mut heard = [0; 7];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"patient");
        let (mut client, mut server) = (patient, server);
        server.write_all(b"x").await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();
        drop((client, server));
        eventually("all are gone", SOON, async || proxy.counted().open == 0).await;
    }
}

#[tokio::test]
async fn a_one_way_partition_is_silent_one_way() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(upstream.local_addr().unwrap());
    let (mut client, mut server) = ends(&proxy, &upstream).await;
    for silent in [Direction::ToUpstream, Direction::ToClient] {
        proxy.everybody().one_way(silent);
        client.write_all(b"c").await.unwrap();
        server.write_all(b"s").await.unwrap();
        let (heard_by, deaf) = match silent {
            Direction::ToUpstream => (&mut client, &mut server),
            Direction::ToClient => (&mut server, &mut client),
        };
        tokio::time::timeout(SOON, heard_by.read_exact(&mut [0])).await.unwrap().unwrap();
        is_silent(deaf).await;
        proxy.heal();
        tokio::time::timeout(SOON, deaf.read_exact(&mut [0])).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_end_is_not_heard_of_through_a_silent_direction() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(upstream.local_addr().unwrap());
    let (client, mut server) = ends(&proxy, &upstream).await;
    proxy.everybody().one_way(Direction::ToUpstream);
    client.set_zero_linger().unwrap();
    drop(client);
    // Writing to a client that is gone fails at the proxy; the upstream can't know.
    for _ in 0..3 {
        server.write_all(b"anybody?").await.unwrap();
        is_silent(&mut server).await;
    }
    proxy.heal();
    is_reset(&mut server).await;
}

#[tokio::test]
async fn a_delay_raises_latency_and_keeps_throughput() {
    const DELAY: Duration = Duration::from_millis(40);
    const ROUNDS: u32 = 10;
    let proxy = Proxy::start(echo().await);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.everybody().delay(DELAY);
    let began = Instant::now();
    for _ in 0..ROUNDS {
        good(says_again(&mut stream, b"in turn").await);
    }
    let in_turn = began.elapsed();
    assert!(in_turn >= DELAY * 2 * ROUNDS, "{in_turn:?}");
    // A hundred times as many that do not wait for each other are there before.
    let (mut from, mut to) = stream.split();
    let began = Instant::now();
    let writing = async {
        for _ in 0..ROUNDS * 100 {
            to.write_all(b"at once").await.unwrap();
        }
    };
    let mut heard = vec![0; 7 * 100 * ROUNDS as usize];
    let (read, ()) = tokio::join!(from.read_exact(&mut heard), writing);
    read.unwrap();
    let at_once = began.elapsed();
    assert!(at_once >= DELAY * 2, "{at_once:?}");
    assert!(at_once < in_turn, "{at_once:?} at once, {in_turn:?} in turn");
    assert_eq!(heard, b"at once".repeat(100 * ROUNDS as usize));
    // What is on the way is bounded, and more than that gets through nevertheless.
    let much = vec![7; IN_FLIGHT * 3];
    good(says_again_much(&mut stream, &much).await);
}

async fn says_again_much(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<bool> {
    let (mut from, mut to) = stream.split();
    let mut heard = vec![0; bytes.len()];
    let both = async { tokio::try_join!(to.write_all(bytes), from.read_exact(&mut heard)) };
    tokio::time::timeout(SOON, both).await.expect("everything comes back")?;
    Ok(heard == bytes)
}

#[tokio::test]
async fn jitter_adds_to_the_delay_and_keeps_the_order() {
    const DELAY: Duration = Duration::from_millis(10);
    let proxy = Proxy::start(echo().await);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.everybody().delay_with_jitter(DELAY, DELAY * 5);
    let mut took = Vec::new();
    for round in 0..20_u8 {
        let began = Instant::now();
        good(says_again(&mut stream, &[round]).await);
        took.push(began.elapsed());
    }
    assert!(took.iter().all(|took| *took >= DELAY * 2), "{took:?}");
    // All of twenty within one delay of each other would be no jitter.
    let (least, most) = (took.iter().min().unwrap(), took.iter().max().unwrap());
    assert!(*most > *least + DELAY, "{took:?}");
    let words: Vec<u8> = (0..=255).collect();
    let (mut from, mut to) = stream.split();
    let writing = async {
        for word in &words {
            to.write_all(&[*word]).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let mut heard = vec![0; words.len()];
    let (read, ()) = tokio::join!(from.read_exact(&mut heard), writing);
    read.unwrap();
    assert_eq!(heard, words);
}

#[tokio::test]
async fn a_throttle_lets_so_many_bytes_through_each_second() {
    const BYTES: u32 = 300_000;
    const RATE: u32 = 600_000;
    let proxy = Proxy::start(echo().await);
    let bytes = vec![7; BYTES as usize];
    let time = async |from: &str| {
        let mut stream = dial(&proxy, from).await;
        let began = Instant::now();
        good(says_again_much(&mut stream, &bytes).await);
        began.elapsed()
    };
    proxy.peer(ip(ONE)).throttle(RATE.into());
    let slow = time(ONE).await;
    // One piece of a twentieth of a second goes ahead.
    let least = Duration::from_secs(BYTES.into()) / RATE;
    assert!(slow + Duration::from_millis(50) >= least, "{slow:?}, not {least:?}");
    let other = time(TWO).await;
    assert!(other < slow, "{other:?} unthrottled, {slow:?} throttled");
    proxy.heal();
    let healed = time(ONE).await;
    assert!(healed < slow, "{healed:?} healed, {slow:?} throttled");
}

#[tokio::test]
async fn the_upstream_may_be_absent_and_may_move() {
    let place = Arc::new(parking_lot::Mutex::new(None));
    let asked = Arc::clone(&place);
    let proxy = Proxy::resolving(move || *asked.lock());
    is_turned_away(&proxy, ONE).await;
    assert_eq!(proxy.counted().refused, 1);
    for _ in 0..3 {
        *place.lock() = Some(echo().await);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        good(says_again(&mut stream, b"here").await);
    }
}

#[tokio::test]
async fn dropping_it_ends_everything() {
    let proxy = Proxy::start(echo().await);
    let address = proxy.address();
    let mut open = TcpStream::connect(address).await.unwrap();
    good(says_again(&mut open, b"before").await);
    proxy.everybody().delay(Duration::from_secs(3_600));
    open.write_all(b"on the way").await.unwrap();
    drop(proxy);
    is_reset(&mut open).await;
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// As in front of any other dependency.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_behind_a_cut_to_its_database_says_so_and_comes_back() {
    let database = Backend::Postgres.database().await;
    let (proxy, url) = in_front_of(&database);
    let node = Node::builder().database_url(&url).start().await;
    let client = node.client();
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    proxy.everybody().cut();
    client.get(&thread.posts).await.refused(503, "unavailable");
    thread.reply(&admin, "lost").await.refused(503, "unavailable");
    proxy.heal();
    eventually("the thread is read again", SOON, async || {
        client.get(&thread.posts).await.status == 200
    })
    .await;
    // A slow one is slow, and nothing else.
    let delay = Duration::from_millis(100);
    proxy.everybody().delay(delay);
    let began = Instant::now();
    thread.reply(&admin, "slowly").await.expect(201);
    assert!(began.elapsed() >= delay * 2, "{:?}", began.elapsed());
    assert_eq!(thread.bodies(&client).await, ["first", "slowly"]);
}

/// A proxy in front of a database's server, and the URL of the database behind it.
fn in_front_of(database: &TestDatabase) -> (Proxy, String) {
    let (before, rest) = database.url().split_once('@').unwrap();
    let (server, name) = rest.split_once('/').unwrap();
    let proxy = Proxy::start(server);
    let url = format!("{before}@{}/{name}", proxy.address());
    (proxy, url)
}
