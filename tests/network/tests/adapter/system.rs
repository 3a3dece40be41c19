//! In place of the adapter's own: sockets and time of `turmoil`, and names that a test may change.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
pub(crate) use tokio::time::{Instant, sleep_until};
use turmoil::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A connection. `turmoil`'s splits only by value.
pub(crate) struct TcpStream(OwnedReadHalf, OwnedWriteHalf);

pub(crate) type ReadHalf<'a> = &'a mut OwnedReadHalf;
pub(crate) type WriteHalf<'a> = &'a mut OwnedWriteHalf;

impl TcpStream {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let (reader, writer) = turmoil::net::TcpStream::connect(address).await?.into_split();
        Ok(TcpStream(reader, writer))
    }

    pub(crate) fn set_nodelay(&self, _: bool) -> Result<()> {
        Ok(())
    }

    pub(crate) fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (&mut self.0, &mut self.1)
    }
}

thread_local! {
    // Each simulation has a thread of its own.
    static NAMES: RefCell<HashMap<String, Vec<&'static str>>> = RefCell::default();
}

/// From now on the name stands for these hosts; for none it is unknown.
pub(crate) fn point(name: &str, hosts: &[&'static str]) {
    NAMES.with_borrow_mut(|names| names.insert(name.to_owned(), hosts.to_vec()));
}

pub(crate) async fn lookup_host((name, port): (&str, u16)) -> Result<impl Iterator<Item = SocketAddr>> {
    let hosts = NAMES.with_borrow(|names| names.get(name).cloned().unwrap_or_default());
    if hosts.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "no such name"));
    }
    Ok(hosts.into_iter().map(move |host| SocketAddr::new(turmoil::lookup(host), port)))
}
