//! The store in a PostgreSQL database, which several replicas share: one of them writes, the others
//! stand by.
//!
//! The writer holds the *lease*, a row of the database. Each of its transactions first changes that
//! row, if it still holds it: no transaction of a former holder is ever committed, and each committed
//! one renews the lease. The holder trusts its lease for [`LEASE`](crate::limits::replicas::LEASE)
//! from before the commit, by the time since the machine started; the wall clock does not count.

mod address;
mod alone;
mod connection;
mod copying;
mod fault;
mod lease;
mod location;
mod migrations;
mod relay;

pub use address::Address;
pub use location::Postgres;

#[cfg(test)]
mod copy_tests;
#[cfg(test)]
#[path = "../../../tests/it/support/postgres.rs"]
pub(super) mod server;
#[cfg(test)]
mod tests;
