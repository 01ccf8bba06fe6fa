//! Articles: posts of the blog, and pages that stand by themselves.
//!
//! ```text
//! cms                       the kernel's tree of a service (keeper, writer, relay, …), and in it:
//! ├── scheduler             publishes what is scheduled, when its time has come
//! ├── search_indexer        indexes what is published
//! ├── media                 makes pictures of files that are sent (`media`)
//! ├── webhooks              tells servers of others what becomes of articles (`webhooks`)
//! └── serving               runs the routes of `api`
//! ```
//!
//! What fails, and what it costs:
//!
//! - the **scheduler** ends: what is due is published by another node, or as soon as it is back; once in any case.
//! - the **`search_indexer`** ends: articles are found a moment later.
//! - **media**, **webhooks**: see there; articles do without.
//! - the **forum** is down, or hangs: articles are read without what is said about them, and nobody says anything.
//! - **auth** is down: nothing. Names of authors are kept with what they wrote, up to date by auth's facts.
//! - everything else is as in every service (`panel_kernel::service`).
//!
//! | file | |
//! |---|---|
//! | `api` | routes: parse, decide by `rules`, write by `store`, answer |
//! | `pages`, `templates/` | what people read without a program of their own, and what programs read |
//! | `comments` | what is said about articles: the forum is asked |
//! | `media` | what is made of pictures: the actors, and the way of one picture |
//! | `webhooks` | what others are told: the actors, and the way of one delivery |
//! | `rules` | who may do what, where a step leads, what a valid field is, what a clock shows; no I/O |
//! | `redirecting` | having an address lead elsewhere |
//! | `settling` | what follows from what becomes of an article: what it makes old, what is told of it |
//! | `store` | the only SQL |
//! | `texts` | what becomes of the HTML of a text before it is stored |
//! | `transfer` | all of it into a file, and from one, and from files of others |
//! | `tags` | by which public answers are made old |
//! | `events` | facts published; auth's facts taken in |

mod api;
mod comments;
mod config;
mod events;
mod media;
mod pages;
mod redirecting;
mod rules;
mod scheduler;
mod search_indexer;
mod settling;
mod store;
mod supervisor;
mod tags;
mod texts;
pub mod transfer;
mod webhooks;

pub use config::CmsConfig;
pub use supervisor::{SERVICE, migrations};
