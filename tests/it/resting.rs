//! Connections on which nothing is said: what they keep, and that nothing is lost when something is.

use std::time::{Duration, Instant};

use panel_harness::http::secured;
use panel_harness::{Node, SiteCertificate, eventually};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

const WITHIN: Duration = Duration::from_secs(30);
/// Longer than it takes to become quiet.
const REST: Duration = Duration::from_millis(700);
const GET: &str = "GET /api/v2/services HTTP/1.1\r\nhost: panel\r\n\r\n";

trait Line: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Line for S {}

/// The status of the next answer, which has a length.
async fn status(line: &mut impl Line) -> u16 {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(line.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap_or("0\r\n");
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    line.read_exact(&mut vec![0; length]).await.unwrap();
    head[9..12].parse().unwrap()
}

/// Says these pieces, with rests between them; the statuses of so many answers.
async fn say(line: &mut impl Line, pieces: &[&[u8]], answers: usize) -> Vec<u16> {
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            tokio::time::sleep(REST).await;
        }
        line.write_all(piece).await.unwrap();
    }
    let mut statuses = Vec::new();
    for _ in 0..answers {
        statuses.push(status(line).await);
    }
    statuses
}

async fn everything_is_heard(line: &mut impl Line) {
    // A line that was silent from its beginning.
    tokio::time::sleep(REST).await;
    assert_eq!(say(line, &[GET.as_bytes()], 1).await, [200]);
    // In pieces, each after a rest of its own.
    let (first, rest) = GET.as_bytes().split_at(1);
    let (second, third) = rest.split_at(30);
    tokio::time::sleep(REST).await;
    assert_eq!(say(line, &[first, second, third], 1).await, [200]);
    // Several at once, and the beginning of the next.
    let several = [GET, GET, GET, "GET /api/v2/serv"].concat();
    tokio::time::sleep(REST).await;
    let rest = "ices HTTP/1.1\r\nhost: panel\r\n\r\n";
    assert_eq!(say(line, &[several.as_bytes(), rest.as_bytes()], 4).await, [200; 4]);
    // A head that is longer than what is read first, and a body that comes later than its head.
    let long = format!(
        "GET /api/v2/services HTTP/1.1\r\nhost: panel\r\nx-long: {}\r\n\r\n",
        "x".repeat(9_000)
    );
    tokio::time::sleep(REST).await;
    assert_eq!(say(line, &[long.as_bytes()], 1).await, [200]);
    let post = "POST /api/v2/auth/login HTTP/1.1\r\nhost: panel\r\ncontent-type: application/json\r\n\
                content-length: 34\r\n\r\n";
    let body = r#"{"login": "nobody","password":"x"}"#;
    let (some, more) = body.as_bytes().split_at(10);
    tokio::time::sleep(REST).await;
    assert_eq!(say(line, &[post.as_bytes(), some, more], 1).await, [401]);
    // What is no request is refused as ever.
    tokio::time::sleep(REST).await;
    assert_eq!(say(line, &[b"nonsense\r\n\r\n"], 1).await, [400]);
    assert_eq!(line.read(&mut [0; 1]).await.unwrap_or(0), 0, "and ends the connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_after_a_rest_is_heard_whole() {
    let site = SiteCertificate::new();
    let (clear, under_tls) = tokio::join!(Node::start(), Node::builder().tls(&site).start());
    let mut line = TcpStream::connect(clear.http()).await.unwrap();
    let stream = TcpStream::connect(under_tls.http()).await.unwrap();
    let config = site.client_config(&[b"http/1.1"]);
    let mut secret = secured(stream, under_tls.http(), &config).await.unwrap();
    tokio::join!(everything_is_heard(&mut line), everything_is_heard(&mut secret));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_rests_too_long_or_never_ends_is_let_go() {
    let node = Node::builder().env("PANEL_GATEWAY__HEAD_TIMEOUT", "2s").start().await;
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
    assert_eq!(say(&mut line, &[GET.as_bytes()], 1).await, [200]);
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
async fn a_connection_that_waits_keeps_little() {
    const LINES: u64 = 2_000;
    let node = Node::builder().env("PANEL_GATEWAY__HEAD_TIMEOUT", "5m").start().await;
    let client = node.client();
    for _ in 0..200 {
        client.get("/api/v2/services").await.expect(200);
    }
    let before = node.resident_bytes();
    let mut lines = Vec::new();
    for _ in 0..LINES {
        let mut line = TcpStream::connect(node.http()).await.unwrap();
        assert_eq!(say(&mut line, &[GET.as_bytes()], 1).await, [200]);
        lines.push(line);
    }
    eventually("they keep little", WITHIN, async || {
        let each = node.resident_bytes().saturating_sub(before) / LINES;
        // hyper alone would keep 16 KiB of each.
        if each < 8 * 1_024 { Ok(()) } else { Err(each) }
    })
    .await;
    // And all of them are there.
    for line in lines.iter_mut().step_by(100) {
        assert_eq!(say(line, &[GET.as_bytes()], 1).await, [200]);
    }
}
