//! The addresses that a client begins with, its start, and why it could not be built.

use crate::heap::Heap;
use demitasse_core::{Capacities, Config, Producer, Settings, StartError};
use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Why a client could not be built.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A property was not taken: an unknown name, or a value that it does not take.
    Property(String),
    /// An address of the bootstrap list is not `host:port`.
    Address(String),
    /// Settings or capacities contradict each other.
    Start(StartError),
    /// The thread for the client's own work could not be made.
    Thread(std::io::ErrorKind),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Property(text) => f.write_str(text),
            BuildError::Address(address) => write!(f, "bootstrap.servers: {address:?} is not host:port"),
            BuildError::Start(error) => error.fmt(f),
            BuildError::Thread(kind) => write!(f, "no thread for the client: {kind}"),
        }
    }
}

impl std::error::Error for BuildError {}

pub(crate) fn addresses(servers: &str) -> Result<Vec<(String, u16)>, BuildError> {
    let address = |text: &str| {
        let text = text.trim();
        let (host, port) = text.rsplit_once(':')?;
        // An IPv6 address stands in brackets.
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|&port: &u16| port > 0)?;
        // Neither of them is in a host's name: perhaps it is a URL.
        (!host.is_empty() && !host.contains(['/', ' '])).then(|| (host.to_owned(), port))
    };
    servers.split(',').map(|text| address(text).ok_or_else(|| BuildError::Address(text.trim().to_owned()))).collect()
}

/// Starts a client whose buffers were lent.
pub(crate) fn start(
    client: &Producer<Heap>,
    config: &Config,
    capacities: &Capacities,
    bootstrap: &[(String, u16)],
) -> Result<(), BuildError> {
    let settings = Settings::new(config).map_err(|error| BuildError::Start(error.into()))?;
    let bootstrap: Vec<_> = bootstrap.iter().map(|(host, port)| (host.as_str(), *port)).collect();
    let scratch = (capacities.frame_bytes as usize, capacities.receive_bytes as usize);
    let random = RandomState::new().hash_one(std::process::id()) as u32;
    client.start(settings, &bootstrap, scratch, random).map_err(BuildError::Start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_and_ports() {
        assert_eq!(addresses("a:1, b.c:65535").unwrap(), [("a".to_owned(), 1), ("b.c".to_owned(), 65535)]);
        assert_eq!(addresses("[::1]:9092").unwrap(), [("::1".to_owned(), 9092)]);
        for wrong in ["", "a", "a:", ":1", "a:0", "a:65536", "a:1,,b:2", "PLAINTEXT://a:1", "a b:1"] {
            assert!(matches!(addresses(wrong), Err(BuildError::Address(_))), "{wrong}");
        }
    }
}
