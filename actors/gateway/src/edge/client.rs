//! Who is at the other end: the peer, or, if that is a proxy of ours, whoever it says it speaks
//! for.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use crate::proxies::{ForwardedHeader, Proxies};

/// The header that proxies append the address they were asked from to.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// The same in the form of RFC 7239.
const FORWARDED: &str = "forwarded";

/// The client's address: of all that were passed on the way, the last that is not one of ours. What stands before
/// that is the client's own word, and worth nothing.
pub(super) fn address(headers: &HeaderMap, peer: IpAddr, proxies: &Proxies) -> IpAddr {
    if !proxies.contains(peer) {
        return peer;
    }
    match proxies.header {
        ForwardedHeader::XForwardedFor => {
            let fields = headers.get_all(FORWARDED_FOR).iter().rev();
            // A field that is no text says nothing; an empty entry ends the search there.
            let entries = fields.flat_map(|field| field.to_str().unwrap_or_default().rsplit(','));
            walk(entries.map(|entry| entry.trim().parse().ok()), peer, proxies)
        }
        ForwardedHeader::Forwarded => {
            let fields = headers.get_all(FORWARDED).iter().rev();
            let entries = fields.flat_map(|field| {
                let elements = unquoted(field.to_str().unwrap_or_default(), ',');
                elements.into_iter().rev().map(node)
            });
            walk(entries, peer, proxies)
        }
    }
}

/// From the last that was passed on to the first that is not one of ours.
fn walk(passed: impl Iterator<Item = Option<IpAddr>>, peer: IpAddr, proxies: &Proxies) -> IpAddr {
    let mut client = peer;
    for entry in passed {
        if !proxies.contains(client) {
            break;
        }
        let Some(address) = entry else { break };
        client = address;
    }
    client
}

/// The parts of a text between these, as far as they do not stand within quotes.
fn unquoted(text: &str, between: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = text.split(move |c: char| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match c {
            '\\' if is_quoted && !was_escaped => is_escaped = true,
            '"' if !was_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        c == between && !is_quoted
    });
    parts.collect()
}

/// For whom an element of `Forwarded` says that it was passed on (RFC 7239, 6); `None` for who hides, or what says
/// nothing.
fn node(element: &str) -> Option<IpAddr> {
    let pairs = unquoted(element, ';');
    let mut pairs = pairs.iter().filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let bare = value.strip_prefix('[').and_then(|value| value.strip_suffix(']')).unwrap_or(value);
    let address = bare.parse().ok();
    address.or_else(|| value.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by(name: &'static str, fields: &[&str], peer: &str, trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(name, field.parse().unwrap());
        }
        let header = match name {
            FORWARDED => ForwardedHeader::Forwarded,
            _ => ForwardedHeader::XForwardedFor,
        };
        let trusted = trusted.iter().map(|one| one.parse().unwrap()).collect();
        let proxies = Proxies { trusted, header };
        address(&headers, peer.parse().unwrap(), &proxies).to_string()
    }

    fn seen(fields: &[&str], peer: &str, trusted: &[&str]) -> String {
        by(FORWARDED_FOR, fields, peer, trusted)
    }

    #[test]
    fn only_proxies_of_ours_are_believed() {
        assert_eq!(seen(&["192.0.2.9"], "127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(seen(&["192.0.2.9"], "127.0.0.1", &["127.0.0.1"]), "192.0.2.9");
        assert_eq!(seen(&["192.0.2.9"], "::ffff:127.0.0.1", &["127.0.0.1"]), "192.0.2.9");
        assert_eq!(seen(&["192.0.2.9"], "198.51.100.7", &["127.0.0.1"]), "198.51.100.7");
        assert_eq!(seen(&[], "127.0.0.1", &["127.0.0.1"]), "127.0.0.1");
        let networks = ["10.0.0.0/8", "2001:db8::/32"];
        assert_eq!(seen(&["192.0.2.9, 10.9.9.9"], "2001:db8::7", &networks), "192.0.2.9");
        assert_eq!(seen(&["192.0.2.9, 11.9.9.9"], "10.1.2.3", &networks), "11.9.9.9");
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

    #[test]
    fn the_standard_form_is_read_where_it_is_asked_for() {
        let trusted = ["127.0.0.1", "10.0.0.1"];
        let seen = |fields: &[&str]| by(FORWARDED, fields, "127.0.0.1", &trusted);
        for (field, client) in [
            ("for=192.0.2.9", "192.0.2.9"),
            ("For=\"192.0.2.9:4711\";proto=https", "192.0.2.9"),
            ("proto=http; for=\"[2001:db8::17]:4711\" ;by=203.0.113.43", "2001:db8::17"),
            ("for=\"[2001:db8::17]\"", "2001:db8::17"),
            ("for=1.2.3.4, for=192.0.2.9;host=\"a, for=9.9.9.9\"", "192.0.2.9"),
            ("for=1.2.3.4;host=\"a\\\"b, for=9.9.9.9\", for=192.0.2.9, for=10.0.0.1", "192.0.2.9"),
            ("for=1.2.3.4, for=unknown", "127.0.0.1"),
            ("for=_hidden", "127.0.0.1"),
            ("for=1.2.3.4, proto=https", "127.0.0.1"),
            ("for=\"1.2.3.4", "127.0.0.1"),
            ("nonsense", "127.0.0.1"),
            ("", "127.0.0.1"),
        ] {
            assert_eq!(seen(&[field]), client, "{field}");
        }
        assert_eq!(seen(&["for=1.2.3.4", "for=192.0.2.9, for=10.0.0.1"]), "192.0.2.9");
        // The header that was not asked for is the client's own.
        assert_eq!(by("x-other", &["192.0.2.9"], "127.0.0.1", &trusted), "127.0.0.1");
        let mut both = HeaderMap::new();
        both.insert(FORWARDED, "for=9.9.9.9".parse().unwrap());
        let trusted = vec!["127.0.0.1".parse().unwrap()];
        let proxies = Proxies { trusted, header: ForwardedHeader::XForwardedFor };
        let peer = "127.0.0.1".parse().unwrap();
        assert_eq!(address(&both, peer, &proxies), peer);
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_read_somehow(text in "[ -~]{0,80}") {
            let _ = by(FORWARDED, &[&text], "127.0.0.1", &["127.0.0.1"]);
            let _ = seen(&[&text], "127.0.0.1", &["127.0.0.1"]);
        }
    }
}
