//! placeholder
use crate::Result;
pub(crate) const HELP: &str = "cargo xtask size";
pub(crate) fn run(_: &[String]) -> Result { Ok(()) }
