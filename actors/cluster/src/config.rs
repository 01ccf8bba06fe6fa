//! The `[cluster]` section.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use panel_kernel::config::BadValue;
use serde::{Deserialize, Serialize};

/// How this node is linked with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// The cluster's name: nodes of another cluster are refused, should their certificates ever
    /// be of the same authority.
    pub name: String,
    /// Where other nodes connect, `HOST:PORT`. Empty, and no seeds: no cluster.
    pub listen: String,
    /// The address other nodes are told to connect to; from `listen` if empty.
    pub advertise: String,
    /// Nodes to begin with, `HOST:PORT`. One that is up is enough; the others are learnt.
    pub seeds: Vec<String>,
    /// Where the node's certificate, its key, the authority and the cluster key lie.
    pub tls_dir: PathBuf,
    /// Links without TLS, for measurements. Loopback addresses only.
    pub plaintext: bool,
    /// Bytes that may be on their way to one node.
    pub link_bytes: usize,
    /// Requests this node may have in flight at one member of a service.
    pub member_in_flight: usize,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            name: "panel".to_owned(),
            listen: String::new(),
            advertise: String::new(),
            seeds: Vec::new(),
            tls_dir: PathBuf::new(),
            plaintext: false,
            link_bytes: 16 * 1024 * 1024,
            member_in_flight: panel_kernel::directory::IN_FLIGHT,
        }
    }
}

/// Where a node that has seeds but was not told where to listen does so: on any free port.
const ANYWHERE: &str = "127.0.0.1:0";

impl ClusterConfig {
    /// Whether this node is to be linked with others.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !self.listen.is_empty() || !self.seeds.is_empty()
    }

    /// Where to listen.
    #[must_use]
    pub fn listen_address(&self) -> &str {
        if self.listen.is_empty() { ANYWHERE } else { &self.listen }
    }

    /// Checks the values against each other.
    ///
    /// # Errors
    /// [`BadValue`] names the key and the reason.
    pub fn checked(self) -> Result<Self, BadValue> {
        let bad =
            |key: &str, reason: String| Err(BadValue { key: format!("cluster.{key}"), reason });
        if !(1..=64).contains(&self.name.len()) || self.name.chars().any(char::is_control) {
            return bad("name", format!("{:?} must be 1 to 64 printable characters", self.name));
        }
        if !(1024 * 1024..=1024 * 1024 * 1024).contains(&self.link_bytes) {
            return bad("link_bytes", "must be between 1 MiB and 1 GiB".to_owned());
        }
        if !(1..=65_536).contains(&self.member_in_flight) {
            return bad("member_in_flight", "must be between 1 and 65536".to_owned());
        }
        let advertised = [("advertise", &self.advertise)];
        let seeds = self.seeds.iter().map(|seed| ("seeds", seed));
        for (key, address) in advertised.into_iter().chain(seeds) {
            if !address.is_empty() && !is_address(address) {
                return bad(key, format!("{address:?} is not HOST:PORT"));
            }
        }
        if !self.is_wanted() {
            return Ok(self);
        }
        let Ok(listen) = self.listen_address().parse::<SocketAddr>() else {
            return bad("listen", format!("{:?} is not ADDRESS:PORT", self.listen));
        };
        if self.advertise.is_empty() && listen.ip().is_unspecified() {
            let reason = format!(
                "{listen} is no address that other nodes can connect to; say which one with \
                 --advertise HOST:PORT"
            );
            return bad("advertise", reason);
        }
        if !self.plaintext
            && self.advertise.is_empty()
            && listen.ip().is_loopback()
            && let Some(seed) = self.seeds.iter().find(|seed| is_elsewhere(seed))
        {
            let reason = format!(
                "{listen} is for this machine alone, and {seed} is on another: say with \
                 --cluster-listen where other nodes reach this one"
            );
            return bad("listen", reason);
        }
        if self.plaintext {
            let outside =
                std::iter::once(self.listen_address()).chain(self.seeds.iter().map(String::as_str));
            for address in outside {
                if !address.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback()) {
                    let reason = format!("{address} is not a loopback address");
                    return bad("plaintext", reason);
                }
            }
        } else if self.tls_dir.as_os_str().is_empty() {
            let reason = "nodes know each other by certificates: make them with `panel-node certs \
                          init` and `panel-node certs issue`, and name their directory with \
                          --tls-dir";
            return bad("tls_dir", reason.to_owned());
        }
        Ok(self)
    }
}

/// Whether it is `HOST:PORT`, the host a name or an address.
fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

/// Whether `HOST:PORT` is on another machine, as far as its text says.
fn is_elsewhere(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => !ip.is_loopback(),
        Err(_) => host != "localhost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_on_another_machine_must_be_able_to_come_back() {
        for seed in ["n1.internal:5700", "10.0.0.1:5700", "[fd00::1]:5700"] {
            let told = config(|config| config.seeds = vec![seed.to_owned()]).unwrap_err();
            assert!(told.contains("--cluster-listen") && told.contains(seed), "{told}");
            config(|config| {
                config.seeds = vec![seed.to_owned()];
                config.listen = "10.0.0.2:5700".to_owned();
            })
            .unwrap();
        }
        for seed in ["localhost:5700", "127.0.0.7:5700", "[::1]:5700"] {
            config(|config| config.seeds = vec![seed.to_owned()]).unwrap();
        }
    }

    fn config(change: impl FnOnce(&mut ClusterConfig)) -> Result<ClusterConfig, String> {
        let mut config = ClusterConfig { tls_dir: "tls".into(), ..ClusterConfig::default() };
        change(&mut config);
        config.checked().map_err(|error| error.to_string())
    }

    #[test]
    fn a_node_by_itself_needs_nothing() {
        assert!(!ClusterConfig::default().checked().unwrap().is_wanted());
    }

    #[test]
    fn what_cannot_work_is_refused_in_a_sentence() {
        let listen = |address: &str| config(|config| config.listen = address.to_owned());
        assert!(listen("127.0.0.1:5700").unwrap().is_wanted());
        assert!(listen("here").unwrap_err().contains("ADDRESS:PORT"));
        assert!(listen("0.0.0.0:5700").unwrap_err().contains("--advertise"));
        let seed = |address: &str| config(|config| config.seeds.push(address.to_owned()));
        assert!(seed("localhost:5700").is_ok());
        for bad in ["n2", "n2:", ":5700", "n2:0", "n2:99999"] {
            assert!(seed(bad).unwrap_err().contains("HOST:PORT"), "{bad}");
        }
        let unsafe_one = |seed: &str| {
            config(|config| {
                config.plaintext = true;
                config.seeds.push(seed.to_owned());
            })
        };
        assert!(unsafe_one("127.0.0.1:5700").is_ok());
        assert!(unsafe_one("10.0.0.1:5700").unwrap_err().contains("loopback"));
        let no_tls = config(|config| {
            config.listen = "127.0.0.1:5700".to_owned();
            config.tls_dir = PathBuf::new();
        });
        assert!(no_tls.unwrap_err().contains("certs init"));
    }
}
