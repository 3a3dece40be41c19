//! Where sockets, names and time come from. A file of its own, so that `tests/network` can put simulated ones in its
//! place.

pub(crate) use std::time::Instant;
pub(crate) use tokio::net::tcp::{ReadHalf, WriteHalf};
pub(crate) use tokio::net::{TcpStream, lookup_host};

pub(crate) fn sleep_until(at: Instant) -> tokio::time::Sleep {
    tokio::time::sleep_until(at.into())
}
