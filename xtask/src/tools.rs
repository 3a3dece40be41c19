//! What the tests against a real Kafka need on the machine.

use crate::debian;
use crate::steps::Stop;
use demitasse_kafka_tests::{fetch_jars, found, jars_cached};

/// Program, the Debian package that has it. The compiler: tests/kafka runs a few lines of Java from their source.
const PROGRAMS: &[(&str, &str)] =
    &[("javac", "openjdk-17-jdk-headless"), ("kcat", "kcat"), ("openssl", "openssl"), ("kill", "procps")];

/// What tests/peers is built with: Go for franz-go, a C compiler for librdkafka.
const COMPILERS: &[(&str, &str)] = &[("go", "golang-go"), ("cc", "gcc"), ("c++", "g++"), ("make", "make")];

/// The compilers of other clients. Without one, its client is missing, and nothing else.
pub(crate) fn for_peers() {
    if let Err(stop) = debian::need(&missing(COMPILERS)) {
        eprintln!("{}", stop.words());
    }
}

/// The packages of programs that are not there.
fn missing(programs: &[(&str, &'static str)]) -> Vec<&'static str> {
    programs.iter().filter(|(program, _)| !found(program)).map(|(_, package)| *package).collect()
}

/// Java, kcat, openssl, and the jars of these versions of Kafka.
pub(crate) fn for_kafka(versions: &[&str]) -> Result<(), Stop> {
    let mut packages = missing(PROGRAMS);
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
