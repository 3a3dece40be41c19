//! `demitasse sizes`: the memory that a producer takes, before it does.

use crate::report::{Output, Problem};
use crate::settings::Properties;
use clap::Args;
use demitasse_io_std::{BuildError, Builder, StartError};
use serde::Serialize;

/// Shows all memory that a producer with these settings allocates when it starts, pool by pool; it allocates nothing
/// after that. No broker is needed.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    properties: Properties,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Sizes {
    pools: Vec<Pool>,
    total_bytes: u64,
}

#[derive(Serialize)]
struct Pool {
    name: &'static str,
    entry_bytes: u32,
    capacity: u32,
    bytes: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Problem> {
    let (builder, _) = arguments.properties.builder::<Builder>()?;
    let (capacities, plan) = builder.plan();
    // What a start would refuse has no sizes.
    capacities.check().map_err(|error| BuildError::Start(StartError::Capacity(error)))?;
    let pools = plan.pools().map(|(name, pool)| Pool {
        name,
        entry_bytes: pool.entry_bytes,
        capacity: pool.capacity,
        bytes: pool.bytes(),
    });
    let sizes = Sizes { pools: pools.into(), total_bytes: plan.bytes() };
    let mut output = Output::new();
    if arguments.json {
        output.json(&sizes);
        return output.finish();
    }
    output.line(format_args!("{:12}{:>14}{:>12}{:>16}", "pool", "entry bytes", "entries", "bytes"));
    for Pool { name, entry_bytes, capacity, bytes } in &sizes.pools {
        output.line(format_args!("{name:12}{entry_bytes:>14}{capacity:>12}{bytes:>16}"));
    }
    let mib = sizes.total_bytes as f64 / (1024.0 * 1024.0);
    output.line(format_args!("{:12}{:>42}  ({mib:.1} MiB)", "total", sizes.total_bytes));
    output.finish()
}
