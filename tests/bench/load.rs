//! A load generator: keep-alive connections, one request at a time on each, every latency kept.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What came out of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Answers per second.
    pub(crate) rate: f64,
    /// Median latency, in microseconds.
    pub(crate) p50: u64,
    /// 99th percentile, in microseconds.
    pub(crate) p99: u64,
    /// Processor time the server used per answer, in microseconds.
    pub(crate) cpu: f64,
    /// Answers that were not 2xx.
    pub(crate) failed: usize,
}

/// A server under load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server<'a> {
    pub(crate) address: &'a str,
    pub(crate) pid: u32,
}

impl Server<'_> {
    /// Processor time used so far, by all its threads, in microseconds.
    pub(crate) fn cpu(self) -> f64 {
        // In ticks of a hundredth of a second; the name before them may contain spaces.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        let (_, figures) = stat.rsplit_once(')').unwrap();
        let ticks = figures.split_whitespace().skip(11).take(2);
        ticks.map(|ticks| ticks.parse::<f64>().unwrap() * 10_000.0).sum()
    }
}

/// Sends `requests` over and over on `connections` connections for `time`.
pub(crate) async fn run(
    server: Server<'_>,
    requests: &[Vec<u8>],
    connections: usize,
    time: Duration,
) -> Outcome {
    let end = Instant::now() + time;
    let (started, cpu_before) = (Instant::now(), server.cpu());
    let tasks: Vec<_> = (0..connections)
        .map(|number| {
            let (address, requests) = (server.address.to_owned(), requests.to_vec());
            tokio::spawn(async move { connection(&address, &requests, number, end).await })
        })
        .collect();
    let mut latencies = Vec::new();
    let mut failed = 0;
    for task in tasks {
        let (taken, bad) = task.await.unwrap();
        latencies.extend(taken);
        failed += bad;
    }
    Outcome::of(latencies, failed, started.elapsed(), server.cpu() - cpu_before)
}

impl Outcome {
    /// From all latencies, in microseconds, and the processor time used meanwhile.
    pub(crate) fn of(mut latencies: Vec<u64>, failed: usize, took: Duration, cpu: f64) -> Self {
        latencies.sort_unstable();
        let at = |share: f64| {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "an index into a list of latencies"
            )]
            let place = ((latencies.len() as f64) * share) as usize;
            latencies.get(place.min(latencies.len().saturating_sub(1))).copied().unwrap_or(0)
        };
        #[allow(clippy::cast_precision_loss, reason = "a count of requests")]
        let count = latencies.len() as f64;
        let rate = count / took.as_secs_f64();
        Self { rate, p50: at(0.5), p99: at(0.99), cpu: cpu / count, failed }
    }
}

async fn connection(
    address: &str,
    requests: &[Vec<u8>],
    number: usize,
    end: Instant,
) -> (Vec<u64>, usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut latencies = Vec::with_capacity(16_384);
    let (mut failed, mut buffer) = (0, Vec::with_capacity(64 * 1024));
    // Connections begin at different requests, so that they do not march in step.
    let mut next = number * 7;
    while Instant::now() < end {
        let began = Instant::now();
        let asked = &requests[next % requests.len()];
        next += 1;
        let good = exchange(&mut stream, asked, &mut buffer).await.is_some();
        latencies.push(u64::try_from(began.elapsed().as_micros()).unwrap());
        failed += usize::from(!good);
    }
    (latencies, failed)
}

/// Of the others, what is chunked: nothing comes behind the last chunk, because nothing else was asked for.
const CHUNKED: &[u8] = b"\r\nTransfer-Encoding: chunked";
const LAST: &[u8] = b"\r\n0\r\n\r\n";

/// Sends a request and reads the answer's body; `None` if it was no 2xx.
pub(crate) async fn exchange<'b>(
    stream: &mut TcpStream,
    request: &[u8],
    buffer: &'b mut Vec<u8>,
) -> Option<&'b [u8]> {
    stream.write_all(request).await.unwrap();
    buffer.clear();
    let (mut head_end, mut length) = (None, 0);
    let mut is_chunked = false;
    loop {
        if let Some(end) = head_end
            && (if is_chunked { buffer.ends_with(LAST) } else { buffer.len() >= end + length })
        {
            let length = if is_chunked { buffer.len() - end } else { length };
            let good = buffer.get(9) == Some(&b'2');
            return good.then_some(&buffer[end..end + length]);
        }
        let read = stream.read_buf(buffer).await.unwrap();
        assert!(read > 0, "the server closed the connection");
        if head_end.is_none()
            && let Some(end) = find(buffer, b"\r\n\r\n")
        {
            head_end = Some(end + 4);
            length = content_length(&buffer[..end]);
            is_chunked = find(&buffer[..end], CHUNKED).is_some();
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn content_length(head: &[u8]) -> usize {
    std::str::from_utf8(head)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap())
}

/// A request as bytes.
pub(crate) fn request(method: &str, path: &str, token: Option<&str>, body: &str) -> Vec<u8> {
    let authorization =
        token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let content = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nHost: bench\r\n{authorization}{content}\r\n{body}")
        .into_bytes()
}
