//! The socket's file.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the node `name` of this data directory listens for commands.
pub(super) fn path(data_dir: &Path, name: &str) -> PathBuf {
    data_dir.join("run").join(format!("{name}.sock"))
}

/// The listening socket; its file goes with it.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: Arc<UnixListener>,
    path: PathBuf,
}

impl ControlSocket {
    /// Opens it. Only under the lock of the node's name: a file that is there is then left over
    /// from a life that was killed. A node goes on without one, and says so in its log: commands
    /// can't reach it, everything else works.
    pub(crate) fn open(data_dir: &Path, name: &str) -> Option<Self> {
        let path = path(data_dir, name);
        match listen(&path) {
            Ok(listener) => Some(Self { listener: Arc::new(listener), path }),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "no control socket");
                None
            }
        }
    }

    pub(super) fn listener(&self) -> Arc<UnixListener> {
        Arc::clone(&self.listener)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // The next life removes what this one can't.
        drop(std::fs::remove_file(&self.path));
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    // Until here whoever can look into the directory could connect; the server asks each peer for
    // its account as well.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_is_replaced_and_nobody_else_can_open_it() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("run")).unwrap();
        let file = path(directory.path(), "n1");
        std::fs::write(&file, "left over").unwrap();
        let socket = ControlSocket::open(directory.path(), "n1").unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        drop(socket);
        assert!(!file.exists());
    }

    #[test]
    fn a_path_that_is_too_long_means_no_socket() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(100));
        std::fs::create_dir_all(deep.join("run")).unwrap();
        assert!(ControlSocket::open(&deep, "n1").is_none());
    }
}
