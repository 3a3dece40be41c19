//! The tokio runtime of a command.

use crate::report::Problem;
use tokio::runtime::Builder;

/// Runs a command's future with so many threads beside this one; with 0 this one does all.
///
/// What is left over at the end (a name look-up that hangs, for example) is not waited for.
pub(crate) fn run(threads: usize, command: impl Future<Output = Result<(), Problem>>) -> Result<(), Problem> {
    let runtime = match threads {
        0 => Builder::new_current_thread().enable_all().build(),
        threads => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    };
    let runtime = runtime.map_err(|error| Problem::failed(format!("no runtime: {error}")))?;
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
}
