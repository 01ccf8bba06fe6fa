//! Who is at the other end: the peer, or, if that is a proxy of ours, whoever it says it speaks
//! for.

use std::net::IpAddr;

use http::HeaderMap;

/// The header that proxies append the address they were asked from to.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address: of all that were passed on the way, the last that is not one of the
/// `trusted`. What stands before that is the client's own word, and worth nothing.
pub(super) fn address(headers: &HeaderMap, peer: IpAddr, trusted: &[IpAddr]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.contains(&address.to_canonical());
    let mut client = peer;
    let fields = headers.get_all(FORWARDED_FOR).iter().rev();
    let passed = fields.flat_map(|field| {
        // A field that is no text says nothing; an empty entry ends the search there.
        field.to_str().unwrap_or_default().rsplit(',')
    });
    for entry in passed {
        if !is_trusted(&client) {
            break;
        }
        let Ok(address) = entry.trim().parse::<IpAddr>() else { break };
        client = address;
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(fields: &[&str], peer: &str, trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(FORWARDED_FOR, field.parse().unwrap());
        }
        let trusted: Vec<IpAddr> = trusted.iter().map(|one| one.parse().unwrap()).collect();
        address(&headers, peer.parse().unwrap(), &trusted).to_string()
    }

    #[test]
    fn only_proxies_of_ours_are_believed() {
        assert_eq!(seen(&["192.0.2.9"], "127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(seen(&["192.0.2.9"], "127.0.0.1", &["127.0.0.1"]), "192.0.2.9");
        assert_eq!(seen(&["192.0.2.9"], "::ffff:127.0.0.1", &["127.0.0.1"]), "192.0.2.9");
        assert_eq!(seen(&["192.0.2.9"], "198.51.100.7", &["127.0.0.1"]), "198.51.100.7");
        assert_eq!(seen(&[], "127.0.0.1", &["127.0.0.1"]), "127.0.0.1");
    }

    #[test]
    fn what_the_client_says_of_itself_counts_for_nothing() {
        let trusted = ["127.0.0.1", "10.0.0.1"];
        assert_eq!(seen(&["1.2.3.4, 192.0.2.9"], "127.0.0.1", &trusted), "192.0.2.9");
        assert_eq!(seen(&["1.2.3.4", "192.0.2.9, 10.0.0.1"], "127.0.0.1", &trusted), "192.0.2.9");
        for odd in ["nonsense", "", "1.2.3.4:80", "1.2.3.4, nonsense"] {
            assert_eq!(seen(&[odd], "127.0.0.1", &trusted), "127.0.0.1", "{odd:?}");
        }
    }
}
