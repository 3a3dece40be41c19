//! Its section of docs/numbers.md: the rest of the file is another run's.

use crate::report::{TITLE, aims, of_this_run};
use crate::results::Measured;
use crate::targets;
use anyhow::Result;
use std::fmt::Write;
use std::path::Path;

const HEADING: &str = "## Consuming";

const METHOD: &str = "\
Each client reads the same records from the beginning of 4 partitions, in turn, round after round, from one Kafka on the
same machine. They are in full batches of 16 KB, not compressed, without keys. All check the CRC of every batch and look at
every record. CPU time is from just before the partitions are assigned, with the connection and the topic known, to the
last record; figures are medians, the range is in brackets. Settings are each client's own but where it says otherwise.

";

const AIMS: &str = "\
Targets, of issue 7. Beside ours stands what it is to be at most.

| target | what | demitasse | bound | |
| --- | --- | --- | --- | --- |
";

pub(crate) fn write(folder: &Path, measured: &Measured) -> Result<()> {
    let mut section = format!("{HEADING}\n\nA run of its own:\n\n");
    of_this_run(&mut section)?;
    section.push_str(METHOD);
    aims(AIMS, &targets::reading(measured), &mut section)?;
    for (place, scenario) in measured.scenarios.iter().enumerate() {
        writeln!(section, "### Reading records of {} B\n", scenario.size)?;
        measured.speed(place, &mut section)?;
    }
    section.push_str("### Who reads, and how\n\n");
    measured.settings(&mut section)?;
    measured.problems(&mut section)?;
    std::fs::create_dir_all(folder)?;
    let file = folder.join("numbers.md");
    let before = std::fs::read_to_string(&file).unwrap_or_else(|_| format!("{TITLE}\n"));
    std::fs::write(&file, with(&before, &section))?;
    eprintln!("{}", file.display());
    Ok(())
}

/// The section as it is in the text, for a run that measures all else.
pub(crate) fn of(text: &str) -> Option<&str> {
    let from = text.find(&format!("\n{HEADING}\n"))?;
    let section = text.get(from..)?;
    let to = section[1..].find("\n## ").map_or(section.len(), |at| at + 1);
    section.get(..to)
}

/// The text with this section, in the place of the one that it had or at its end.
fn with(text: &str, section: &str) -> String {
    let section = section.trim_end();
    match text.split_once(&format!("\n{HEADING}\n")) {
        None => format!("{}\n\n{section}\n", text.trim_end()),
        Some((before, old)) => {
            let behind = old.find("\n## ").map_or("", |at| &old[at..]);
            format!("{}\n\n{section}\n{behind}", before.trim_end())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{of, with};

    #[test]
    fn the_section_is_found_alone() {
        assert_eq!(of("# Numbers\n\n## Others\n\n1\n"), None);
        assert_eq!(of("# N\n\n## Others\n\n1\n\n## Consuming\n\n### a\n\n2\n"), Some("\n## Consuming\n\n### a\n\n2\n"));
        assert_eq!(of("# N\n\n## Consuming\n\n2\n\n## Others\n\n1\n"), Some("\n## Consuming\n\n2\n"));
    }

    #[test]
    fn only_this_section_is_replaced() {
        let first = with("# Numbers\n\n## Others\n\n1\n", "## Consuming\n\n### a\n\n2\n");
        assert_eq!(first, "# Numbers\n\n## Others\n\n1\n\n## Consuming\n\n### a\n\n2\n");
        assert_eq!(with(&first, "## Consuming\n\n3\n"), "# Numbers\n\n## Others\n\n1\n\n## Consuming\n\n3\n");
        let between = "# Numbers\n\n## Consuming\n\n### a\n\n2\n\n## Others\n\n1\n";
        assert_eq!(with(between, "## Consuming\n\n3"), "# Numbers\n\n## Consuming\n\n3\n\n## Others\n\n1\n");
    }
}
