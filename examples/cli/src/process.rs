//! What the operating system says of this process. Nothing in here allocates.

use demitasse_io_std::guard;
use std::io::Read;
use std::time::{Duration, Instant};

/// What the process had used at some moment.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) cpu: Duration,
    pub(crate) allocations: guard::Counts,
    pub(crate) resident_mib: Option<f64>,
}

impl Moment {
    pub(crate) fn now() -> Moment {
        Moment { at: Instant::now(), cpu: cpu_time(), allocations: guard::counts(), resident_mib: resident_mib() }
    }
}

/// CPU time of all threads, user and system.
pub(crate) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Resident memory in MiB; `None` where the system has no `/proc`.
pub(crate) fn resident_mib() -> Option<f64> {
    status_mib("VmRSS:")
}

/// The most that was ever resident, in MiB.
pub(crate) fn peak_resident_mib() -> Option<f64> {
    status_mib("VmHWM:")
}

fn status_mib(name: &str) -> Option<f64> {
    let mut text = [0; 4096];
    let mut have = 0;
    let mut file = std::fs::File::open("/proc/self/status").ok()?;
    while let Some(free) = text.get_mut(have..).filter(|free| !free.is_empty()) {
        match file.read(free).ok()? {
            0 => break,
            count => have += count,
        }
    }
    let text = std::str::from_utf8(text.get(..have)?).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_has_memory_and_takes_time() {
        assert!(super::resident_mib().unwrap() > 0.1);
        assert!(super::peak_resident_mib() >= super::resident_mib());
        assert!(super::cpu_time().as_nanos() > 0);
    }
}
