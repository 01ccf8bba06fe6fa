//! What letters say. `{host}` is filled in, and what the letter itself knows.

use super::letter::Letter;

/// A subject, and paragraphs.
pub(super) type Words = (&'static str, &'static [&'static str]);

const NOT_YOU: &str = "If that was not you, change your password now, and tell an administrator.";

#[allow(clippy::too_many_lines, reason = "a table")]
pub(super) const fn words(letter: &Letter) -> Words {
    match letter {
        Letter::VerifyAddress { .. } => (
            "Confirm your address for {host}",
            &[
                "An account was made with this address. Confirm that it is yours to use it.",
                "The link works for a day. If you did not make an account, do nothing.",
            ],
        ),
        Letter::NewAddress { .. } => (
            "Confirm your new address for {host}",
            &[
                "You want your account to have this address. Confirm that it is yours.",
                "The link works for a day. If you do not have an account, do nothing.",
            ],
        ),
        Letter::AddressChanged => (
            "Your account at {host} has another address",
            &[
                "From now on, mails about your account go to another address, which was confirmed \
                 there. This is the last one that comes here.",
                "If that was not you, tell an administrator.",
            ],
        ),
        Letter::AddressTaken => (
            "You have an account at {host} already",
            &[
                "Somebody, perhaps you, wants an account with this address, which has one. Nothing \
                 was changed.",
                "If you have forgotten your password, you can choose another where you sign in.",
            ],
        ),
        Letter::NameTaken => (
            "The name you chose at {host} is taken",
            &["Somebody, perhaps you, wants to make an account with this address and a name that \
               another account has. No account was made; choose another name."],
        ),
        Letter::Invitation { .. } => (
            "You are invited to {host}",
            &[
                "Somebody who looks after this community invites you to it. The link makes an account.",
                "If you do not want one, do nothing.",
            ],
        ),
        Letter::ResetPassword { .. } => (
            "Choose another password for {host}",
            &[
                "Somebody, perhaps you, wants to choose another password for your account.",
                "The link works once, for half an hour. If you do not want to, do nothing: nothing \
                 was changed.",
            ],
        ),
        Letter::PasswordChanged => (
            "Your password for {host} was changed",
            &[
                "The password of your account was changed, and all other sessions were ended.",
                "If that was not you, choose another password now with \u{201c}forgotten \
                 password\u{201d}, and tell an administrator.",
            ],
        ),
        Letter::SessionStolen => (
            "A session at {host} was ended",
            &[
                "A key of one of your sessions was used twice, which happens when somebody has a \
                 copy of it. The session was ended; sign in again.",
                "If you did not copy a browser profile or a backup, change your password.",
            ],
        ),
        Letter::FactorAdded => (
            "A second factor guards your account at {host}",
            &[
                "From now on, signing in takes a code of your authenticator as well. Keep the \
                 recovery codes where you find them without it.",
                NOT_YOU,
            ],
        ),
        Letter::FactorRemoved => (
            "The second factor of your account at {host} is off",
            &["From now on, the password alone is enough to sign in to your account.", NOT_YOU],
        ),
        Letter::AddressChangeAsked => (
            "Your account at {host} is to have another address",
            &[
                "Somebody who is signed in to your account wants it to have another mail address. It \
                 will have it once that was confirmed there.",
                NOT_YOU,
            ],
        ),
        Letter::ApiKeyMade { .. } => (
            "An API key was made for your account at {host}",
            &[
                "With it, a program acts for your account, within its scopes, until it is ended.",
                NOT_YOU,
                "Its name: {second}",
            ],
        ),
        Letter::RecoveryCodesRenewed => (
            "New recovery codes were made for your account at {host}",
            &["The old ones do not work any more.", NOT_YOU],
        ),
        Letter::FactorGuessed => (
            "Somebody guesses at the codes of your account at {host}",
            &[
                "Somebody has given several wrong codes for your account, after the right password or \
                 in one of your sessions. They have to wait now, and so has everybody else.",
                NOT_YOU,
            ],
        ),
        Letter::PasskeyAdded => (
            "A passkey was added to your account at {host}",
            &["From now on, it signs in to your account without the password.", NOT_YOU],
        ),
        Letter::PasskeyRemoved => (
            "A passkey of your account at {host} was removed",
            &["It does not sign in to your account any more.", NOT_YOU],
        ),
        Letter::Erased => (
            "Your account at {host} was erased",
            &[
                "Your account was erased, as you wanted. What you wrote stays, without your name. This is \
                 the last mail that comes here.",
                "If that was not you, tell an administrator.",
            ],
        ),
        Letter::IdentityLinked { .. } => (
            "Your account at {host} was linked to another",
            &[
                "From now on, an account at {first} signs in to yours without the password.",
                NOT_YOU,
            ],
        ),
        Letter::IdentityUnlinked { .. } => (
            "Your account at {host} was unlinked from another",
            &["An account at {first} does not sign in to yours any more.", NOT_YOU],
        ),
        Letter::PasskeyCopied => (
            "There may be a copy of your passkey for {host}",
            &[
                "Somebody wanted to sign in with one of your passkeys, which has counted back: that \
                 happens when there are two of it. Nobody was let in.",
                "If you did not copy the device, remove the passkey, and tell an administrator.",
            ],
        ),
        Letter::Suspended { .. } => (
            "Your account at {host} is suspended",
            &[
                "An administrator has suspended your account until {first}. Nobody can sign in to it.",
                "The reason: {second}",
            ],
        ),
        Letter::ExportAsked => (
            "Your data at {host} is being put together",
            &[
                "Somebody who is signed in to your account wants to have everything there is of it. \
                 Another mail comes when it is there.",
                NOT_YOU,
            ],
        ),
        Letter::ExportReady { .. } => (
            "Your data at {host} is there",
            &[
                "Everything there is of your account was put together, as you have asked. You can fetch \
                 it until {first}, with your account.",
                NOT_YOU,
            ],
        ),
        Letter::ExportFailed => (
            "Your data at {host} could not be put together",
            &["That should not be. Ask for it again, and tell an administrator if it fails again."],
        ),
        // It has its own.
        Letter::Requested(_) => ("", &[]),
        Letter::RecoveryCodeUsed { .. } => (
            "A recovery code for {host} was used",
            &[
                "Somebody used a recovery code of your account. Codes that are left: {first}.",
                "Turn the second factor off and on again if you have a new device. If that was not \
                 you, change your password, and have new recovery codes made.",
            ],
        ),
    }
}
