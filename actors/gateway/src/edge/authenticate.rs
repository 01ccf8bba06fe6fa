//! Credentials become a principal. No credentials are fine here (rules decide); bad ones are
//! refused, whatever they were sent to.

use http::{HeaderMap, header};
use panel_kernel::message::Principal;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::time::Clock;

use crate::identity::Identity;

pub(super) fn principal(
    headers: &HeaderMap,
    identity: &Identity,
    clock: &Clock,
) -> Result<Principal, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = given.next() else { return Ok(Principal::Anonymous) };
    if given.next().is_some() {
        return Err(Problem::new(Kind::BadRequest, "send one Authorization only"));
    }
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        let detail = "send Authorization: Bearer <access token>";
        return Err(Problem::new(Kind::Unauthorized, detail));
    };
    identity.verify(token, clock.now())
}
