//! Limits of the listener's connections, and of the work of the daemon's threads.

use std::time::Duration;

use super::section::{Row, Section, bytes, count, time};

limits! {
    "Listener"

    /// Age from which a request may be dropped for a new connection.
    const LONG_REQUEST: Duration = Duration::from_secs(3);
    /// Each takes a file descriptor, and a process may have about a thousand.
    const MAX_CONNECTIONS: usize = 128;
    "open connections" => count(MAX_CONNECTIONS),
        format!(
            "the oldest idle connection of the address with the most is closed, else one whose request \
             takes longer than {}; else the new one is closed",
            time(LONG_REQUEST),
        );

    /// Several programs may share this machine's address.
    const MAX_OF_ADDRESS: usize = 64;
    "open connections of one address" => count(MAX_OF_ADDRESS), "the same, of that address";

    const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
    "head of a request, and silence between two requests" => time(HEAD_TIMEOUT), "the connection is closed";

    const MAX_BODY_BYTES: usize = 1 << 20;
    const BODY_TIMEOUT: Duration = Duration::from_secs(10);
    "body of a request" => format!("{}, {}", bytes(MAX_BODY_BYTES), time(BODY_TIMEOUT)),
        "422; for the webhook it counts as empty";

    const MAX_ANSWER_BYTES: usize = 64 << 20;
    "answer that goes through the database" => bytes(MAX_ANSWER_BYTES), "an error at replicas that stand by";

    /// A store that commits slowly needs a while.
    const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
    "answer of the daemon" => time(ANSWER_TIMEOUT), "503";

    const LIFETIME: Duration = Duration::from_secs(120);
    /// Time limit for the last answer of a connection.
    const LAST_ANSWER: Duration = Duration::from_secs(40);
    "life of a connection" => time(LIFETIME),
        format!(
            "the current request is answered within {}, then the connection is closed",
            time(LAST_ANSWER),
        );

    const SIGN_IN_ATTEMPTS: u32 = 5;
    const SIGN_IN_PAUSE: Duration = Duration::from_secs(60);
    "failed attempts of one address to sign in" => count(SIGN_IN_ATTEMPTS),
        format!("refused for {}", time(SIGN_IN_PAUSE));

    const WRONG_TOKEN_PAUSE: Duration = Duration::from_secs(1);
    "request with a wrong bearer token or webhook secret" => format!("refused after {}", time(WRONG_TOKEN_PAUSE)),
        "";

    const SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);
    /// Each takes some hundred bytes.
    const MAX_SESSIONS: usize = 1_000;
    "sessions of people who signed in" => format!("{}, {}", count(MAX_SESSIONS), time(SESSION_LIFE)),
        "the oldest one ends; a restart ends them all";

    /// Each reads the status at most once a second.
    const MAX_STREAMS: usize = 32;
    "browsers that follow the status page live" => count(MAX_STREAMS),
        "the page is shown, and must be reloaded by hand";

    const SOCKET_TIMEOUT: Duration = Duration::from_secs(35);
    "answer that a command waits for on the socket" => time(SOCKET_TIMEOUT),
        "the command fails; the request may have been carried out";

    const WORK_TIMEOUT: Duration = Duration::from_secs(60);
    "work of one thread on one piece" => time(WORK_TIMEOUT),
        "`/healthz` answers 503, and the watchdog of systemd is not notified";

    // A limit of the system.
    "path of the socket" => "about 100 bytes, by the system",
        "the daemon does not start: set a short `store.path`";
}
