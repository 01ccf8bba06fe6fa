//! What a client reads, and likes best.

use http::{HeaderMap, header};

use super::Coding;

/// The most codings of a list that are looked at.
const MOST: usize = 32;

/// The coding a client likes best of those there are; `None`: it wants the content as it is, or says nothing.
/// Of two it likes alike it gets the one that costs less.
pub(crate) fn accepted(headers: &HeaderMap) -> Option<Coding> {
    let fields = headers.get_all(header::ACCEPT_ENCODING).iter();
    let listed = fields.filter_map(|field| field.to_str().ok()).flat_map(|field| field.split(','));
    let (mut zstd, mut gzip, mut others, mut plain) = (None, None, None, None);
    for one in listed.take(MOST) {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let name = name.trim();
        let weight = Some(thousandths(weight));
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("zstd") {
            zstd = weight;
        } else if is("gzip") || is("x-gzip") {
            gzip = weight;
        } else if is("identity") {
            plain = weight;
        } else if name == "*" {
            others = weight;
        }
    }
    let weight = |said: Option<u16>| said.or(others).unwrap_or(0);
    let (zstd, gzip) = (weight(zstd), weight(gzip));
    let (best, weight) = if zstd >= gzip { (Coding::Zstd, zstd) } else { (Coding::Gzip, gzip) };
    // Plain content is welcome unless something else is said, and the less so.
    (weight > 0 && weight >= plain.unwrap_or(0)).then_some(best)
}

/// A weight in thousandths; all of it where none is said, nothing where it is none.
fn thousandths(parameters: &str) -> u16 {
    let parameters = parameters.trim();
    if parameters.is_empty() {
        return 1_000;
    }
    let value = parameters.strip_prefix(['q', 'Q']).map(str::trim_start);
    let value = value.and_then(|rest| rest.strip_prefix('=')).map(str::trim);
    let Some(value) = value else { return 0 };
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    let is_number = part.len() <= 3 && part.bytes().all(|digit| digit.is_ascii_digit());
    match (whole, is_number) {
        ("1", true) if part.bytes().all(|digit| digit == b'0') => 1_000,
        ("0", true) => format!("{part:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_what_they_like_best() {
        let of = |fields: &[&str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::ACCEPT_ENCODING, field.parse().unwrap());
            }
            accepted(&headers).map(Coding::name)
        };
        for (fields, expected) in [
            (&[][..], None),
            (&[""], None),
            (&["gzip, deflate, br, zstd"], Some("zstd")),
            (&["gzip, deflate, br"], Some("gzip")),
            (&["GZIP"], Some("gzip")),
            (&["x-gzip"], Some("gzip")),
            (&["br"], None),
            (&["*"], Some("zstd")),
            (&["*;q=0"], None),
            (&["zstd;q=0, *"], Some("gzip")),
            (&["gzip;q=1.0, zstd;q=0.5"], Some("gzip")),
            (&["gzip; q=0.001"], Some("gzip")),
            (&["gzip;q=0.0"], None),
            (&["gzip;q=0.5, identity"], None),
            (&["gzip;q=0.5, identity;q=0.5"], Some("gzip")),
            (&["gzip", "zstd;q=0.9"], Some("gzip")),
            (&["gzip;q=2"], None),
            (&["gzip;q=0.1234"], None),
            (&["gzip;level=3"], None),
            (&["gzip;q"], None),
            (&[";;,,;q=1,\u{e9}"], None),
        ] {
            assert_eq!(of(fields), expected, "{fields:?}");
        }
        let long = vec!["br"; 100_000].join(",") + ",gzip";
        assert_eq!(of(&[&long]), None, "nobody reads that far");
    }
}
