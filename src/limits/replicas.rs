//! Limits of replicas that share a PostgreSQL database.

use std::time::Duration;

use chrono::TimeDelta;

use super::section::{Row, Section, time};

limits! {
    "Replicas"

    /// A replica without an answer for this long has lost the lease.
    const LEASE: Duration = Duration::from_secs(30);
    /// Renewals in the time of a lease.
    const RENEWALS: u32 = 6;
    "lease of the active replica" => time(LEASE),
        format!("it is renewed each {}; at its end nothing more is sent", time(LEASE / RENEWALS));

    /// Clocks of two machines do not run at exactly the same speed.
    const LEASE_MARGIN: Duration = Duration::from_secs(5);
    "lease without a renewal" => time(LEASE + LEASE_MARGIN), "another replica takes it over";

    /// With the time between two renewals less than the lease.
    const MAX_TOTAL_TIMEOUT: Duration = Duration::from_secs(20);
    "`api.total_timeout` with `store.url`" => time(MAX_TOTAL_TIMEOUT),
        "an error: no request may end after the lease";

    const POLL: Duration = Duration::from_secs(1);
    "time between two looks of a standby at the lease" => time(POLL), "a released lease is taken over";

    const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    "connection to the database" => time(CONNECT_TIMEOUT), "the next of its hosts is tried";

    const DATABASE_TIMEOUT: Duration = Duration::from_secs(8);
    "answer of the database" => time(DATABASE_TIMEOUT),
        "the connection is closed, and the replica becomes a standby";

    /// A restart takes less, and an outage of another day needs another decision.
    const ALONE_PAUSE: TimeDelta = TimeDelta::minutes(10);
    "pause of a replica that runs alone" => time(ALONE_PAUSE), "a person decides again: the copy may be old";

    const COPY_RETRY: Duration = Duration::from_secs(10);

    const READING_TIMEOUT: Duration = Duration::from_secs(120);
    "answer of the database to a command that only reads" => time(READING_TIMEOUT), "the command fails";

    const REQUESTS_POLL: Duration = Duration::from_millis(250);
    const ANSWERS_POLL: Duration = Duration::from_millis(50);
    const REQUEST_TIMEOUT: Duration = Duration::from_secs(25);
    "request of a person at a standby" => time(REQUEST_TIMEOUT),
        "an error says if it may have been carried out";

    /// Longer than a ConfigMap takes to reach all machines.
    const RETURN_WAIT: TimeDelta = TimeDelta::minutes(3);
    "replaced revision that returns" => time(RETURN_WAIT),
        "it becomes active after this time: a replica that took over may read old files";

    /// A PATCH of the replica before may arrive late.
    const LATE_FETCHES: [TimeDelta; 2] = [TimeDelta::minutes(1), TimeDelta::minutes(5)];
    "page with an open PATCH at a takeover" =>
        format!("fetched again after {} and {}", time(LATE_FETCHES[0]), time(LATE_FETCHES[1])),
        "a later PATCH is found at the next resync";

    const HEARTBEAT: Duration = Duration::from_secs(5);
    "time between two signs of life of a replica" => time(HEARTBEAT),
        "after 60 s without one it leaves the list of replicas";
}
