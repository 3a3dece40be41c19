//! Ends a process when this one is gone, however it went: a small shell waits at the end of a pipe that only we hold.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

pub(crate) struct Guard(Child);

impl Guard {
    /// Watches over `process`. To be dropped before the process is waited for: until then its id is nobody else's.
    pub(crate) fn watch(process: u32) -> std::io::Result<Guard> {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' HUP INT TERM; cat > /dev/null; kill -9 $1", "guard", &process.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Guard(command.process_group(0).spawn()?))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // First the shell, so that it does not see the end of its pipe.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
