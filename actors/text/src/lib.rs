//! What people write: as it is shown, compared, searched and named in addresses. No I/O, and no service's noun.
//!
//! | module | |
//! |---|---|
//! | [`markdown`] | Markdown to HTML that is safe to show |
//! | [`rendering`] | where that is done: long texts off the async threads |
//! | [`diff`] | what changed from one text to another |
//! | [`tokens`] | the words of a text, for searching |
//! | [`fulltext`] | the same, and what is looked for, as databases read them |
//! | [`asked`] | what people look for, checked |
//! | [`excerpt`] | a piece of a text around the words that were looked for |
//! | [`feed`] | what is new, for programs that gather it |
//! | [`names`] | slugs and tags: texts in addresses |
//! | [`html`] | text in HTML and XML |
//!
//! Services that have texts stand on it as on the kernel, which has none.

pub mod asked;
pub mod diff;
pub mod excerpt;
pub mod feed;
pub mod fulltext;
pub mod html;
pub mod markdown;
pub mod names;
pub mod rendering;
pub mod tokens;
