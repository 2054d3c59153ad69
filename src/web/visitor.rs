//! The sender of a request, and what they may do.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::settings::Right;

use super::refusal::Refusal;

/// The sender of a request, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visitor {
    /// The owner of the daemon's socket, who may do everything.
    Owner,
    /// A person or program without a token.
    Anonymous,
    /// A program that sent a token with its request.
    Program(Caller),
    /// A person who signed in with a token, in a browser.
    Person(Caller, Csrf),
}

/// The holder of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name of the token.
    pub name: String,
    /// Its rights.
    pub rights: BTreeSet<Right>,
}

/// The text that every form of a session must repeat, so that no other web page can send one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csrf(pub String);

impl Visitor {
    /// Returns the holder of the token, if there is one.
    pub fn caller(&self) -> Option<&Caller> {
        match self {
            Self::Program(caller) | Self::Person(caller, _) => Some(caller),
            Self::Owner | Self::Anonymous => None,
        }
    }

    /// Returns true if the visitor has a right, with a token or as the owner.
    pub fn may(&self, right: Right) -> bool {
        match self {
            Self::Owner => true,
            Self::Anonymous => false,
            Self::Program(caller) | Self::Person(caller, _) => caller.rights.contains(&right),
        }
    }

    /// Checks the right to a change over the HTTP API.
    ///
    /// A browser sends the cookie of a session on its own, so a session does not count here.
    ///
    /// # Errors
    /// The reason for the refusal.
    pub fn require(&self, right: Right) -> Result<(), Refusal> {
        match self {
            Self::Owner => Ok(()),
            Self::Program(_) if self.may(right) => Ok(()),
            Self::Program(_) => Err(Refusal::Right(right)),
            Self::Anonymous | Self::Person(..) => Err(Refusal::Token),
        }
    }

    /// Checks the right to a change from a form, which repeats the text of its session.
    ///
    /// # Errors
    /// The reason for the refusal.
    pub fn require_in_form(&self, right: Right, csrf: &str) -> Result<(), Refusal> {
        match self {
            Self::Person(_, expected) if expected.0 != csrf => Err(Refusal::Form),
            Self::Person(..) if self.may(right) => Ok(()),
            Self::Person(..) => Err(Refusal::Right(right)),
            Self::Owner | Self::Anonymous | Self::Program(_) => Err(Refusal::SignIn),
        }
    }

    /// Writes the visitor down for another replica, which carries out the request.
    pub fn written(&self) -> String {
        let (kind, csrf) = match self {
            Self::Owner => ("owner", None),
            Self::Anonymous => ("anonymous", None),
            Self::Program(_) => ("program", None),
            Self::Person(_, csrf) => ("person", Some(&csrf.0)),
        };
        let caller = self.caller();
        let rights: Option<Vec<&str>> =
            caller.map(|caller| caller.rights.iter().map(|right| right.name()).collect());
        json!({ "kind": kind, "name": caller.map(|caller| &caller.name), "rights": rights, "csrf": csrf })
            .to_string()
    }

    /// Reads a visitor that another replica admitted; `None` for one that this program cannot read.
    pub fn read(written: &str) -> Option<Self> {
        let written: Value = serde_json::from_str(written).ok()?;
        let caller = || {
            let rights = written["rights"].as_array()?.iter();
            let rights = rights.map(|right| right.as_str()?.parse().ok()).collect::<Option<_>>()?;
            Some(Caller { name: written["name"].as_str()?.to_owned(), rights })
        };
        match written["kind"].as_str()? {
            "owner" => Some(Self::Owner),
            "anonymous" => Some(Self::Anonymous),
            "program" => Some(Self::Program(caller()?)),
            "person" => Some(Self::Person(caller()?, Csrf(written["csrf"].as_str()?.to_owned()))),
            _ => None,
        }
    }

    /// Returns the name for the history: the means, then the name of the token.
    ///
    /// A program may name somebody for whom it acts. That name proves nothing, so it comes last.
    pub fn who(&self, given: &str) -> String {
        match self {
            Self::Owner | Self::Anonymous => given.to_owned(),
            Self::Person(caller, _) => format!("status page as {}", caller.name),
            Self::Program(caller) if given.is_empty() => format!("token as {}", caller.name),
            Self::Program(caller) => format!("token as {} (for {given})", caller.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_replica_reads_the_visitor_that_was_written() {
        let caller = Caller { name: "anna".to_owned(), rights: [Right::Read, Right::Override].into() };
        for visitor in [
            Visitor::Owner,
            Visitor::Anonymous,
            Visitor::Program(caller.clone()),
            Visitor::Person(caller, Csrf("c".to_owned())),
        ] {
            assert_eq!(Visitor::read(&visitor.written()), Some(visitor));
        }
        for unreadable in ["", "{}", r#"{"kind":"program"}"#, r#"{"kind":"god","name":"x","rights":[]}"#] {
            assert_eq!(Visitor::read(unreadable), None, "{unreadable}");
        }
    }
}
