//! The environment as a layer: `PANEL_<SECTION>__<KEY>`, and the two names everybody uses.

use serde_json::Value;

use super::layers::{ConfigError, Layers};

const PREFIX: &str = "PANEL_";
/// Names that other tools set, and the keys they stand for. Ours come later and win.
const COMMON: [(&str, &str); 2] = [("DATABASE_URL", "database.url"), ("REDIS_URL", "redis.url")];

/// Keys that are lists, and may be written with commas as on the command line.
const LISTS: [&str; 6] = [
    "node.roles",
    "gateway.cors.origins",
    "gateway.tls.acme.names",
    "gateway.proxies.trusted",
    "cluster.seeds",
    "faults.arm",
];

/// Lays the environment over what is there.
pub(super) fn read(layers: &mut Layers) -> Result<(), ConfigError> {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    let variables: Vec<_> = std::env::vars_os().collect();
    let mut own = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        let common = COMMON.iter().find(|(common, _)| *common == name);
        let key = name.strip_prefix(PREFIX).filter(|rest| rest.contains("__"));
        if common.is_none() && key.is_none() {
            continue;
        }
        let value =
            value.into_string().map_err(|_| ConfigError::plain(format!("{name} is not UTF-8")))?;
        if let Some((_, key)) = common {
            layers.set(name, key, Value::String(value));
        } else if let Some(key) = key {
            own.push((name.to_owned(), key.to_lowercase().replace("__", "."), value));
        }
    }
    for (name, key, value) in own {
        layers.set(&name, &key, parse(&key, &value));
    }
    Ok(())
}

/// How keys end that are texts whatever they look like: what others have called things, and secrets.
const TEXTS: [&str; 10] = [
    "url",
    "node.name",
    ".zone",
    ".token",
    ".eab_key",
    ".eab_key_id",
    ".access_key_id",
    ".client_id",
    "secret",
    ".secret_access_key",
];

/// A value as TOML would read it, where it can; else a text.
fn parse(key: &str, text: &str) -> Value {
    if TEXTS.iter().any(|end| key.ends_with(end)) || key.contains("per_service") {
        return Value::String(text.to_owned());
    }
    if LISTS.contains(&key) && !text.trim_start().starts_with('[') {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        return items.map(Value::from).collect();
    }
    let read = toml::from_str::<serde_json::Map<String, Value>>(&format!("value = {text}"));
    match read.ok().and_then(|mut table| table.remove("value")) {
        Some(value) => value,
        None => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_in_the_file() {
        assert_eq!(parse("limits.enabled", "false"), Value::Bool(false));
        assert_eq!(parse("gateway.max_connections", "5"), Value::from(5));
        assert_eq!(parse("gateway.head_timeout", "5s"), Value::from("5s"));
        assert_eq!(parse("node.roles", r#"["gateway"]"#), serde_json::json!(["gateway"]));
        assert_eq!(parse("node.roles", "gateway, forum"), serde_json::json!(["gateway", "forum"]));
        assert_eq!(parse("faults.arm", ""), serde_json::json!([]));
        assert_eq!(parse("node.name", "7"), Value::from("7"));
        for text in [
            "gateway.cdn.zone",
            "gateway.cdn.token",
            "gateway.tls.acme.eab_key_id",
            "gateway.tls.acme.eab_key",
            "blobs.access_key_id",
            "blobs.secret_access_key",
            "auth.providers.company.client_secret",
        ] {
            assert_eq!(parse(text, "1e5"), Value::from("1e5"), "{text}");
        }
        assert_eq!(parse("node.data_dir", "/a b"), Value::from("/a b"));
        assert_eq!(parse("log.level", "x\ny = 1"), Value::from("x\ny = 1"));
    }
}
