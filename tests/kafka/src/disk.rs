//! Small disks for nodes, in memory, that can be full. Mounting takes root.

use crate::processes::tail;
use crate::{Error, Result};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;

/// Takes the room; a node looks only at folders.
const FILLER: &str = "filler";

/// Whether this process may mount: only some root may.
pub fn can_be_made() -> bool {
    let folder = std::env::temp_dir().join(format!("demitasse-disk-{}", std::process::id()));
    let made = mount(&folder, 1).is_ok();
    unmount(&folder);
    let _ = std::fs::remove_dir(&folder);
    made
}

pub(crate) fn mount(folder: &Path, mib: u32) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let said = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "demitasse-tests"])
        .arg(folder)
        .output()?;
    if said.status.success() {
        return Ok(());
    }
    Err(Error::new(format!("no disk can be mounted on {}: {}", folder.display(), tail(&said.stderr))))
}

/// Nothing happens if it was none.
pub(crate) fn unmount(folder: &Path) {
    let _ = Command::new("umount").arg(folder).output();
}

pub(crate) fn fill(folder: &Path) -> Result<()> {
    let mut filler = std::fs::File::create(folder.join(FILLER))?;
    // Down to the last byte.
    for size in [1 << 20, 4096, 1] {
        let zeros = vec![0; size];
        loop {
            match filler.write(&zeros) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

pub(crate) fn free(folder: &Path) -> Result<()> {
    Ok(std::fs::remove_file(folder.join(FILLER))?)
}
