//! Takes a cluster away when the process that started it is gone, however it went.
//!
//! A shared cluster lives in a `static`, which is never dropped, and a test run may be killed. So a small shell
//! waits at the end of a pipe that only this process holds: when the pipe closes, it kills the nodes and removes
//! their folder.

use crate::Result;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SCRIPT: &str = r#"
trap '' HUP INT TERM
cat > /dev/null
for file in "$1"/node*/pid; do
    [ -f "$file" ] || continue
    pid=$(cat "$file")
    # A pid may have been used again: only a process that names this folder is ours.
    if grep -qaF "$1/" "/proc/$pid/cmdline" 2> /dev/null; then kill -9 "$pid"; fi
done
umount "$1"/node*/data 2> /dev/null
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf "$1" 2> /dev/null && exit
    sleep 0.2
done
"#;

/// The waiting shell.
pub(crate) struct Guard(Child);

impl Guard {
    /// Watches over the cluster in `folder`.
    pub(crate) fn watch(folder: &Path) -> Result<Guard> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "guard"]).arg(folder).current_dir("/").stdin(Stdio::piped());
        // In a group of its own: Ctrl-C at the terminal is for the test.
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn()?;
        Ok(Guard(child))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
