//! Connections on which nothing is said: what they keep, and that nothing is lost when something is.

use std::time::{Duration, Instant};

use panel_harness::http::{narrow, secured};
use panel_harness::{Node, NodeBuilder, SiteCertificate, Thread, eventually};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

const WITHIN: Duration = Duration::from_secs(30);
/// Longer than a connection is quiet before it rests.
const LATE: Duration = Duration::from_millis(700);
const PATIENCE: &str = "PANEL_GATEWAY__HEAD_TIMEOUT";
const GET: &str = "GET /api/v2/services HTTP/1.1\r\nhost: panel\r\n\r\n";

trait Line: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Line for S {}

/// The status of the next answer.
async fn status(line: &mut impl Line) -> u16 {
    let (status, length) = length(line).await;
    line.read_exact(&mut vec![0; length]).await.unwrap();
    status
}

/// The same, and how long its body is that comes now.
async fn length(line: &mut impl Line) -> (u16, usize) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(line.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap_or("0\r\n");
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    (head[9..12].parse().unwrap(), length)
}

/// So many connections of the node rest. Whoever asks for that does so at another port.
async fn rest(node: &Node, lines: u64) {
    eventually("it rests", WITHIN, async || {
        let resting = node.metrics().await.count("panel_gateway_connections_resting", &[]);
        if resting == lines { Ok(()) } else { Err(resting) }
    })
    .await;
}

async fn say(line: &mut impl Line, what: &[u8], answers: usize) -> Vec<u16> {
    line.write_all(what).await.unwrap();
    // Under TLS what is written need not have left.
    line.flush().await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..answers {
        statuses.push(status(line).await);
    }
    statuses
}

/// Says these pieces of one request, the first after a rest and each of the others when a connection would rest that
/// has nothing to wait for: they are not waited for here, but come late.
async fn say_slowly(
    node: &Node,
    line: &mut impl Line,
    pieces: &[&[u8]],
    answers: usize,
) -> Vec<u16> {
    rest(node, 1).await;
    let (last, first) = pieces.split_last().unwrap();
    for piece in first {
        say(line, piece, 0).await;
        rest(node, 0).await;
        tokio::time::sleep(LATE).await;
    }
    say(line, last, answers).await
}

