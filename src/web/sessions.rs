//! The sessions of people who signed in, in memory: a restart signs everybody out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::limits::listener::{MAX_SESSIONS, SESSION_LIFE, SIGN_IN_ATTEMPTS, SIGN_IN_PAUSE};

use super::visitor::Csrf;

/// All sessions, and the failed attempts to sign in.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The sessions by the hash of their cookie.
    open: HashMap<[u8; 32], Session>,
    /// The failed attempts by address; `None` counts those of all addresses that are not listed.
    failed: HashMap<Option<IpAddr>, Failed>,
}

/// The session of one person.
#[derive(Clone, Debug)]
pub struct Session {
    /// The hash of the token that it was started with.
    pub token: [u8; 32],
    /// The text that its forms repeat.
    pub csrf: Csrf,
    ends: Instant,
}

#[derive(Debug)]
struct Failed {
    count: u32,
    last: Instant,
}

impl Failed {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.last) >= SIGN_IN_PAUSE
    }
}

impl Sessions {
    /// Starts a session for a token; returns its cookie.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn begin(&self, token: [u8; 32]) -> Result<String, getrandom::Error> {
        let (cookie, csrf) = (random()?, Csrf(random()?));
        let mut state = self.state();
        let now = Instant::now();
        state.open.retain(|_, session| session.ends > now);
        if state.open.len() >= MAX_SESSIONS {
            let oldest = state.open.iter().min_by_key(|(_, session)| session.ends).map(|(id, _)| *id);
            oldest.and_then(|id| state.open.remove(&id));
        }
        let ends = now + SESSION_LIFE;
        state.open.insert(hash(&cookie), Session { token, csrf, ends });
        Ok(cookie)
    }

    /// Returns the session of a cookie.
    pub fn find(&self, cookie: &str) -> Option<Session> {
        self.state().open.get(&hash(cookie)).filter(|session| session.ends > Instant::now()).cloned()
    }

    /// Ends the sessions whose token is not kept.
    pub fn retain(&self, keeps: impl Fn(&[u8; 32]) -> bool) {
        self.state().open.retain(|_, session| keeps(&session.token));
    }

    /// Ends the session of a cookie.
    pub fn end(&self, cookie: &str) {
        self.state().open.remove(&hash(cookie));
    }

    /// Returns how long an address must wait before it may try to sign in.
    pub fn pause(&self, address: Option<IpAddr>) -> Option<Duration> {
        let now = Instant::now();
        let state = self.state();
        let failed = state.failed.get(&address).filter(|failed| failed.count >= SIGN_IN_ATTEMPTS)?;
        SIGN_IN_PAUSE.checked_sub(now.duration_since(failed.last)).filter(|pause| !pause.is_zero())
    }

    /// Counts a failed attempt to sign in.
    pub fn count_failure(&self, address: Option<IpAddr>) {
        let (now, mut state) = (Instant::now(), self.state());
        state.failed.retain(|_, failed| !failed.is_over(now));
        // An attacker with many addresses must not fill the memory.
        let is_listed = state.failed.contains_key(&address) || state.failed.len() < MAX_SESSIONS;
        let failed =
            state.failed.entry(address.filter(|_| is_listed)).or_insert(Failed { count: 0, last: now });
        failed.count = failed.count.saturating_add(1);
        failed.last = now;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns 32 random bytes as text.
fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A stolen look at the memory or a comparison of texts reveals no cookie.
fn hash(cookie: &str) -> [u8; 32] {
    Sha256::digest(cookie).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_by_its_cookie_until_it_ends() {
        let sessions = Sessions::default();
        let (one, other) = (sessions.begin([1; 32]).unwrap(), sessions.begin([2; 32]).unwrap());
        assert_ne!(one, other);
        assert_eq!(sessions.find(&one).unwrap().token, [1; 32]);
        assert_ne!(sessions.find(&one).unwrap().csrf, sessions.find(&other).unwrap().csrf);
        sessions.end(&one);
        assert!(sessions.find(&one).is_none() && sessions.find("").is_none());
        assert_eq!(sessions.find(&other).unwrap().token, [2; 32]);
        sessions.retain(|token| *token == [1; 32]);
        assert!(sessions.find(&other).is_none(), "its token is gone");
    }

    #[test]
    fn failed_attempts_pause_the_address_and_no_other() {
        let sessions = Sessions::default();
        let (one, other) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        for _ in 1..SIGN_IN_ATTEMPTS {
            sessions.count_failure(one);
            assert_eq!(sessions.pause(one), None);
        }
        sessions.count_failure(one);
        assert!(sessions.pause(one).is_some());
        assert_eq!(sessions.pause(other), None);
    }

    #[test]
    fn many_sessions_and_addresses_do_not_fill_the_memory() {
        let sessions = Sessions::default();
        for number in 0..2 * u32::try_from(MAX_SESSIONS).unwrap() {
            sessions.begin([1; 32]).unwrap();
            sessions.count_failure(Some(IpAddr::from(number.to_be_bytes())));
        }
        let state = sessions.state();
        assert!(state.open.len() <= MAX_SESSIONS && state.failed.len() <= MAX_SESSIONS + 1);
    }
}
