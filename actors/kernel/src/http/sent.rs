//! A file as it was sent: alone as the body of a request, or in a form (RFC 7578) beside a few words.
//!
//! What was sent lies in the blob store, and a file in a form stays where it is: it is read there each time, a piece at a
//! time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use aws_lc_rs::digest::{self, SHA256};
use bytes::Bytes;
use futures::stream::{Stream, StreamExt as _};
use multer::{Field, Multipart};

use super::Upload;
use crate::blobs::{BlobError, Blobs, Content};
use crate::message::BlobRef;
use crate::problem::{Kind, Problem};

/// How much of a file's beginning is kept, in bytes.
const BEGINNING: usize = 512;
/// The longest word beside a file, in bytes, and how many there may be.
const WORD: usize = 4_096;
const WORDS: usize = 16;
/// The longest name of a word, and of a file, in characters.
const NAME: usize = 64;
const FILE_NAME: usize = 255;
/// How much is read at a time of a form, in bytes.
const PIECE: usize = 16 * 1024;
/// What may be read for the head of a part, in bytes.
const HEAD: u32 = 16 * 1024;

/// A file that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    blob: BlobRef,
    /// What divides the form that it is in.
    boundary: Option<String>,
    /// What its sender calls it.
    pub name: Option<String>,
    /// How long it is.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// Its beginning, up to 512 bytes.
    pub beginning: Vec<u8>,
    /// What was sent beside it: names and words.
    pub words: Vec<(String, String)>,
}

impl Upload {
    /// Looks at what was sent, once from beginning to end if it is a form.
    ///
    /// # Errors
    /// 400 for what is no form, or one without a file, with several, or with too many words; 503 without the blob store.
    pub async fn opened(self, blobs: &Blobs) -> Result<Sent, Problem> {
        let boundary = self.media_type.as_deref().and_then(|it| multer::parse_boundary(it).ok());
        let is_form = self.media_type.as_deref().is_some_and(is_form);
        match boundary {
            Some(boundary) => in_form(self.blob, boundary, blobs).await,
            None if is_form => Err(bad("the form does not say what divides it")),
            None => alone(self.blob, blobs).await,
        }
    }
}

impl Sent {
    /// A file that is all of what was sent, of which nothing was read yet.
    #[must_use]
    pub fn alone(blob: BlobRef) -> Self {
        let (bytes, sha256) = (blob.bytes, blob.sha256);
        let (words, beginning) = (Vec::new(), Vec::new());
        Self { blob, boundary: None, name: None, bytes, sha256, beginning, words }
    }

    /// What was said of it under this name.
    #[must_use]
    pub fn word(&self, name: &str) -> Option<&str> {
        self.words.iter().find(|(known, _)| known == name).map(|(_, word)| word.as_str())
    }

    /// The file.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn content(&self, blobs: &Blobs) -> Result<Content, BlobError> {
        let whole = blobs.read(&self.blob, 0..self.blob.bytes).await?;
        let Some(boundary) = &self.boundary else { return Ok(whole) };
        let (mut form, heads) = opened(whole, boundary);
        while let Some(field) = next(&mut form, &heads).await.map_err(lost)? {
            if is_file(&field) {
                return Ok(field.map(|piece| piece.map_err(lost)).boxed());
            }
        }
        Err(BlobError::Gone)
    }
}

fn is_form(media_type: &str) -> bool {
    let kind = media_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("multipart/form-data")
}

async fn alone(blob: BlobRef, blobs: &Blobs) -> Result<Sent, Problem> {
    let mut sent = Sent::alone(blob);
    let mut content = blobs.read(&sent.blob, 0..BEGINNING as u64).await?;
    while let Some(piece) = content.next().await {
        sent.beginning.extend_from_slice(&piece?);
    }
    Ok(sent)
}

async fn in_form(blob: BlobRef, boundary: String, blobs: &Blobs) -> Result<Sent, Problem> {
    let whole = blobs.read(&blob, 0..blob.bytes).await?;
    let (mut form, heads) = opened(whole, &boundary);
    let (mut file, mut words) = (None, Vec::new());
    while let Some(mut field) = next(&mut form, &heads).await.map_err(refused)? {
        if is_file(&field) {
            if file.is_some() {
                return Err(bad("send one file at a time"));
            }
            file = Some(looked_at(&mut field).await?);
        } else {
            if words.len() == WORDS {
                return Err(bad("there is too much beside the file"));
            }
            words.push(word(&mut field).await?);
        }
    }
    let Some((name, bytes, sha256, beginning)) = file else {
        return Err(bad("there is no file in the form; send it as the field file"));
    };
    if bytes == 0 {
        return Err(bad("the file is empty"));
    }
    Ok(Sent { blob, boundary: Some(boundary), name, bytes, sha256, beginning, words })
}

/// Browsers send a name with every file; programs may leave it out.
fn is_file(field: &Field<'_>) -> bool {
    field.file_name().is_some() || field.name() == Some("file")
}

type Looked = (Option<String>, u64, [u8; 32], Vec<u8>);

