//! Files as answers. What they are made of lies in the blob store; the edge reads it there.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::message::BlobRef;

/// A file to be saved (`Content-Disposition: attachment`), for whoever was asked for it and nobody else.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The content.
    pub blob: BlobRef,
    /// Its media type.
    pub media_type: &'static str,
    /// The name it is saved under.
    pub name: String,
}

impl IntoResponse for Attachment {
    fn into_response(self) -> Response {
        // Whatever is in it, the header stays one header.
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
        let name: String = self.name.chars().filter(is_plain).collect();
        let mut response = StatusCode::OK.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
        if let Ok(disposition) = disposition {
            headers.insert(header::CONTENT_DISPOSITION, disposition);
        }
        response.extensions_mut().insert(self.blob);
        response
    }
}

/// A file to be shown where it is: on a page, or by itself.
#[derive(Clone, Debug)]
pub struct File {
    /// The content.
    pub blob: BlobRef,
    /// Its media type.
    pub media_type: &'static str,
}

impl IntoResponse for File {
    fn into_response(self) -> Response {
        let mut response = StatusCode::OK.into_response();
        let content_type = HeaderValue::from_static(self.media_type);
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response.extensions_mut().insert(self.blob);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_other_header() {
        let blob = BlobRef { key: "a".to_owned(), bytes: 1, sha256: [0; 32] };
        let name = "a\"; filename=\"b.exe\r\nSet-Cookie: x".to_owned();
        let answer = Attachment { blob, media_type: "application/zip", name }.into_response();
        let disposition = answer.headers()[header::CONTENT_DISPOSITION].to_str().unwrap();
        assert_eq!(disposition, "attachment; filename=\"afilenameb.exeSet-Cookiex\"");
    }
}
