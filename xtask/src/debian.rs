//! Debian packages: installed if we may, asked for if not.

use crate::steps::Stop;
use std::process::Command;

/// Makes sure that the packages are installed. Only root on a machine with apt can change that.
pub(crate) fn need(packages: &[&str]) -> Result<(), Stop> {
    let missing: Vec<_> = packages.iter().copied().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    if !demitasse_kafka_tests::found("apt-get") || !is_root() {
        return Err(Stop::Skipped(format!("missing: {}; as root on Debian: {by_hand}", missing.join(", "))));
    }
    crate::run(Command::new("apt-get").args(["update", "-qq"]))?;
    let mut command = Command::new("apt-get");
    command.args(["install", "-y", "-qq", "--no-install-recommends"]).args(&missing);
    crate::run(command.env("DEBIAN_FRONTEND", "noninteractive"))?;
    Ok(())
}

fn installed(package: &str) -> bool {
    let query = Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]).output();
    query.is_ok_and(|said| said.stdout == b"installed")
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|said| said.stdout.trim_ascii() == b"0")
}
