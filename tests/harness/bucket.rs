//! A server of the test's own that speaks S3: moto, with a bucket in it.
//!
//! A guard runs it, which kills it when the test process ends, however that ends.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use panel_kernel::blobs::BlobsConfig;
use panel_kernel::secret::{Secret, SecretUrl};

use crate::eventually;
use crate::guard::Guard;
use crate::http::Client;
use crate::node::NodeBuilder;
use crate::port::Port;
use crate::process::Process;

/// For the server to take connections, and for the guard to end.
const START: Duration = Duration::from_secs(30);
/// Where `tests/scripts/packages.sh` puts it.
const PROGRAM: &str = "panel-tests/moto/bin/moto_server";
/// The bucket, and the part of it that is used.
const BUCKET: &str = "files";
const PREFIX: &str = "of/panel";

/// It does not look at signatures, and wants one.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
                      SignedHeaders=host, Signature=none";

/// Runs the server and does as it is told. `$1` is the program, `$2` the port.
const GUARD: &str = r#"
exec 3<&0 </dev/null 2>/dev/null
"$1" -H 127.0.0.1 -p "$2" >/dev/null 3<&- &
server=$!
echo started
while read -r order <&3; do
    case $order in
        STOP)
            kill -STOP "$server"
            while grep -q '^State:.[^TZ]' "/proc/$server/status"; do sleep 0.01; done ;;
        CONT) kill -CONT "$server" ;;
    esac
    echo "$order"
done
kill -KILL "$server"
wait "$server"
"#;

/// A bucket that is kept in memory. It ends with the test, however that ends.
#[derive(Debug)]
pub struct Bucket {
    guard: Guard,
    said: BufReader<ChildStdout>,
    client: Client,
    _port: Port,
}

impl Bucket {
    /// An empty one, ready.
    pub async fn start() -> Self {
        let port = Port::reserve();
        let mut start = Guard::start(GUARD, "the server of the bucket", START);
        start.command.arg(program()).arg(port.number().to_string()).stdout(Stdio::piped());
        let mut guard = start.spawn(Process::spawn);
        let said = BufReader::new(guard.said());
        let client = Client::new(port.address()).with_header("authorization", SIGNED);
        let mut bucket = Self { guard, said, client, _port: port };
        bucket.hears("started");
        eventually("there is a bucket", START, async || {
            let made = bucket.client.put(&format!("/{BUCKET}")).send().await;
            made.is_ok_and(|answer| answer.status == 200)
        })
        .await;
        bucket
    }

    /// How it is asked for.
    #[must_use]
    pub fn config(&self) -> BlobsConfig {
        BlobsConfig {
            url: SecretUrl::new(format!("s3://{BUCKET}/{PREFIX}")),
            endpoint: self.endpoint(),
            access_key_id: "panel".to_owned(),
            secret_access_key: Secret::new("bucket-secret"),
            ..BlobsConfig::default()
        }
    }

    /// A node that keeps its files here.
    #[must_use]
    pub fn configure(&self, node: NodeBuilder) -> NodeBuilder {
        self.settings().iter().fold(node, |node, (name, value)| node.env(name, value))
    }

    /// The same for others: what is in a node's environment.
    #[must_use]
    pub fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("PANEL_BLOBS__URL", format!("s3://{BUCKET}/{PREFIX}")),
            ("PANEL_BLOBS__ENDPOINT", self.endpoint()),
            ("PANEL_BLOBS__ACCESS_KEY_ID", "panel".to_owned()),
            ("PANEL_BLOBS__SECRET_ACCESS_KEY", "bucket-secret".to_owned()),
        ]
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.client.address())
    }

    /// What is in it, by name.
    pub async fn objects(&self) -> Vec<String> {
        let list = self.client.get(&format!("/{BUCKET}?list-type=2")).await.expect(200).text();
        let keys = list.split("<Key>").skip(1);
        keys.map(|rest| rest.split("</Key>").next().unwrap().to_owned()).collect()
    }

    /// Puts an object there, behind everybody's back.
    pub async fn gets(&self, object: &str, content: &str) {
        let put = self.client.put(&format!("/{BUCKET}/{object}"));
        put.body("application/octet-stream", content.to_owned()).await.expect(200);
    }

    /// Takes an object away, behind everybody's back.
    pub async fn loses(&self, object: &str) {
        self.client.delete(&format!("/{BUCKET}/{object}")).await.expect(204);
    }

    /// Stops the server where it is: connections stay, and nothing is answered.
    pub fn freeze(&mut self) {
        self.tell("STOP");
    }

    /// Lets a frozen server go on.
    pub fn thaw(&mut self) {
        self.tell("CONT");
    }

    fn tell(&mut self, order: &str) {
        self.guard.order(order);
        self.hears(order);
    }

    fn hears(&mut self, word: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), word);
    }
}

fn program() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".cache"))
    });
    let program = cache.unwrap().join(PROGRAM);
    assert!(program.is_file(), "there is no moto: run tests/scripts/packages.sh first");
    program
}
