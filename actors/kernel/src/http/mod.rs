//! What routes share: extractors that refuse with problems, pages, entity tags.

pub mod etag;
mod extract;
mod page;
pub mod validate;

pub use etag::IfMatch;
pub use extract::{Caller, IdPath, Params, Payload, Write};
pub use page::{Listing, MAX_PAGE_BYTES, PageRequest};
