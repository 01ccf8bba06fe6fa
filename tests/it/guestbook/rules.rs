//! Who may sign, and what a valid entry is. Pure: no I/O, no clock, no actors.

use panel_kernel::http::validate::Check;
use panel_kernel::message::{Principal, User};
use panel_kernel::problem::Problem;

/// Who signs: anybody who is signed in.
pub(crate) fn signer(principal: &Principal) -> Result<&User, Problem> {
    principal.user()
}

/// The text of an entry, as it is stored.
pub(crate) fn text(text: &str, most: usize) -> Result<String, Problem> {
    let mut check = Check::new();
    let text = check.text("text", text, 1, most);
    check.done()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use panel_kernel::problem::Kind;

    use super::*;

    #[test]
    fn only_the_signed_in_sign() {
        assert_eq!(signer(&Principal::Anonymous).unwrap_err().kind, Kind::Unauthorized);
    }

    #[test]
    fn texts_have_bounds() {
        assert_eq!(text("was\r\nhere", 20).unwrap(), "was\nhere");
        for (bad, code) in [(" \n", "required"), ("x\u{7}", "characters"), ("xxx", "too_long")] {
            assert_eq!(text(bad, 2).unwrap_err().errors[0].code, code, "{bad:?}");
        }
    }
}
