//! `panel-node admin create`: works beside a running node, and without one.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use panel_auth::{AuthConfig, NewAccount};
use panel_kernel::config::Section;
use panel_kernel::data::WriteContext;
use panel_kernel::problem::Kind;
use panel_kernel::time::Clock;

use super::{accounts, brief_runtime, say};
use crate::Failure;
use crate::cli::CreateArgs;
use crate::config::Config;

/// What a node does for its clients when a database is not there for a moment, a command does for itself.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

pub(super) fn create(args: &CreateArgs) -> Result<(), Failure> {
    let config = Config::load_common(&args.common)?;
    crate::lock::make_private_dir(&config.node.data_dir).map_err(Failure::other)?;
    let password = read_password(args.password_stdin)?;
    let auth = config.section(panel_auth::SERVICE.name);
    let account = NewAccount {
        username: args.username.clone(),
        email: args.email.clone(),
        password,
        role: args.role,
    };
    brief_runtime()?.block_on(make(&config, &auth, account))?;
    say(format_args!("{} is now {} of this installation.", args.username, args.role));
    Ok(())
}

async fn make(config: &Config, auth: &Section, account: NewAccount) -> Result<(), Failure> {
    let auth = AuthConfig::parse(auth).map_err(|error| Failure::Usage(error.to_string()))?;
    let context = WriteContext::internal("command line", Clock::system().now());
    let mut tries = 0;
    let made = loop {
        let db = accounts::open(config).await?;
        let made = panel_auth::create_account(&db, &auth, account.clone(), &context).await;
        db.give_back().await;
        tries += 1;
        match made {
            // On a busy machine PostgreSQL may have ended the transaction: it waits for nobody.
            Err(problem) if problem.kind == Kind::Unavailable && tries < TRIES => {
                tokio::time::sleep(PAUSE).await;
            }
            made => break made,
        }
    };
    made.map_err(|problem| {
        let fields: Vec<String> = problem
            .errors
            .iter()
            .map(|error| format!("--{} {}", error.field.replace('_', "-"), error.message))
            .collect();
        if fields.is_empty() {
            Failure::Other(problem.detail)
        } else {
            Failure::Other(fields.join("; "))
        }
    })
}

fn read_password(from_stdin: bool) -> Result<String, Failure> {
    let mut line = String::new();
    if !from_stdin {
        if !std::io::stdin().is_terminal() {
            let hint = "give the password on standard input with --password-stdin";
            return Err(Failure::Usage(hint.to_owned()));
        }
        drop(write!(std::io::stderr(), "Password (it will be visible): "));
    }
    std::io::stdin().lock().read_line(&mut line).map_err(Failure::other)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