async fn everything_is_heard(node: &Node, mut line: impl Line) {
    let line = &mut line;
    // A line that was silent from its beginning.
    assert_eq!(say_slowly(node, line, &[GET.as_bytes()], 1).await, [200]);
    // In pieces.
    let (first, more) = GET.as_bytes().split_at(1);
    let (second, third) = more.split_at(30);
    assert_eq!(say_slowly(node, line, &[first, second, third], 1).await, [200]);
    // Several at once, and the beginning of the next.
    let several = [GET, GET, GET, "GET /api/v2/serv"].concat();
    let end = "ices HTTP/1.1\r\nhost: panel\r\n\r\n";
    assert_eq!(say_slowly(node, line, &[several.as_bytes()], 3).await, [200; 3]);
    tokio::time::sleep(LATE).await;
    assert_eq!(say(line, end.as_bytes(), 1).await, [200]);
    // A head that is longer than what is read first, and a body that comes later than its head.
    let long = GET.replace("\r\n\r\n", &format!("\r\nx-long: {}\r\n\r\n", "x".repeat(9_000)));
    assert_eq!(say_slowly(node, line, &[long.as_bytes()], 1).await, [200]);
    let post = "POST /api/v2/auth/login HTTP/1.1\r\nhost: panel\r\ncontent-type: application/json\r\n\
                content-length: 34\r\n\r\n";
    let body = r#"{"login": "nobody","password":"x"}"#;
    let (some, more) = body.as_bytes().split_at(10);
    assert_eq!(say_slowly(node, line, &[post.as_bytes(), some, more], 1).await, [401]);
    // What is no request is refused as ever.
    assert_eq!(say_slowly(node, line, &[b"nonsense\r\n\r\n"], 1).await, [400]);
    assert_eq!(line.read(&mut [0; 1]).await.unwrap_or(0), 0, "and ends the connection");
    rest(node, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_after_a_rest_is_heard_whole() {
    let site = SiteCertificate::new();
    let (clear, under_tls) = tokio::join!(
        Node::builder().env(PATIENCE, "5m").start(),
        Node::builder().env(PATIENCE, "5m").tls(&site).start()
    );
    let line = TcpStream::connect(clear.http()).await.unwrap();
    let stream = TcpStream::connect(under_tls.http()).await.unwrap();
    let config = site.client_config(&[b"http/1.1"]);
    let secret = secured(stream, under_tls.http(), &config).await.unwrap();
    tokio::join!(everything_is_heard(&clear, line), everything_is_heard(&under_tls, secret));
}

/// A node with something that is longer than a socket takes, and the request for it.
async fn with_much_to_read(node: NodeBuilder) -> (Node, String) {
    let node = node.env(PATIENCE, "5m").start().await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    for _ in 0..20 {
        thread.reply(&admin, &"much to read ".repeat(2_000)).await.expect(201);
    }
    let ask = GET.replace("/api/v2/services", &format!("{}?limit=100", thread.posts));
    (node, ask)
}

/// Pauses now and then for longer than it takes to rest: at one of the pauses the node has no more to do than to send
/// what is written already.
async fn read_slowly(mut line: impl Line, ask: &str) {
    // Less than a TLS session keeps of what is written, if the socket takes no more.
    const PIECE: usize = 40 * 1_024;
    line.write_all(ask.as_bytes()).await.unwrap();
    line.flush().await.unwrap();
    let mut left = length(&mut line).await.1;
    assert!(left > 10 * PIECE, "{left}");
    let mut piece = vec![0; PIECE];
    while left > 0 {
        let read = tokio::time::timeout(WITHIN, line.read_exact(&mut piece)).await;
        left -= read.expect("the node goes on").unwrap();
        piece.resize(PIECE.min(left), 0);
        tokio::time::sleep(LATE).await;
    }
    assert_eq!(say(&mut line, GET.as_bytes(), 1).await, [200]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_slowly_has_all_of_an_answer() {
    let site = SiteCertificate::new();
    let ((clear, ask), (under_tls, also)) = tokio::join!(
        with_much_to_read(Node::builder()),
        with_much_to_read(Node::builder().tls(&site))
    );
    let line = narrow(clear.http()).await.unwrap();
    let stream = narrow(under_tls.http()).await.unwrap();
    let config = site.client_config(&[b"http/1.1"]);
    let secret = secured(stream, under_tls.http(), &config).await.unwrap();
    tokio::join!(read_slowly(line, &ask), read_slowly(secret, &also));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_rests_too_long_or_never_ends_is_let_go() {
    let node = Node::builder().env(PATIENCE, "2s").start().await;
    let open = async || TcpStream::connect(node.http()).await.unwrap();
    let ended = async |mut line: TcpStream, began: Instant| {
        let mut said = Vec::new();
        // Whatever is said at the end.
        drop(line.read_to_end(&mut said).await);
        (String::from_utf8_lossy(&said).into_owned(), began.elapsed())
    };
    // Silent from the beginning, and after an answer.
    let began = Instant::now();
    let (said, took) = ended(open().await, began).await;
    assert_eq!(said, "");
    assert!((1..6).contains(&took.as_secs()), "{took:?}");
    let mut line = open().await;
    assert_eq!(say(&mut line, GET.as_bytes(), 1).await, [200]);
    let (said, took) = ended(line, Instant::now()).await;
    assert_eq!(said, "");
    assert!((1..6).contains(&took.as_secs()), "{took:?}");
    // Who says a little now and then, and never a whole head, has no more time for it than others.
    let (mut read, mut write) = open().await.into_split();
    let began = Instant::now();
    let dripping = async {
        for byte in GET.bytes().cycle().filter(|byte| !byte.is_ascii_control()) {
            tokio::time::sleep(Duration::from_millis(300)).await;
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    };
    let mut said = Vec::new();
    let reading = read.read_to_end(&mut said);
    tokio::select! {
        () = dripping => {}
        _ = reading => {}
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_tls_who_is_let_go_is_told_that_it_is_no_accident() {
    let site = SiteCertificate::new();
    let node = Node::builder().env(PATIENCE, "2s").tls(&site).start().await;
    let stream = TcpStream::connect(node.http()).await.unwrap();
    let config = site.client_config(&[b"http/1.1"]);
    let mut line = secured(stream, node.http(), &config).await.unwrap();
    assert_eq!(say(&mut line, GET.as_bytes(), 1).await, [200]);
    // An end without a word would be an error here.
    assert_eq!(line.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_waits_keeps_little() {
    // What the first ones cost is memory that a node takes once.
    const FIRST: u64 = 500;
    const LINES: u64 = 2_000;
    let node = Node::builder().env(PATIENCE, "5m").start().await;
    let client = node.client();
    for _ in 0..200 {
        client.get("/api/v2/services").await.expect(200);
    }
    let mut lines = Vec::new();
    let mut before = 0;
    for at in 0..FIRST + LINES {
        if at == FIRST {
            // And that of the client.
            rest(&node, FIRST + 1).await;
            before = node.resident_bytes();
        }
        let mut line = TcpStream::connect(node.http()).await.unwrap();
        assert_eq!(say(&mut line, GET.as_bytes(), 1).await, [200]);
        lines.push(line);
    }
    rest(&node, FIRST + LINES + 1).await;
    eventually("they keep little", WITHIN, async || {
        let each = node.resident_bytes().saturating_sub(before) / LINES;
        // hyper alone would keep more than 16 KiB of each.
        if each < 10 * 1_024 { Ok(()) } else { Err(each) }
    })
    .await;
    // And all of them are there.
    for line in lines.iter_mut().step_by(100) {
        assert_eq!(say(line, GET.as_bytes(), 1).await, [200]);
    }
}
