//! Accounts, sessions and tokens.
//!
//! ```text
//! auth
//! ├── keeper, writer, relay, janitor   (kernel)
//! ├── token_keeper      holds the keys that sign access tokens, and changes them
//! ├── mailer            delivers mails
//! ├── exporter          puts together what there is of people, for themselves
//! ├── setup             makes the first administrator's link, once per installation
//! └── serving           (kernel)
//! ```
//!
//! | what fails | what it costs |
//! |---|---|
//! | `token_keeper` | logins and refreshes answer 503 until it has read the keys again; tokens in use stay good |
//! | `mailer`, or the mail server | mails wait in the database and come later, for three days |
//! | `exporter`, or a service that it asks | what was asked for comes later; another node takes over what one that died was at |
//! | `setup` | the link is printed a moment later |
//! | Redis | each node counts wrong passwords for itself |
//! | more logins come than `hashing` takes | they answer 503 at once; everything else goes on |
//! | the database | logins answer 503; signed-in people go on with the tokens they have |

mod api;
mod breaches;
mod carried;
mod config;
mod error;
mod events;
mod export;
mod federation;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hashing;
mod heard;
mod mail;
mod pages;
mod passkeys;
mod provision;
mod rotation;
mod rules;
mod setup;
mod store;
mod supervisor;
mod throttle;
mod token_keeper;
mod tokens;

pub use config::AuthConfig;
pub use error::AuthError;
pub use provision::{ImportedAccount, NewAccount, create_account, import_account};
pub use rotation::{Retired, Rotation, rotate_signing_key};
pub use supervisor::{SERVICE, migrations};
