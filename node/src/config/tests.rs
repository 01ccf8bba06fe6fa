//! What an operator relies on: precedence, and refusals that name file, key and reason.

use super::*;

fn layered(file: &str, flags: &RunArgs) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.toml");
    std::fs::write(&path, file).unwrap();
    let mut layers = Layers::new();
    layers.file(&path)?;
    layers.set("PANEL_GATEWAY__MAX_CONNECTIONS", "gateway.max_connections", 7.into());
    super::flags(&mut layers, flags)?;
    Config::from_layers(&layers)
}

fn refusal(file: &str) -> String {
    layered(file, &RunArgs::default()).unwrap_err().to_string()
}

#[test]
fn flags_over_environment_over_file_over_defaults() {
    let flags = RunArgs { name: Some("n9".into()), ..RunArgs::default() };
    let file = "[node]\nname = 'n2'\nlisten = '127.0.0.1:1'\n[gateway]\nmax_connections = 3\n\
                max_uri_bytes = 1000\n";
    let config = layered(file, &flags).unwrap();
    assert_eq!(config.node.name, "n9");
    assert_eq!(config.gateway.max_connections, 7);
    assert_eq!(config.gateway.max_uri_bytes, 1_000);
    assert_eq!(config.node.listen.port(), 1);
    assert_eq!(config.node.ops_listen.port(), 5_900);
}

#[test]
fn refusals_name_file_key_and_reason() {
    for (file, parts) in [
        ("[nodes]\n", &["p.toml", "nodes", "no such section"][..]),
        ("[node]\nnmae = 'x'\n", &["p.toml", "node.nmae", "unknown field"]),
        ("[node]\nlisten = 'x'\n", &["p.toml", "node.listen", "socket address"]),
        ("[auth.pool]\nworkers = 0\n", &["p.toml", "auth.pool.workers", "between 1 and 1024"]),
        (
            "[auth]\nsession_life = '5 parsecs'\n",
            &["p.toml", "auth.session_life", "length of time"],
        ),
        ("[node]\nroles = ['king']\n", &["p.toml", "node.roles", "king"]),
        ("[database]\nurl = 'mysql://u:secret@h/d'\n", &["p.toml", "database.url", "[redacted]"]),
        ("[log]\nlevel = 'loud=x=y'\n", &["p.toml", "log.level"]),
        ("[gateway]\nmax_body_bytes = 0\n", &["p.toml", "gateway.max_body_bytes"]),
        ("[node\n", &["p.toml"]),
    ] {
        let text = refusal(file);
        for part in parts {
            assert!(text.contains(part), "{file:?} gave {text:?}, without {part:?}");
        }
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn what_is_shown_can_be_read_back_and_hides_secrets() {
    let file = "[database]\nurl = 'postgres://u:hunter2@h/d'\n[redis]\nurl = 'redis://:pw9@h'\n";
    let shown = layered(file, &RunArgs::default()).unwrap().show().unwrap();
    assert!(!shown.contains("hunter2") && !shown.contains("pw9"), "{shown}");
    layered(&shown, &RunArgs::default()).unwrap();
}

#[test]
fn service_ports_are_read_from_the_flag() {
    let with = |ports: &str| {
        let flags = RunArgs { service_ports: Some(ports.into()), ..RunArgs::default() };
        layered("", &flags)
    };
    let config = with("auth=0,forum=6002").unwrap();
    let port = |name: &str| {
        config.services.iter().find(|spec| spec.name == name).and_then(|s| config.service_port(s))
    };
    assert_eq!((port("auth"), port("forum"), port("cms")), (Some(0), Some(6_002), Some(5_003)));
    let config = with("off").unwrap();
    assert!(config.services.iter().all(|spec| config.service_port(spec).is_none()));
    assert!(with("auth").is_err() && with("auth=x").is_err() && with("king=1").is_err());
}
