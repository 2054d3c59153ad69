//! The reasons for refusing a request.

use crate::settings::Right;

/// The reason why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It came from another machine, unencrypted.
    Plain,
    /// It names another host: a web page may have resolved its own name to this machine.
    Host,
    /// A web page of another origin sent it.
    Origin,
    /// The token is missing or wrong.
    Token,
    /// The token does not give this right.
    Right(Right),
    /// The form does not belong to the session.
    Form,
    /// Nobody signed in.
    SignIn,
}

impl Refusal {
    /// Returns the message, with its hint.
    pub fn words(self) -> String {
        match self {
            Self::Plain => "requests from other machines must be encrypted (hint: set listen.cert_file and \
                            listen.key_file, or listen.trusted_proxy for a proxy that does it)"
                .to_owned(),
            Self::Host => "unknown host name in the request (hint: use the address of this server, or add \
                           the name to listen.hosts)"
                .to_owned(),
            Self::Origin => "requests from web pages of another origin are refused".to_owned(),
            Self::Token => {
                "the bearer token is missing or wrong (hint: listen.tokens names the files of tokens)"
                    .to_owned()
            }
            Self::Right(right) => {
                let right = right.name();
                format!("the token does not allow this (hint: add \"{right}\" to its rights)")
            }
            Self::Form => "this form belongs to another session (hint: reload the page)".to_owned(),
            Self::SignIn => "nobody is signed in".to_owned(),
        }
    }
}
