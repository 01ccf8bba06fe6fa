//! What clients may do to a connection in HTTP/2, and what becomes of it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use h2::client::{Builder, SendRequest};
use http::{Request, Response};
use panel_harness::http::secured;
use panel_harness::{Node, NodeBuilder, SiteCertificate, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

const WITHIN: Duration = Duration::from_secs(20);
const HEALTH: &str = "/api/v2/health";
/// An answer of some hundred KiB.
const LARGE: &str = "/api/v2/openapi.json";
/// How a client begins, with settings that say nothing.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The kinds of frames (RFC 9113, 6).
const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

struct Site {
    node: Node,
    certificate: SiteCertificate,
}

/// How a connection ended.
type Ended = JoinHandle<Result<(), h2::Error>>;

impl Site {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let certificate = SiteCertificate::new();
        let node = Node::builder().tls(&certificate);
        let node =
            settings.iter().fold(node, |node: NodeBuilder, (name, value)| node.env(name, value));
        Self { node: node.start().await, certificate }
    }

    async fn line(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.node.http()).await.unwrap();
        secured(stream, self.node.http(), &self.certificate.client_config(&[b"h2"])).await.unwrap()
    }

    async fn open(&self, builder: &Builder) -> (SendRequest<Bytes>, Ended) {
        let (sender, line) = builder.handshake(self.line().await).await.unwrap();
        (sender, tokio::spawn(line))
    }

    fn get(&self, path: &str) -> Request<()> {
        Request::get(format!("https://{}{path}", self.node.http())).body(()).unwrap()
    }
}

async fn ends<T>(what: &str, ended: JoinHandle<T>) -> T {
    let ended = tokio::time::timeout(WITHIN, ended).await;
    ended.unwrap_or_else(|_| panic!("{what} goes on")).unwrap()
}

