//! Makes the one-time link with which the first administrator is made, and says where it is.
//! The first account is never made by being the first to register.
//!
//! Failure: the link is made a moment later, and replaces one that was half made.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use panel_kernel::data::{Database, DbError};
use panel_kernel::keys::write_private;
use panel_kernel::service::Runtime;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use crate::error::AuthError;
use crate::store::{setup, users};
use crate::tokens::OneTime;

/// Until the database is there.
const LOOK: Duration = Duration::from_millis(100);
/// Another node's link is replaced when it is this old: that node may be gone for good.
const STALE: Duration = Duration::from_secs(3_600);

/// What it is told.
#[derive(Debug, RactorMessage)]
pub(crate) enum SetupMessage {
    /// Time to see whether a link is wanted. A tick.
    Look,
}

/// Makes the link.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) db: Database,
    pub(crate) runtime: Runtime,
}

impl Actor for Setup {
    type Msg = SetupMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<SetupMessage>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        myself.send_message(SetupMessage::Look)?;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<SetupMessage>,
        SetupMessage::Look: SetupMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match self.look().await {
            Ok(()) => {}
            Err(AuthError::Database(error)) if error.is_outage() => {
                drop(myself.send_after(LOOK, || SetupMessage::Look));
            }
            Err(error) => return Err(error.to_string().into()),
        }
        Ok(())
    }
}

impl Setup {
    async fn look(&self) -> Result<(), AuthError> {
        if users::any_administrator(&mut self.db.reader().await?).await? {
            // A link from an earlier start is of no use any more.
            drop(std::fs::remove_file(self.file()));
            return Ok(());
        }
        let token = OneTime::generate();
        let (hash, node) = (token.hash, self.runtime.node.name.clone());
        let now = self.db.clock().now();
        let claimed: Result<bool, DbError> = self
            .db
            .transact(move |tx| {
                Box::pin(async move { setup::claim(tx, hash, &node, now, now.minus(STALE)).await })
            })
            .await;
        if claimed? {
            self.announce(&token.text)
        } else {
            tracing::info!("the link for the first administrator was made by another node");
            Ok(())
        }
    }

    fn file(&self) -> PathBuf {
        self.runtime.data_dir.join("setup-link")
    }

    /// The token is behind the `#`, which browsers keep to themselves: it appears in no log.
    fn announce(&self, token: &str) -> Result<(), AuthError> {
        let link = format!("{}/setup#{token}", self.runtime.public_url);
        let mut terminal = std::io::stdout();
        if terminal.is_terminal() {
            let text = format!(
                "\n  There is no administrator yet. Make the first one here, once:\n\n    \
                 {link}\n\n  or with: panel-node admin create --username NAME --email ADDRESS\n"
            );
            return writeln!(terminal, "{text}").map_err(|error| failed(&error));
        }
        let file = self.file();
        write_private(&file, format!("{link}\n").as_bytes()).map_err(|error| failed(&error))?;
        tracing::info!(
            file = %file.display(),
            "there is no administrator yet: the link in this file makes the first one, \
             or run `panel-node admin create`"
        );
        Ok(())
    }
}

fn failed(error: &std::io::Error) -> AuthError {
    AuthError::Crypto(format!("the setup link can't be shown: {error}"))
}
