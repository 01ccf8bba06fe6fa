//! The command line beside a running node.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::Node;
use crate::session::{PASSWORD, Session, email};

/// For a command to end.
const COMMAND: Duration = Duration::from_secs(60);

impl Node {
    /// Runs another command of the program beside it, against the same data.
    pub async fn cli(&self, arguments: &[&str]) -> Output {
        self.cli_with_input(arguments, "").await
    }

    /// The same, with something on its standard input.
    pub async fn cli_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let command = self.plan.command(self.directory.path(), arguments);
        run_to_end(command, input).await
    }

    /// The same, killed where it stands after so long; `None` if it was.
    pub async fn cli_cut_off(&self, arguments: &[&str], after: Duration) -> Option<Output> {
        let mut command = self.plan.command(self.directory.path(), arguments);
        crate::process::mark(&mut command);
        let mut command = tokio::process::Command::from(command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.kill_on_drop(true).spawn().unwrap();
        tokio::time::timeout(after, child.wait_with_output()).await.ok().map(Result::unwrap)
    }

    /// Makes an account from the command line, and signs it in.
    pub async fn account(&self, username: &str, role: &str) -> Session {
        let email = email(username);
        let arguments = ["admin", "create", "--username", username, "--email", &email];
        let role = ["--role", role, "--password-stdin"];
        let made = self.cli_with_input(&[&arguments[..], &role].concat(), PASSWORD).await;
        assert!(made.status.success(), "{made:?}");
        Session::login(&self.client(), username, PASSWORD).await
    }

    /// A new system administrator, signed in.
    pub async fn admin(&self, username: &str) -> Session {
        self.account(username, "system_admin").await
    }
}

/// Runs it with `input`, and waits until it has ended.
pub(super) async fn run_to_end(mut command: Command, input: &str) -> Output {
    crate::process::mark(&mut command);
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that does not read its input may have ended already.
    drop(stdin.write_all(input.as_bytes()).await);
    drop(stdin);
    let ended = tokio::time::timeout(COMMAND, child.wait_with_output()).await;
    ended.expect("the command ends in time").unwrap()
}