async fn body(mut answer: Response<h2::RecvStream>) -> Result<Vec<u8>, h2::Error> {
    let mut read = Vec::new();
    while let Some(piece) = answer.body_mut().data().await {
        let piece = piece?;
        answer.body_mut().flow_control().release_capacity(piece.len())?;
        read.extend_from_slice(&piece);
    }
    Ok(read)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_are_under_way_on_one_connection() {
    let site = Site::start(&[]).await;
    let (sender, ended) = site.open(&Builder::new()).await;
    let expected = site.node.client().get(LARGE).await.expect(200).body;
    assert!(expected.len() > 100_000, "{}", expected.len());
    // More than may be: those that are too many wait at the client, which was told how many.
    let asking = (0..150).map(async |_| {
        let mut sender = sender.clone().ready().await.unwrap();
        let (answer, _) = sender.send_request(site.get(LARGE), true).unwrap();
        body(answer.await.unwrap()).await.unwrap()
    });
    for read in join_all(asking).await {
        assert!(read == expected, "{} bytes", read.len());
    }
    drop(sender);
    ends("it", ended).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_is_let_go() {
    let site = Site::start(&[("PANEL_GATEWAY__WRITE_TIMEOUT", "1s")]).await;
    let builder = Builder::new().initial_window_size(16).clone();
    let (sender, ended) = site.open(&builder).await;
    let began = Instant::now();
    let mut kept = Vec::new();
    for _ in 0..50 {
        let mut sender = sender.clone().ready().await.unwrap();
        let (answer, _) = sender.send_request(site.get(LARGE), true).unwrap();
        kept.push(answer.await.unwrap());
    }
    drop(ends("it", ended).await);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    // One that takes a little now and then is not.
    let (mut sender, ended) = site.open(&Builder::new().initial_window_size(1_024).clone()).await;
    let (answer, _) = sender.send_request(site.get(LARGE), true).unwrap();
    let mut answer = answer.await.unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        let piece = answer.body_mut().data().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        answer.body_mut().flow_control().release_capacity(piece.len()).unwrap();
    }
    assert!(!ended.is_finished());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_is_asked_it_ends() {
    let site = Site::start(&[("PANEL_GATEWAY__HEAD_TIMEOUT", "1s")]).await;
    // Asked once, and never.
    let (mut asked, ended) = site.open(&Builder::new()).await;
    let (answer, _) = asked.send_request(site.get(HEALTH), true).unwrap();
    body(answer.await.unwrap()).await.unwrap();
    let (silent, also) = site.open(&Builder::new()).await;
    for ended in [ended, also] {
        // It may still have something to say when the other end is gone.
        drop(ends("a silent one", ended).await);
    }
    drop((asked, silent));
    // And one that does not even begin, or that begins and is not heard of again.
    for said in [&b""[..], b"PRI * HTTP/2.0\r\n", BEGINNING] {
        let mut line = site.line().await;
        line.write_all(said).await.unwrap();
        line.flush().await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(WITHIN, line.read_to_end(&mut rest)).await;
        drop(read.unwrap_or_else(|_| panic!("{said:?} goes on")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_are_too_large_or_name_two_hosts_are_refused() {
    let site = Site::start(&[]).await;
    let (sender, _ended) = site.open(&Builder::new()).await;
    let status = async |request: Request<()>| {
        let mut sender = sender.clone().ready().await.unwrap();
        let (answer, _) = sender.send_request(request, true).unwrap();
        answer.await.unwrap().status().as_u16()
    };
    let with = |fields: &[(String, String)]| {
        let mut request = site.get(HEALTH);
        for (name, value) in fields {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request
    };
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(status(with(&[])).await, 200);
    let many: Vec<_> = (0..101).map(|n| field(&format!("x-{n}"), "1")).collect();
    assert_eq!(status(with(&many)).await, 431);
    assert_eq!(status(with(&[field("x-long", &"x".repeat(40_000))])).await, 431);
    assert_eq!(status(site.get(&format!("/{}", "x".repeat(10_000)))).await, 414);
    assert_eq!(status(with(&[field("host", site.node.http())])).await, 200);
    assert_eq!(status(with(&[field("host", "evil.example")])).await, 400);
    let two = [field("host", site.node.http()), field("host", site.node.http())];
    assert_eq!(status(with(&two)).await, 400);
    assert_eq!(status(site.get("/a//b")).await, 400);
    let options = Request::options(format!("https://{}/api/v2/health", site.node.http()));
    assert_eq!(status(options.body(()).unwrap()).await, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_have_their_bounds() {
    let site = Site::start(&[("PANEL_GATEWAY__BODY_TIMEOUT", "1s")]).await;
    let (sender, ended) = site.open(&Builder::new()).await;
    let login = || {
        let login = format!("https://{}/api/v2/auth/login", site.node.http());
        Request::post(login).header("content-type", "application/json").body(()).unwrap()
    };
    // One that never comes, one that is too large, and one that is not as long as was said.
    let mut ready = sender.clone().ready().await.unwrap();
    let (late, _held) = ready.send_request(login(), false).unwrap();
    let mut ready = sender.clone().ready().await.unwrap();
    let (large, mut body) = ready.send_request(login(), false).unwrap();
    let filling = tokio::spawn(async move {
        while body.send_data(Bytes::from(vec![b' '; 16 * 1024]), false).is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let mut announced = login();
    announced.headers_mut().insert("content-length", "10000000".parse().unwrap());
    let mut ready = sender.clone().ready().await.unwrap();
    let (huge, _also_held) = ready.send_request(announced, false).unwrap();
    assert_eq!(huge.await.unwrap().status(), 413);
    assert_eq!(large.await.unwrap().status(), 413);
    filling.abort();
    assert_eq!(late.await.unwrap().status(), 400);
    // The connection goes on.
    let mut ready = sender.clone().ready().await.unwrap();
    let (answer, _) = ready.send_request(site.get(HEALTH), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    assert!(!ended.is_finished());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_taken_back_cost_nothing_that_stays() {
    let site = Site::start(&[]).await;
    let before = site.node.resident_bytes();
    let mut resets = 0_u32;
    for _ in 0..20 {
        let (sender, ended) = site.open(&Builder::new()).await;
        for _ in 0..1_000 {
            let Ok(mut sender) = sender.clone().ready().await else { break };
            let Ok((_, mut stream)) = sender.send_request(site.get("/api/v2/forum/threads"), false)
            else {
                break;
            };
            stream.send_reset(h2::Reason::CANCEL);
            resets += 1;
        }
        drop(sender);
        ended.abort();
    }
    assert!(resets >= 20, "{resets}");
    eventually("nothing is under way", WITHIN, async || {
        let health = site.node.client().get(HEALTH).await.expect(200).json();
        let in_flight = health["services"]["forum"]["members"][0]["in_flight"].clone();
        if in_flight == 0 { Ok(()) } else { Err(in_flight) }
    })
    .await;
    let grown = site.node.resident_bytes().saturating_sub(before);
    assert!(grown < 64 * 1024 * 1024, "{grown} bytes after {resets}");
    site.node.client().get("/api/v2/forum/threads").await.expect(200);
}

/// A frame (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_only_seems_to_ask_is_let_go() {
    let site = Site::start(&[("PANEL_GATEWAY__HEAD_TIMEOUT", "1s")]).await;
    // `:method: GET`, and then a field that takes its time.
    let head = frame(HEADERS, 0, 1, &[0x82, 0, 1, b'x', 100]);
    let slow = frame(CONTINUATION, 0, 1, b"y");
    let ping = frame(6, 0, 0, &[0; 8]);
    for (what, first, again) in [
        ("a head that comes byte by byte", head, slow),
        ("one that only asks whether we are there", Vec::new(), ping),
        ("one that only changes its settings", Vec::new(), frame(4, 0, 0, &[])),
    ] {
        let (mut reading, mut writing) = tokio::io::split(site.line().await);
        writing.write_all(&[BEGINNING, &first].concat()).await.unwrap();
        writing.flush().await.unwrap();
        let writer = tokio::spawn(async move {
            while writing.write_all(&again).await.is_ok() && writing.flush().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let mut rest = Vec::new();
        let read = tokio::time::timeout(WITHIN, reading.read_to_end(&mut rest)).await;
        drop(read.unwrap_or_else(|_| panic!("{what}: it goes on")));
        writer.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_are_small_until_they_are_unpacked_are_refused() {
    let site = Site::start(&[]).await;
    let before = site.node.resident_bytes();
    // A field of 3,000 bytes, kept in the table, and then named by a byte each time: 48 MB in 16 KiB.
    let kept = [&[0x40, 1, b'x', 127, 0xb9, 0x16][..], &[b'y'; 3_000]].concat();
    let asks = [&[0x82, 0x84, 0x87, 0x41, 1, b'x'][..], &kept].concat();
    for (named, ends) in [(1, false), (20, false)].into_iter().chain([(16_000, true); 10]) {
        let sent = [
            BEGINNING.to_vec(),
            frame(HEADERS, 1, 1, &asks),
            frame(CONTINUATION, 4, 1, &vec![0xbe; named]),
        ]
        .concat();
        let mut line = site.line().await;
        line.write_all(&sent).await.unwrap();
        line.flush().await.unwrap();
        // A head that is much too large ends its connection.
        let (kind, stream) = if ends { (GOAWAY, 0) } else { (HEADERS, 1) };
        let mut read = Vec::new();
        let answered = async {
            let mut piece = [0; 1024];
            while !has_frame(&read, kind, stream) {
                let count = line.read(&mut piece).await.unwrap();
                assert!(count > 0, "{named}: nothing is answered, after {read:?}");
                read.extend_from_slice(&piece[..count]);
            }
        };
        tokio::time::timeout(WITHIN, answered).await.expect("it is answered");
        // Its status, whose digits are written where it is none of the usual.
        let refused = read.windows(3).any(|digits| digits == b"431");
        assert_eq!(refused, named == 20, "{named}: {read:?}");
    }
    let grown = site.node.resident_bytes().saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes");
    site.node.http2().get(HEALTH).await.expect(200);
}

/// Whether there is a frame of this kind among whole ones, for this stream.
fn has_frame(mut read: &[u8], kind: u8, stream: u32) -> bool {
    while let [a, b, c, its_kind, _, w, x, y, z, rest @ ..] = read {
        if *its_kind == kind && u32::from_be_bytes([*w, *x, *y, *z]) == stream {
            return true;
        }
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        read = rest.get(length..).unwrap_or_default();
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_nobody_sends_end_the_connection_and_no_more() {
    let site = Site::start(&[]).await;
    let before = site.node.resident_bytes();
    // `:method: GET`, and then fields that are not indexed, without an end (CVE-2024-27316).
    let field = [&[0, 1, b'x', 127, 0x81, 0x7e][..], &[b'y'; 16_000 + 126]].concat();
    let endless = |first: Vec<u8>, more: Vec<u8>, times: usize| {
        [BEGINNING.to_vec(), first, more.repeat(times)].concat()
    };
    for (what, bytes) in [
        ("heads without an end", {
            let first = frame(HEADERS, 0, 1, &[0x82]);
            endless(first, frame(CONTINUATION, 0, 1, &field), 1_000)
        }),
        ("more of a head that was never begun", {
            endless(Vec::new(), frame(CONTINUATION, 0, 1, &[0x82]), 1)
        }),
        ("a frame that is too long", {
            let mut long = frame(0, 0, 1, &[0; 10]);
            long[0] = 0xff;
            endless(long, Vec::new(), 0)
        }),
        ("a stream of an even number", endless(frame(HEADERS, 5, 2, &[0x82]), Vec::new(), 0)),
        ("a window that overflows", {
            endless(frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), Vec::new(), 0)
        }),
        ("what is no HTTP/2", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(10)),
    ] {
        let (mut reading, mut writing) = tokio::io::split(site.line().await);
        let writer = tokio::spawn(async move {
            drop(writing.write_all(&bytes).await);
            drop(writing.flush().await);
        });
        let mut rest = Vec::new();
        let read =
            tokio::time::timeout(Duration::from_secs(5), reading.read_to_end(&mut rest)).await;
        drop(read.unwrap_or_else(|_| panic!("{what}: it goes on")));
        writer.abort();
        site.node.http2().get(HEALTH).await.expect(200);
    }
    let grown = site.node.resident_bytes().saturating_sub(before);
    assert!(grown < 64 * 1024 * 1024, "{grown} bytes");
}

#[tokio::test]
async fn pages_of_others_are_known_by_the_host_that_http2_names() {
    let site = Site::start(&[]).await;
    let login = serde_json::json!({"login": "nobody", "password": "wrong horse battery"});
    let ask = |origin: String| {
        let client = site.node.http2();
        let login = login.clone();
        async move { client.post("/api/v2/auth/login").json(&login).header("origin", &origin).await }
    };
    ask(format!("https://{}", site.node.http())).await.expect(401);
    ask("https://evil.example".to_owned()).await.expect(403);
}
