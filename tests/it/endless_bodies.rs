//! Who sends a gibibyte where that is too much hears so, long before it is sent; and a node is no larger by it.

use panel_harness::{Node, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const GIB: usize = 1 << 30;
const PIECE: usize = 64 * 1024;
/// What may be sent until then: the longest file (`gateway.files.max_upload_bytes`), what is read on for a moment so that
/// the answer arrives, and what lies in buffers on the way.
const TAKEN: usize = (64 + 8 + 16) * 1024 * 1024;
/// How much larger a node may be for it, which keeps nothing of it: pages of memory that its allocator has not
/// given back yet.
const GROWN: u64 = 48 * 1024 * 1024;

/// A request that says, or does not, how long it is.
struct Long<'r> {
    path: &'r str,
    media_type: &'r str,
    begins: &'r [u8],
    says_so: bool,
}

/// The answer, and how much of the body was sent by then.
async fn answered(node: &Node, by: &Session, long: &Long<'_>) -> (String, usize) {
    let mut stream = TcpStream::connect(node.http()).await.unwrap();
    let length = if long.says_so {
        format!("Content-Length: {GIB}")
    } else {
        "Transfer-Encoding: chunked".to_owned()
    };
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: {}\r\n{length}\r\n\r\n",
        long.path,
        node.http(),
        by.access_token,
        long.media_type,
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let mut sent = 0;
    let sending = async {
        let mut piece = vec![b'x'; PIECE];
        piece[..long.begins.len()].copy_from_slice(long.begins);
        while sent < GIB {
            let framed = if long.says_so {
                piece.clone()
            } else {
                [format!("{PIECE:x}\r\n").as_bytes(), &piece, b"\r\n"].concat()
            };
            if to.write_all(&framed).await.is_err() {
                return;
            }
            sent += PIECE;
            piece.fill(b'x');
        }
    };
    let reading = async {
        let mut answer = Vec::new();
        let mut buffer = [0; 4_096];
        loop {
            match from.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend(&buffer[..count]),
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    let ((), answer) = tokio::join!(sending, reading);
    (answer, sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_is_refused_before_it_is_sent() {
    let node = Node::start().await;
    let root = node.admin("root").await;
    let form = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n\x89PNG\r\n\x1a\n";
    let (media, posts) = ("/api/v2/cms/media", "/api/v2/cms/posts");
    let all = [
        (media, "image/png", &b"\x89PNG\r\n\x1a\n"[..]),
        (media, "multipart/form-data; boundary=b", form),
        (posts, "application/json", b"{\"title\": \"a\", \"body\": \""),
        (posts, "text/plain", b""),
        ("/api/v2/cms/posts/none/autosave", "application/json", b""),
        ("/nothing/there", "application/json", b""),
    ];
    // What it needs once it has done each of them.
    root.post(media).body("image/png", vec![0; PIECE]).await;
    let before = node.resident_bytes();
    for (path, media_type, begins) in all {
        for says_so in [true, false] {
            let long = Long { path, media_type, begins, says_so };
            let (answer, sent) = answered(&node, &root, &long).await;
            let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
            let expected: &[&str] = match path {
                "/nothing/there" => &["404", "413"],
                "/api/v2/cms/posts/none/autosave" => &["404", "405", "413"],
                _ => &["413"],
            };
            assert!(expected.contains(&status.as_str()), "{path} {media_type} {says_so}: {answer}");
            assert!(sent <= TAKEN, "{path} {media_type} {says_so}: {sent} bytes were sent");
        }
    }
    let grown = node.resident_bytes().saturating_sub(before);
    assert!(grown <= GROWN, "it has grown by {grown} bytes");
    root.get("/api/v2/cms/media").await.expect(200);
}
