//! A PostgreSQL server for tests: the one `PANEL_TEST_POSTGRES` names, else a private one.
//!
//! Beside the private server waits a guard, which stops it and removes its files when the test process ends: nothing
//! is left behind, also after a `kill -9`.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use panel_kernel::ids::random_hex;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::guard::{Guard, Spawn};
use crate::port::Port;
use crate::process::Process;

/// The base URL of a server to use, such as `postgres://panel@127.0.0.1:5432`.
const GIVEN: &str = "PANEL_TEST_POSTGRES";
/// For initdb and the first start together.
const START: Duration = Duration::from_secs(60);

/// Between two looks at a server that starts or stops.
const PAUSE: Duration = Duration::from_millis(10);

/// Makes and runs the server, and does as it is told on its standard input; when that ends, with
/// the test process, it ends the server and removes its files. `$1` is the directory, `$2` the
/// port, `$3` the directory of the programs.
const GUARD: &str = r#"
exec 3<&0 </dev/null >>"$1/log" 2>&1
"$3/initdb" -D "$1/data" -U panel --auth=trust --no-sync --no-locale -E UTF8 || exit 1
start() {
    "$3/postgres" -D "$1/data" -p "$2" -k "$1" -c listen_addresses=127.0.0.1 \
        -c fsync=off -c full_page_writes=off -c max_connections=300 3<&- &
    server=$!
}
start "$@"
while read -r order <&3; do
    case $order in
        start) start "$@" ;;
        *) kill -"$order" "$server" && wait "$server" ;;
    esac
done
kill -QUIT "$server" && wait "$server"
rm -rf "$1"
"#;

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    private: Option<Private>,
}

/// What is ours of a server of our own.
#[derive(Debug)]
struct Private {
    guard: Guard,
    directory: PathBuf,
    _port: Port,
}

impl Postgres {
    /// The server of this process, started when it is first asked for.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var(GIVEN) {
            Ok(url) if !url.is_empty() => {
                Self { url: url.trim_end_matches('/').to_owned(), private: None }
            }
            _ => Self::start_somewhere(Process::spawn_shared),
        })
    }

    /// A server of the caller's own, to be broken without a harm to other tests.
    #[must_use]
    pub fn private() -> Self {
        Self::start_somewhere(Process::spawn)
    }

    fn start_somewhere(spawn: Spawn) -> Self {
        let port = Port::reserve();
        let directory = tempfile::Builder::new().prefix("panel-pg-").tempdir().unwrap().keep();
        // PostgreSQL refuses to be root.
        let owner = owner();
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(&directory, Some(uid), Some(gid)).unwrap();
        }
        let mut start = Guard::start(GUARD, "PostgreSQL", START);
        if let Some((uid, gid)) = owner {
            start.command.uid(uid).gid(gid);
        }
        start.command.arg(&directory).arg(port.number().to_string()).arg(programs());
        let guard = start.spawn(spawn);
        let url = format!("postgres://panel@{}", port.address());
        let mut private = Private { guard, directory, _port: port };
        if let Err(log) = private.await_ready() {
            panic!("PostgreSQL does not start:\n{log}");
        }
        Self { url, private: Some(private) }
    }

    /// Stops the server, as its service manager would: every session is cut. Returns when it is
    /// gone.
    pub fn stop(&mut self) {
        let private = self.tell("INT");
        let deadline = Instant::now() + START;
        while private.pid_file().exists() {
            assert!(Instant::now() < deadline, "PostgreSQL does not stop:\n{}", private.log());
            std::thread::sleep(PAUSE);
        }
    }

    /// Starts the server again, with what it had, at the same address.
    pub fn start(&mut self) {
        let private = self.tell("start");
        if let Err(log) = private.await_ready() {
            panic!("PostgreSQL does not start again:\n{log}");
        }
    }

    fn tell(&mut self, order: &str) -> &mut Private {
        let private = self.private.as_mut().expect("a server of one's own");
        private.guard.order(order);
        private
    }

    /// The base URL: add a slash and a database's name.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An empty database of its own, removed when it is dropped.
    pub async fn fresh_database(&self) -> FreshDatabase {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("panel_{}_{count}_{}", std::process::id(), &random_hex()[..8]);
        run(&self.url, format!("CREATE DATABASE {name} TEMPLATE template0"))
            .await
            .unwrap_or_else(|error| panic!("can't make a database on {}: {error}", self.url));
        FreshDatabase {
            url: format!("{}/{name}", self.url),
            // A private server goes with all its databases.
            server: self.private.is_none().then(|| self.url.clone()),
            name,
        }
    }
}

impl Private {
    fn pid_file(&self) -> PathBuf {
        self.directory.join("data/postmaster.pid")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Waits until the server says in its own pid file that it takes connections; gives its log
    /// if it ends instead.
    fn await_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START;
        loop {
            let state = std::fs::read_to_string(self.pid_file()).unwrap_or_default();
            if state.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            let ended = self.guard.ended().is_some()
                || self.log().contains("could not create any TCP/IP sockets");
            if ended || Instant::now() > deadline {
                return Err(self.log());
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// The directory of `initdb` and `postgres`: the newest under Debian's, else the one in `PATH`.
fn programs() -> PathBuf {
    let newest = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
        .max_by_key(|bin| {
            let version = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
            version.and_then(|version| version.parse::<u32>().ok()).unwrap_or(0)
        });
    let in_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|bin| bin.join("initdb").exists())
    };
    newest.or_else(in_path).unwrap_or_else(|| {
        panic!("there is no PostgreSQL: install it, or name a server in {GIVEN}")
    })
}

/// Whom the server runs as, if not as ourselves.
fn owner() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() != 0) {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
    let fields: Vec<&str> = accounts
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields[0] == "postgres")
        .expect("PostgreSQL can't run as root, and there is no account `postgres`");
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

/// A database on a server.
#[derive(Debug)]
pub struct FreshDatabase {
    name: String,
    url: String,
    server: Option<String>,
}

impl FreshDatabase {
    /// Its whole URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same database, for another role.
    #[must_use]
    pub fn for_role(mut self, role: &str) -> Self {
        self.url = self.url.replacen("//panel@", &format!("//{role}@"), 1);
        self
    }
}

impl Drop for FreshDatabase {
    fn drop(&mut self) {
        let Some(server) = self.server.take() else { return };
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A drop can't wait on the test's runtime, so it has one of its own.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(run(&server, statement))
        });
        if let Ok(Err(error)) = dropping.join() {
            eprintln!("{} is left behind: {error}", self.name);
        }
    }
}

async fn run(server: &str, statement: String) -> Result<(), sqlx::Error> {
    let mut conn = PgConnection::connect(&format!("{server}/postgres")).await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut conn).await?;
    conn.close().await
}
