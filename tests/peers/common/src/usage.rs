//! What the system says of a process.

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// CPU time of all threads, and how often one of them was taken off its core.
pub struct Usage {
    pub user_us: f64,
    pub system_us: f64,
    pub switches: f64,
}

impl Usage {
    /// Of this process, from its start.
    pub fn of_this_process() -> Result<Usage> {
        Usage::of(UsageWho::RUSAGE_SELF)
    }

    /// Of all children that have ended.
    pub fn of_ended_children() -> Result<Usage> {
        Usage::of(UsageWho::RUSAGE_CHILDREN)
    }

    fn of(who: UsageWho) -> Result<Usage> {
        let usage = getrusage(who)?;
        let micros = |time: TimeVal| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64;
        Ok(Usage {
            user_us: micros(usage.user_time()),
            system_us: micros(usage.system_time()),
            switches: (usage.voluntary_context_switches() + usage.involuntary_context_switches()) as f64,
        })
    }

    /// What was used since another look.
    pub fn since(&self, before: &Usage) -> Usage {
        Usage {
            user_us: self.user_us - before.user_us,
            system_us: self.system_us - before.system_us,
            switches: self.switches - before.switches,
        }
    }
}

/// Memory of a process, `self` or its number.
pub struct Resident {
    pub now_mib: f64,
    /// The most there ever was. Not `getrusage`'s figure: that one begins with the parent's.
    pub peak_mib: f64,
}

impl Resident {
    /// What `/proc` has of it.
    pub fn of(process: &str) -> Result<Resident> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let mib = |name: &str| {
            let kib = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok());
            kib.map(|kib: f64| kib / 1024.0).with_context(|| format!("no {name} in /proc/{process}/status"))
        };
        Ok(Resident { now_mib: mib("VmRSS:")?, peak_mib: mib("VmHWM:")? })
    }
}
