//! Limits of replicas that share a PostgreSQL database.

use std::time::Duration;

use super::section::{Row, Section, time};

limits! {
    "Replicas"

    /// A replica without an answer for this long has lost the lease.
    const LEASE: Duration = Duration::from_secs(30);
    /// Renewals in the time of a lease.
    const RENEWALS: u32 = 3;
    "lease of the active replica" => time(LEASE),
        format!("it is renewed each {}; at its end nothing more is sent", time(LEASE / RENEWALS));

    /// Clocks of two machines do not run at exactly the same speed.
    const LEASE_MARGIN: Duration = Duration::from_secs(5);
    "lease without a renewal" => time(LEASE + LEASE_MARGIN), "another replica takes it over";

    const POLL: Duration = Duration::from_secs(1);
    "time between two looks of a standby at the lease" => time(POLL), "a released lease is taken over";

    const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    "connection to the database" => time(CONNECT_TIMEOUT), "the next of its hosts is tried";

    /// Less than the time between two renewals, so that one may fail.
    const DATABASE_TIMEOUT: Duration = Duration::from_secs(8);
    "answer of the database" => time(DATABASE_TIMEOUT),
        "the connection is closed, and the replica becomes a standby";
}
