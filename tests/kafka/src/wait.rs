//! Waiting for a condition.

use crate::{Error, Result};
use std::time::{Duration, Instant};

/// Asks `condition` again and again until it gives `Some`; an error that names `what` once `limit` has passed.
pub fn until<T>(limit: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return Ok(found);
        }
        if start.elapsed() > limit {
            return Err(Error::new(format!("waited {} s in vain for: {what}", limit.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
