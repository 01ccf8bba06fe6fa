//! Bytes on a socket, for what no HTTP library would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends `bytes` and reads until the server closes, or for five seconds.
pub async fn raw(address: &str, bytes: &[u8]) -> Vec<u8> {
    raw_within(address, bytes, Duration::from_secs(5)).await
}

/// Sends `bytes` and reads until the server closes, or until `within` is over: what has come by
/// then.
pub async fn raw_within(address: &str, bytes: &[u8], within: Duration) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    let exchange = async {
        // A server that has read enough may close while we still write; its answer counts.
        drop(stream.write_all(bytes).await);
        let mut piece = [0; 4_096];
        while let Ok(read @ 1..) = stream.read(&mut piece).await {
            answer.extend_from_slice(&piece[..read]);
        }
    };
    drop(tokio::time::timeout(within, exchange).await);
    answer
}