async fn looked_at(field: &mut Field<'_>) -> Result<Looked, Problem> {
    let name = field.file_name().map(|name| name.chars().take(FILE_NAME).collect());
    let (mut hash, mut bytes, mut beginning) = (digest::Context::new(&SHA256), 0, Vec::new());
    while let Some(piece) = field.chunk().await.map_err(refused)? {
        hash.update(&piece);
        bytes += piece.len() as u64;
        let wanted = BEGINNING - beginning.len();
        beginning.extend(piece.iter().take(wanted));
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(hash.finish().as_ref());
    Ok((name, bytes, sha256, beginning))
}

async fn word(field: &mut Field<'_>) -> Result<(String, String), Problem> {
    let name = field.name().unwrap_or_default().to_owned();
    if name.chars().count() > NAME {
        return Err(bad("the name of a part of the form is too long"));
    }
    let mut word = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(refused)? {
        word.extend_from_slice(&piece);
        if word.len() > WORD {
            return Err(bad(&format!("what is said beside a file has at most {WORD} bytes")));
        }
    }
    let word = String::from_utf8(word).map_err(|_| bad("what is beside the file is no UTF-8"))?;
    Ok((name, word))
}

/// How many bytes may still be read before the head of a part has ended.
type Heads = Arc<AtomicU32>;

fn opened(content: Content, boundary: &str) -> (Multipart<'static>, Heads) {
    let heads = Heads::default();
    let (piece, heads_of) = (Bytes::new(), Arc::clone(&heads));
    let gentle = Gentle { content, piece, rests: false, heads: heads_of };
    (Multipart::new(gentle, boundary), heads)
}

async fn next(
    form: &mut Multipart<'static>,
    heads: &Heads,
) -> multer::Result<Option<Field<'static>>> {
    heads.store(HEAD, Ordering::Relaxed);
    let field = form.next_field().await;
    heads.store(u32::MAX, Ordering::Relaxed);
    field
}

/// Content that comes in small pieces and rests after each: whoever reads as long as something is there has one at a
/// time. And it ends where the head of a part does not.
struct Gentle {
    content: Content,
    /// What is left of a larger one.
    piece: Bytes,
    rests: bool,
    heads: Heads,
}

impl Stream for Gentle {
    type Item = Result<Bytes, BlobError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.piece.is_empty() {
            match self.content.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(piece))) => self.piece = piece,
                other => return other,
            }
        }
        self.rests = true;
        let left = self.heads.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Some(Err(BlobError::TooLarge(HEAD.into()))));
        }
        let length = self.piece.len().min(PIECE);
        if left != u32::MAX {
            let read = u32::try_from(length).unwrap_or(u32::MAX);
            self.heads.store(left.saturating_sub(read), Ordering::Relaxed);
        }
        Poll::Ready(Some(Ok(self.piece.split_to(length))))
    }
}

fn bad(detail: &str) -> Problem {
    Problem::new(Kind::BadRequest, detail)
}

/// What was wrong with a form, or with where it lies.
fn refused(error: multer::Error) -> Problem {
    match source(error) {
        Ok(BlobError::TooLarge(_)) => bad("what is said of a part of the form is too long"),
        Ok(error) => error.into(),
        Err(error) => bad(&format!("the form can't be read: {error}")),
    }
}

/// The same for a form that was good before.
fn lost(error: multer::Error) -> BlobError {
    source(error).unwrap_or_else(|error| BlobError::Fault(error.to_string()))
}

/// What the blob store said, if that is why.
fn source(error: multer::Error) -> Result<BlobError, multer::Error> {
    match error {
        multer::Error::StreamReadFailed(why) => match why.downcast::<BlobError>() {
            Ok(why) => Ok(*why),
            Err(why) => Err(multer::Error::StreamReadFailed(why)),
        },
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn form(body: &[u8], piece: usize) -> (Multipart<'static>, Heads) {
        let pieces: Vec<_> = body.chunks(piece).map(|it| Ok(Bytes::copy_from_slice(it))).collect();
        opened(stream::iter(pieces).boxed(), "B")
    }

    #[tokio::test]
    async fn a_form_is_read_in_pieces_of_any_size() {
        let body = b"--B\r\nContent-Disposition: form-data; name=\"alt\"\r\n\r\nA cat\r\n\
            --B\r\nContent-Disposition: form-data; name=\"x\"; filename=\"cat.png\"\r\n\
            Content-Type: image/png\r\n\r\n\x89PNG\r\n--\r\n--C\r\n\r\n--B--\r\n";
        for piece in [body.len(), 80, 100] {
            let (mut form, heads) = form(body, piece);
            let mut alt = next(&mut form, &heads).await.unwrap().unwrap();
            assert!(!is_file(&alt));
            assert_eq!(word(&mut alt).await.unwrap(), ("alt".to_owned(), "A cat".to_owned()));
            drop(alt);
            let mut file = next(&mut form, &heads).await.unwrap().unwrap();
            assert!(is_file(&file));
            let (name, bytes, sha256, beginning) = looked_at(&mut file).await.unwrap();
            assert_eq!((name.as_deref(), bytes), (Some("cat.png"), 15));
            assert_eq!(beginning, b"\x89PNG\r\n--\r\n--C\r\n");
            assert_eq!(sha256[..], *digest::digest(&SHA256, &beginning).as_ref());
            drop(file);
            assert!(next(&mut form, &heads).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_head_that_does_not_end_is_not_read_to_the_end_of_the_form() {
        let body = [b"--B\r\nX: ".to_vec(), vec![b'x'; 1_000_000]].concat();
        let (mut form, heads) = form(&body, 900_000);
        let error = refused(next(&mut form, &heads).await.unwrap_err());
        assert!(error.detail.contains("too long"), "{error:?}");
    }

    #[tokio::test]
    async fn what_ends_too_early_or_is_no_form_is_refused() {
        for body in [
            &b"--B\r\n"[..],
            b"no form",
            b"",
            b"--B\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nhalf",
        ] {
            let (mut form, heads) = form(body, 10);
            let read = async {
                let mut field = next(&mut form, &heads).await?;
                if let Some(field) = &mut field {
                    while field.chunk().await?.is_some() {}
                }
                Ok::<_, multer::Error>(field.is_some())
            };
            assert!(read.await.is_err(), "{body:?}");
        }
    }
}
