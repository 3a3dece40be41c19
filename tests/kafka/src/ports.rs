//! Ports on loopback that nobody uses.

use crate::{Error, Result};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that Linux gives to outgoing connections (32768 and up): a client that keeps trying to reach a
/// dead node could otherwise be given that very port, talk to itself, and keep the node from coming back.
const FIRST: u32 = 12_000;
const LAST: u32 = 32_000;

static HANDED_OUT: AtomicU32 = AtomicU32::new(0);

/// `count` ports in a row, all free right now and not handed out by this process before.
pub(crate) fn free(count: u16) -> Result<u16> {
    let block = u32::from(count).max(1);
    let blocks = (LAST - FIRST) / block;
    // Processes begin at different places, so that two at once seldom try the same.
    let begin = std::process::id().wrapping_mul(7919);
    for _ in 0..200 {
        let turn = HANDED_OUT.fetch_add(1, Ordering::Relaxed);
        let first = (FIRST + (begin.wrapping_add(turn) % blocks) * block) as u16;
        if check(first, count).is_ok() {
            return Ok(first);
        }
    }
    Err(Error::new(format!("no {count} free ports in a row between {FIRST} and {LAST}")))
}

/// An error that names the first of these ports that somebody listens at.
pub(crate) fn check(first: u16, count: u16) -> Result<()> {
    for port in first..first.saturating_add(count) {
        TcpListener::bind(("127.0.0.1", port))
            .map_err(|e| Error::new(format!("port {port} cannot be had ({e}): choose others")))?;
    }
    Ok(())
}
