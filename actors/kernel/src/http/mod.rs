//! What routes share: extractors that refuse with problems, pages, entity tags, what caches may
//! do.

mod cache_for;
pub mod etag;
mod extract;
mod file;
mod html;
mod page;
mod route_error;
mod sent;
mod stream;
mod upload;
pub mod validate;

pub(crate) use cache_for::Tags;
pub use cache_for::{CacheFor, tag_of};
pub use etag::IfMatch;
pub use extract::{Caller, IdPath, Params, Payload, Segments, SignedIn, Write, present};
pub use file::{Attachment, File};
pub use html::{Policy, Refused, page, page_for, refusal};
pub use page::{
    Listing, MAX_PAGE_BYTES, NewestFirst, PageQuery, PageRequest, json_bytes, last_that_fits,
};
pub use route_error::{Refusal, RouteError};
pub use sent::Sent;
pub use stream::EventStream;
pub(crate) use upload::Received;
pub use upload::Upload;
