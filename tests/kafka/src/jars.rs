//! Kafka's jars, from Maven Central by Maven, kept in a cache folder between runs.

use crate::processes::{found, tail};
use crate::{Error, Result};
use std::path::PathBuf;
use std::process::Command;

/// The newest Kafka that is tested.
pub const KAFKA_4: &str = "4.3.1";
/// The last line with Produce versions below 3 and ZooKeeper days behind it.
pub const KAFKA_3: &str = "3.9.2";

const POM: &str = include_str!("../pom.xml");

/// Where the jars of a version are kept: `~/.cache/demitasse/kafka/VERSION`.
pub(crate) fn folder(version: &str) -> Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").ok_or_else(|| Error::new("HOME is not set"))?).join(".cache"),
    };
    Ok(cache.join("demitasse/kafka").join(version))
}

/// The folder with the jars of a version, if they are all there.
pub fn cached(version: &str) -> Option<PathBuf> {
    folder(version).ok().filter(|folder| folder.join(".complete").is_file())
}

/// The folder with the jars of a version; downloads them if need be (54 MB, about 12 s).
pub fn fetch(version: &str) -> Result<PathBuf> {
    if let Some(folder) = cached(version) {
        return Ok(folder);
    }
    if !found("mvn") {
        return Err(Error::new("the jars of Kafka come by Maven: install it, on Debian `apt-get install maven`"));
    }
    let folder = folder(version)?;
    std::fs::create_dir_all(&folder)?;
    let pom = folder.join("pom.xml");
    std::fs::write(&pom, POM)?;
    let said = Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(&pom)
        .arg("dependency:copy-dependencies")
        .arg(format!("-Dkafka.version={version}"))
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .output()?;
    if !said.status.success() {
        return Err(Error::new(format!("Maven cannot get Kafka {version}: {}", tail(&said.stdout))));
    }
    // Written last: a folder that a broken download left behind is not taken for whole.
    std::fs::write(folder.join(".complete"), version)?;
    Ok(folder)
}
