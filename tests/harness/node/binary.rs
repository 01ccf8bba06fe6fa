//! Finds the program under test.

use std::path::PathBuf;

/// Names the program, if it is not where cargo puts it.
const GIVEN: &str = "PANEL_NODE_BIN";

/// The program: the one `PANEL_NODE_BIN` names, else the one of the same build as the test.
pub(super) fn path() -> PathBuf {
    if let Some(given) = std::env::var_os(GIVEN) {
        let given = PathBuf::from(given);
        assert!(given.is_file(), "{GIVEN} names {}, which is not there", given.display());
        return given;
    }
    let test = std::env::current_exe().unwrap();
    // A test lies in `deps`, below the program; a benchmark or example may lie beside it.
    let found = test.ancestors().skip(1).take(3).map(|directory| directory.join("panel-node"));
    found.into_iter().find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "there is no panel-node near {}: run `cargo build -p panel-node` first, or name the \
             program in {GIVEN}",
            test.display()
        )
    })
}
