//! The folder of files. A file that has its name is whole and on disk; one that ends in `.part` is neither.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A folder that nobody else writes to.
pub(crate) struct Folder {
    path: PathBuf,
    topic: String,
    /// Of the next file.
    number: u64,
    /// Locked as long as it is open, and the system closes it whatever ends us.
    _lock: File,
}

/// A file that is being written.
pub(crate) struct Part {
    file: File,
    part: PathBuf,
    whole: PathBuf,
    pub(crate) bytes: u64,
}

impl Folder {
    /// Opens or creates it, and throws away what a run before this one did not bring to an end: nothing of that was committed.
    pub(crate) fn open(path: &Path, topic: &str) -> io::Result<Folder> {
        fs::create_dir_all(path)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join(".lock"))?;
        lock.try_lock().map_err(|_| io::Error::other("another pipeline writes to this folder"))?;
        let mut number = 0;
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let Some(rest) = name.strip_prefix(topic).and_then(|rest| rest.strip_prefix('-')) else { continue };
            let Some((digits, ending)) = rest.split_once('.') else { continue };
            let Ok(taken) = digits.parse::<u64>() else { continue };
            match ending {
                "jsonl.part" => fs::remove_file(entry.path())?,
                "jsonl" => number = number.max(taken + 1),
                _ => {}
            }
        }
        Ok(Folder { path: path.into(), topic: topic.into(), number, _lock: lock })
    }

    /// Begins the next file.
    pub(crate) fn begin(&mut self) -> io::Result<Part> {
        let whole = self.path.join(format!("{}-{:08}.jsonl", self.topic, self.number));
        let part = whole.with_extension("jsonl.part");
        self.number += 1;
        Ok(Part { file: File::create_new(&part)?, part, whole, bytes: 0 })
    }

    /// Ends a file: after this a power cut does not take it away.
    pub(crate) fn finish(&self, part: Part) -> io::Result<()> {
        part.file.sync_all()?;
        fs::rename(&part.part, &part.whole)?;
        // The name is in the folder, and only now on disk.
        File::open(&self.path)?.sync_all()
    }
}

impl Part {
    pub(crate) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.bytes += lines.len() as u64;
        self.file.write_all(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_and_what_was_not_whole_is_thrown_away() {
        let path = std::env::temp_dir().join(format!("demitasse-folder-{}", std::process::id()));
        let names = || {
            let entries = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = entries.filter(|name| name != ".lock").collect();
            names.sort();
            names
        };
        {
            let mut folder = Folder::open(&path, "t").unwrap();
            assert!(Folder::open(&path, "t").is_err_and(|error| error.to_string().contains("another pipeline")));
            let mut first = folder.begin().unwrap();
            first.write(b"line\n").unwrap();
            folder.finish(first).unwrap();
            folder.begin().unwrap().write(b"half a li").unwrap();
        }
        fs::write(path.join("other-00000009.jsonl.part"), "somebody else's").unwrap();
        assert_eq!(names(), ["other-00000009.jsonl.part", "t-00000000.jsonl", "t-00000001.jsonl.part"]);
        let mut folder = Folder::open(&path, "t").unwrap();
        let next = folder.begin().unwrap();
        folder.finish(next).unwrap();
        assert_eq!(names(), ["other-00000009.jsonl.part", "t-00000000.jsonl", "t-00000001.jsonl"]);
        assert_eq!(fs::read(path.join("t-00000000.jsonl")).unwrap(), b"line\n");
        fs::remove_dir_all(path).unwrap();
    }
}
