//! What the edge costs: answers that are kept, against nginx with the same bytes in a file and a bare handler that
//! has them; reads that go through it, against nginx and HAProxy in front of the bare handlers; and what a
//! connection takes of its memory that waits for its next request.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use panel_harness::{Backend, Client, Node, Port, Session, SiteCertificate};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::bare;
use crate::load::{self, Server, exchange, request};
use crate::report::{Rounds, head};
use crate::scenario::{
    Process, READERS, ROUND, Subject, WARM_UP, all_up, announced, indexed, start_bare,
    start_node_with,
};

/// Connections that wait.
const IDLE: usize = 10_000;
const MOST_KIB: f64 = 10.0;
const MOST_US: f64 = 15.0;
/// As many as its limits may be.
const RATE: &str = "6000000";

/// Serves what a file holds, whatever it is asked, on a free port, which it prints, until it is killed.
pub(crate) async fn constant(file: &str) {
    let content = bytes::Bytes::from(std::fs::read(file).unwrap());
    let app = axum::Router::new().fallback(move || {
        let content = content.clone();
        async move { ([(http::header::CONTENT_TYPE, "application/json")], content) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, app).await.unwrap();
}

/// Measures, and prints tables.
pub(crate) async fn run(node: &str, rounds: usize) {
    println!("\n### edge (sqlite)\n");
    println!("{}", head("node", "against"));
    let cpu = reads(node, rounds).await;
    println!("\n| | measured | goal |\n|---|---|---|");
    let verdict = if cpu <= MOST_US { "reached" } else { "**short**" };
    println!(
        "| CPU of a kept answer, over a bare handler's | {cpu:.1} µs | ≤ {MOST_US:.0} µs {verdict} |"
    );
    memory().await;
}

/// The table; returns what an answer that is kept costs more than a bare handler's, in microseconds.
async fn reads(node: &str, rounds: usize) -> f64 {
    let dir = TempDir::with_prefix("panel-bench-").unwrap();
    let database = Backend::Sqlite.database().await;
    let limits = [
        ("PANEL_LIMITS__ENABLED", "true"),
        ("PANEL_LIMITS__ANONYMOUS_PER_MINUTE", RATE),
        ("PANEL_LIMITS__BURST", "1h"),
    ];
    let seeded = {
        let first = start_node_with(&limits, node, &dir, &database);
        all_up(&Client::new(&first.address)).await;
        Session::register(&Client::new(&first.address), "bench").await;
        bare::seeded(&database, dir.path()).await
    };
    let path = format!("/api/v2/forum/threads?category={}&sort=activity", seeded.categories[0]);
    let asked = [request("GET", &path, None, "")];
    let subject = start_node_with(&limits, node, &dir, &database);
    indexed(&database).await;
    let body = Client::new(&subject.address).get(&path).await.expect(200).body;
    let files = TempDir::with_prefix("panel-bench-").unwrap();
    std::fs::write(files.path().join("kept.json"), &body).unwrap();
    let mut bare = Command::new(std::env::current_exe().unwrap());
    bare.arg("constant").arg(files.path().join("kept.json"));
    let (bare_process, bare_address) = announced(bare);
    let (handlers_process, handlers_address) = start_bare("forum", &database, &dir);
    let nginx = Nginx::start(files.path(), &handlers_address);
    let haproxy = Haproxy::start(files.path(), &handlers_address);
    let kept = Server { address: &subject.address, pid: subject.process.id() };
    let constant = Server { address: &bare_address, pid: bare_process.id() };
    let file = Server { address: &nginx.file, pid: nginx.process.id() };
    let table = against(
        ("kept answer: node against a bare handler", 0.9),
        (kept, &asked),
        (constant, &asked),
        rounds,
    )
    .await;
    println!("{}", table.line());
    let cpu = |outcomes: &[load::Outcome]| {
        let mut all: Vec<f64> = outcomes.iter().map(|outcome| outcome.cpu).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let over = cpu(&table.subject) - cpu(&table.reference);
    let from_file = [request("GET", "/kept.json", None, "")];
    let name = ("kept answer: node against nginx and a file", 0.8);
    println!("{}", against(name, (kept, &asked), (file, &from_file), rounds).await.line());
    drop(subject);
    let through: Subject = {
        let uncached = [&limits[..], &[("PANEL_GATEWAY__CACHE__BYTES", "0")]].concat();
        start_node_with(&uncached, node, &dir, &database)
    };
    all_up(&Client::new(&through.address)).await;
    let own = Server { address: &through.address, pid: through.process.id() };
    for (name, address, process) in [
        ("read through it: node against nginx", &nginx.proxy, &nginx.process),
        ("read through it: node against HAProxy", &haproxy.proxy, &haproxy.process),
    ] {
        let proxy = Server { address, pid: process.id() };
        println!("{}", against((name, 1.0), (own, &asked), (proxy, &asked), rounds).await.line());
    }
    drop(handlers_process);
    over
}

async fn against(
    (name, goal): (&str, f64),
    (subject, asked): (Server<'_>, &[Vec<u8>]),
    (reference, of_reference): (Server<'_>, &[Vec<u8>]),
    rounds: usize,
) -> Rounds {
    let mut table = Rounds::new(name.to_owned(), goal);
    load::run(subject, asked, READERS, WARM_UP).await;
    load::run(reference, of_reference, READERS, WARM_UP).await;
    for _ in 0..rounds {
        table.subject.push(load::run(subject, asked, READERS, ROUND).await);
        table.reference.push(load::run(reference, of_reference, READERS, ROUND).await);
    }
    table
}

/// Debian's nginx, with a log and a limit as ours has: of a file, and in front of a server.
struct Nginx {
    process: Process,
    file: String,
    proxy: String,
    _ports: [Port; 2],
}

impl Nginx {
    fn start(directory: &Path, upstream: &str) -> Self {
        let ports = [Port::reserve(), Port::reserve()];
        let [file, proxy] = ports.each_ref().map(|port| port.address().to_string());
        let at = directory.display();
        let text = format!(
            "daemon off; user root; worker_processes 2; pid {at}/nginx.pid; error_log {at}/nginx.err;
             events {{ worker_connections 4096; }}
             http {{
               access_log {at}/nginx.log; default_type application/json; keepalive_requests 100000000;
               client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f;
               uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
               limit_req_zone $binary_remote_addr zone=all:10m rate=100000r/s;
               upstream handlers {{ server {upstream}; keepalive 64; keepalive_requests 100000000; }}
               server {{ listen {file}; root {at}; }}
               server {{
                 listen {proxy};
                 location / {{
                   limit_req zone=all burst=100000 nodelay;
                   proxy_pass http://handlers; proxy_http_version 1.1; proxy_set_header Connection \"\";
                 }}
               }}
             }}"
        );
        let config = directory.join("nginx.conf");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&config).arg("-e").arg(directory.join("nginx.err"));
        let process = group(command);
        listening(&file);
        listening(&proxy);
        Self { process, file, proxy, _ports: ports }
    }
}

/// Debian's HAProxy, likewise, in front of a server.
struct Haproxy {
    process: Process,
    proxy: String,
    _port: Port,
}

impl Haproxy {
    fn start(directory: &Path, upstream: &str) -> Self {
        let port = Port::reserve();
        let proxy = port.address().to_string();
        let text = format!(
            "global\n  nbthread 2\n  log stdout format raw local0\n\
             defaults\n  mode http\n  log global\n  option httplog\n  timeout connect 5s\n  \
             timeout client 60s\n  timeout server 60s\n\
             frontend site\n  bind {proxy}\n  http-request track-sc0 src table clients\n  \
             http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 100000000 }}\n  \
             default_backend handlers\n\
             backend clients\n  stick-table type ip size 100k expire 30s store http_req_rate(10s)\n\
             backend handlers\n  http-reuse always\n  server one {upstream}\n"
        );
        let config = directory.join("haproxy.cfg");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-q").arg("-db").arg("-f").arg(&config);
        let process = group(command);
        listening(&proxy);
        Self { process, proxy, _port: port }
    }
}

/// Starts a server that starts others, all of which end with it.
fn group(mut command: Command) -> Process {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} can't be started: {error}"));
    Process::of_group(child)
}

fn listening(address: &str) {
    let began = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "nobody listens on {address}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What connections take that have asked once and wait.
async fn memory() {
    println!("\n| {IDLE} connections that wait | memory of each | goal |\n|---|---|---|");
    let asked = request("GET", "/api/v2/services", None, "");
    each("HTTP/1.1", None, async |node, _| {
        let mut stream = TcpStream::connect(node.http()).await.unwrap();
        exchange(&mut stream, &asked, &mut Vec::new()).await.unwrap();
        stream
    })
    .await;
    for (what, protocol) in [("HTTP/1.1 under TLS", &b"http/1.1"[..]), ("HTTP/2 under TLS", b"h2")]
    {
        each(what, Some(SiteCertificate::new()), async |node, site| {
            let config = site.unwrap().client_config(&[protocol]);
            let client = Client::new(node.http()).under_tls(&config);
            client.get("/api/v2/services").await.expect(200);
            client
        })
        .await;
    }
}

async fn each<T>(
    what: &str,
    site: Option<SiteCertificate>,
    open: impl AsyncFn(&Node, Option<&SiteCertificate>) -> T,
) {
    let most = (IDLE + 1_000).to_string();
    let node = Node::builder()
        .env("PANEL_GATEWAY__MAX_CONNECTIONS", &most)
        .env("PANEL_GATEWAY__HEAD_TIMEOUT", "10m");
    let node = match &site {
        Some(site) => node.tls(site),
        None => node,
    };
    let node = node.start().await;
    let mut kept = Vec::with_capacity(IDLE + 100);
    // What the first cost is not what each costs.
    for _ in 0..100 {
        kept.push(open(&node, site.as_ref()).await);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = node.resident_bytes();
    for _ in 0..IDLE {
        kept.push(open(&node, site.as_ref()).await);
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    #[allow(clippy::cast_precision_loss, reason = "a size")]
    let each = node.resident_bytes().saturating_sub(before) as f64 / IDLE as f64 / 1024.0;
    let verdict = match (site.is_none(), each <= MOST_KIB) {
        (false, _) => String::new(),
        (true, true) => format!("≤ {MOST_KIB:.0} KiB reached"),
        (true, false) => format!("≤ {MOST_KIB:.0} KiB **short**"),
    };
    println!("| {what} | {each:.1} KiB | {verdict} |");
}
