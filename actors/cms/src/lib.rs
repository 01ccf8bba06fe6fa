//! Articles.
//!
//! ```text
//! cms
//! ├── keeper, writer, relay, janitor   (kernel)
//! └── serving                          (kernel)
//! ```
//!
//! This release reads: the public list of published articles. Its failure costs the blog and
//! nothing else.

mod api;
mod config;
mod events;
mod rules;
mod store;
mod supervisor;

pub use config::CmsConfig;
pub use supervisor::SERVICE;
