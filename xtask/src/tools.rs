//! What the tests against a real Kafka need on the machine.

use crate::debian;
use crate::steps::Stop;
use demitasse_kafka_tests::{fetch_jars, found, jars_cached};

/// Program, the Debian package that has it.
const PROGRAMS: &[(&str, &str)] =
    &[("java", "openjdk-17-jre-headless"), ("kcat", "kcat"), ("openssl", "openssl"), ("kill", "procps")];

/// Java, kcat, openssl, and the jars of these versions of Kafka.
pub(crate) fn for_kafka(versions: &[&str]) -> Result<(), Stop> {
    let mut packages: Vec<_> =
        PROGRAMS.iter().filter(|(program, _)| !found(program)).map(|(_, package)| *package).collect();
    if !found("mvn") && versions.iter().any(|version| jars_cached(version).is_none()) {
        packages.push("maven");
    }
    debian::need(&packages)?;
    for version in versions {
        let folder = fetch_jars(version).map_err(|e| e.to_string())?;
        eprintln!("Kafka {version}: {}", folder.display());
    }
    Ok(())
}
