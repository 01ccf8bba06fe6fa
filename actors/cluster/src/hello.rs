//! What two nodes tell each other before they are linked, inside TLS: a few frames of JSON, so
//! that a later release can add to them and an earlier one reads what it knows.
//!
//! ```text
//! dialer                     listener
//!   Hello            ───▶
//!                    ◀───    Welcome(Hello) | Redial(Hello) | Refused(reason)
//! ```
//!
//! Architecture invariant: of two nodes the one whose name sorts first dials, always. The other
//! one only knocks: it is told `Redial`, and dialled.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The version of this exchange and of what is said on a link.
pub(crate) const PROTOCOL: u32 = 1;
/// No greeting is longer.
const MAX_FRAME: u32 = 16 * 1024;

/// Who a node says it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// [`PROTOCOL`].
    pub(crate) protocol: u32,
    /// The cluster's name.
    pub(crate) cluster: String,
    /// The node's name.
    pub(crate) name: String,
    /// Which of its lives.
    pub(crate) boot: String,
    /// Its release.
    pub(crate) version: String,
    /// What it does.
    pub(crate) roles: Vec<String>,
    /// Where it is to be dialled.
    pub(crate) address: String,
    /// What beats to it on this link are to carry: random, known to the two ends alone.
    pub(crate) token: String,
}

/// What the listener says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// This is the link.
    Welcome {
        /// Who answers.
        hello: Hello,
    },
    /// You will be dialled.
    Redial {
        /// Who answers.
        hello: Hello,
    },
    /// No.
    Refused {
        /// Why, for the operator of the other node.
        reason: String,
        /// Why, in one word.
        #[serde(default)]
        label: String,
    },
}

/// Sends one frame: its length in four bytes, big end first, and JSON.
pub(crate) async fn send<T: Serialize>(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &T,
) -> io::Result<()> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len()).map_err(|_| too_long(u32::MAX))?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend_from_slice(&json);
    stream.write_all(&frame).await?;
    stream.flush().await
}

/// Reads one frame, and not a byte more: what follows belongs to the link.
pub(crate) async fn receive<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<T> {
    let length = stream.read_u32().await?;
    if length > MAX_FRAME {
        return Err(too_long(length));
    }
    let mut json = vec![0; usize::try_from(length).map_err(|_| too_long(length))?];
    stream.read_exact(&mut json).await?;
    serde_json::from_slice(&json).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("the greeting can't be read: {error}"))
    })
}

fn too_long(length: u32) -> io::Error {
    let why = format!("a greeting of {length} bytes, where {MAX_FRAME} are the most");
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            protocol: PROTOCOL,
            cluster: "panel".to_owned(),
            name: "n1".to_owned(),
            boot: "b".to_owned(),
            version: "0.1.0".to_owned(),
            roles: vec!["forum".to_owned()],
            address: "127.0.0.1:5700".to_owned(),
            token: "t".to_owned(),
        }
    }

    #[tokio::test]
    async fn what_is_sent_is_received_and_nothing_after_it() {
        let (mut here, mut there) = tokio::io::duplex(64 * 1024);
        send(&mut here, &Answer::Welcome { hello: hello() }).await.unwrap();
        here.write_all(b"rest").await.unwrap();
        drop(here);
        let answer: Answer = receive(&mut there).await.unwrap();
        assert_eq!(answer, Answer::Welcome { hello: hello() });
        let mut rest = Vec::new();
        there.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"rest");
    }

    #[tokio::test]
    async fn a_length_of_four_gibibytes_is_refused_before_anything_is_allocated() {
        let mut bytes: &[u8] = &[0xff; 64];
        let error = receive::<Hello>(&mut bytes).await.unwrap_err();
        assert!(error.to_string().contains("16384"), "{error}");
        let mut bytes: &[u8] = b"\0\0\0\x04nope";
        assert!(receive::<Hello>(&mut bytes).await.unwrap_err().to_string().contains("greeting"));
    }

    #[test]
    fn a_later_release_may_say_more() {
        let mut json = serde_json::to_value(hello()).unwrap();
        json["shoe_size"] = 43.into();
        assert_eq!(serde_json::from_value::<Hello>(json).unwrap(), hello());
    }
}
