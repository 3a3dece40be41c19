//! docs/numbers.md, and its plots.

use crate::consuming::section;
use crate::digits::{number, short};
use crate::measure::{Figure, Line};
use crate::peers::{Peer, Role};
use crate::plots;
use crate::results::{Key, Measured};
use crate::targets::{self, Verdict};
use crate::{machine, weight::Weight};
use anyhow::Result;
use std::fmt::Write;
use std::path::Path;

/// The first lines of the file.
pub(crate) const TITLE: &str = "# Numbers\n\nWritten by a program, never by hand.";

const METHOD: &str = "\
Each client does each task in turn, round after round, with the broker on the same machine; figures are medians, the
range of CPU time and of p99 is in brackets. All send the same values without keys to 4 partitions, by their own partitioner,
with acks=all, linger 5 ms, 32 MiB of buffer (demitasse 10, as it is by itself) and no compression, idempotent unless
said otherwise, and observe the outcome of every record. CPU time is user and system of the client's process, from a first acknowledged record to
the last; the broker's is not in it. *Switches* are context switches of its threads, *peak* is the most that was
ever resident. How many records are in Kafka's log is checked after each run. Latency is measured in three short runs each
round, since the latest differ more from run to run than from client to client.

*The sink* reads and acknowledges, and does nothing else: what clients cost when no broker is in the way.
*The floor* is what no client can do without, see tests/peers/floor; the last column compares with its second mode.

";

const AIMS: &str = "\
## Targets

The project's own, from issue 6 (the fifth is not about peers). Beside ours stands what it is held against: at most, or
for records a second at least, this. Of several ways to use a client the best counts. Against Kafka a rate is met if our
best round reaches the other's worst.

| target | what | demitasse | bound | |
| --- | --- | --- | --- | --- |
";

const WEIGHTS: &str = "\
## What a program gets

The smallest producer with each Rust client (tests/peers/minimal): release build from an empty target folder with
everything downloaded, crates compiled, and the stripped program; *small* is opt-level z, fat LTO, panic=abort.

| client | build s | crates | release MB | small MB |
| --- | --- | --- | --- | --- |
";

const REMARKS: &str = "
Allocations are counted by a global allocator, in runs of their own; Go's runtime counts them always; those of C and
of the JVM are not known. Java's percentiles are whole milliseconds.
";

pub(crate) fn write(folder: &Path, measured: &Measured) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut text = head()?;
    aims(AIMS, &targets::all(measured), &mut text)?;
    for (words, file) in plots::all(folder, measured)? {
        writeln!(text, "{words}:\n\n![{words}]({file})\n")?;
    }
    for (place, scenario) in measured.scenarios.iter().enumerate() {
        writeln!(text, "## {}\n", capital(&scenario.title()))?;
        match scenario.rate {
            None => measured.speed(place, &mut text)?,
            Some(_) => measured.latency(place, &mut text)?,
        }
    }
    measured.endurance(&mut text)?;
    weigh(&measured.weights, &mut text)?;
    text.push_str("## Who, and how\n\n");
    measured.settings(&mut text)?;
    text.push_str(REMARKS);
    measured.problems(&mut text)?;
    let file = folder.join("numbers.md");
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    text.push_str(section::of(&before).unwrap_or_default());
    std::fs::write(&file, text)?;
    eprintln!("{}", file.display());
    Ok(())
}

fn head() -> Result<String> {
    let mut text = format!("{TITLE} The run that gave them:\n\n");
    of_this_run(&mut text)?;
    text.push_str(METHOD);
    Ok(text)
}

/// The command, the day, the commit, the machine.
pub(crate) fn of_this_run(text: &mut String) -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    writeln!(text, "    {}\n", format!("cargo xtask peers {}", words.join(" ")).trim_end())?;
    let versions = [machine::rust(), machine::java()].join(", ");
    writeln!(text, "{}, commit {}; {}; {versions}.\n", machine::day(), machine::commit(), machine::hardware())?;
    Ok(())
}

/// The verdicts as a table, behind these words.
pub(crate) fn aims(words: &str, verdicts: &[Verdict], text: &mut String) -> Result<()> {
    if verdicts.is_empty() {
        return Ok(());
    }
    text.push_str(words);
    for verdict in verdicts {
        let (ours, bound) = (short(verdict.ours), short(verdict.bound));
        let met = if verdict.met { "met" } else { "**not met**" };
        writeln!(text, "| {} | {} | {ours} | {bound} | {met} |", verdict.target, verdict.what)?;
    }
    text.push('\n');
    Ok(())
}

impl Measured {
    pub(crate) fn speed(&self, place: usize, text: &mut String) -> Result<()> {
        let columns = ["CPU us a record", "user", "system", "records/s", "switches/1000", "allocations", "peak MiB"];
        let floor = self.peers.iter().position(|peer| peer.role == Role::Floor);
        let against = if floor.is_some() { &["x floor"][..] } else { &[] };
        header(text, &[&columns[..], against].concat());
        let floor = floor.and_then(|floor| self.results.median((place, floor), Line::cpu));
        for (index, peer) in self.peers.iter().enumerate() {
            let key = (place, index);
            let figure = |digits, figure: Figure| number(self.results.median(key, figure), digits);
            let cpu = self.results.median(key, Line::cpu);
            let (least, most) = self.results.range(key, Line::cpu).unwrap_or_default();
            let mut cells = vec![
                format!("{} ({least:.3}-{most:.3})", number(cpu, 3)),
                figure(3, |line| line.user_us_per_record),
                figure(3, |line| line.system_us_per_record),
                figure(0, |line| Some(line.records_per_second)),
                figure(1, |line| line.switches_per_1000_records),
                number(self.allocations(key), 3),
                figure(0, |line| Some(line.peak_mib)),
            ];
            cells.extend(against.iter().map(|_| number(cpu.zip(floor).map(|(cpu, floor)| cpu / floor), 2)));
            self.row(key, peer, &cells, text)?;
        }
        text.push('\n');
        Ok(())
    }

    fn latency(&self, place: usize, text: &mut String) -> Result<()> {
        header(text, &["p50 ms", "p99 ms", "p99.9 ms", "CPU us a record", "peak MiB"]);
        for (index, peer) in self.peers.iter().enumerate() {
            let key = (place, index);
            let figure = |digits, figure: Figure| number(self.results.median(key, figure), digits);
            let p99: Figure = |line| line.p99_ms;
            let (least, most) = self.results.range(key, p99).unwrap_or_default();
            let cells = [
                figure(2, |line| line.p50_ms),
                format!("{} ({least:.2}-{most:.2})", figure(2, p99)),
                figure(2, |line| line.p999_ms),
                figure(0, Line::cpu),
                figure(0, |line| Some(line.peak_mib)),
            ];
            self.row(key, peer, &cells, text)?;
        }
        text.push('\n');
        Ok(())
    }

    /// A client's figures, or why there are none.
    fn row(&self, key: Key, peer: &Peer, cells: &[String], text: &mut String) -> Result<()> {
        if self.results.lines(key).is_empty() {
            let problem = self.results.problem(key).unwrap_or("not run").replace(['|', '\n'], " ");
            writeln!(text, "| {} | {problem}{} |", peer.name, " |".repeat(cells.len() - 1))?;
        } else {
            writeln!(text, "| {} | {} |", peer.name, cells.join(" | "))?;
        }
        Ok(())
    }

    /// Counted in a run of their own, or by the runtime in every run.
    fn allocations(&self, key: Key) -> Option<f64> {
        let counted = self.results.allocations.get(&key).and_then(|line| line.allocations_per_record);
        counted.or_else(|| self.results.median(key, |line| line.allocations_per_record))
    }

    fn endurance(&self, text: &mut String) -> Result<()> {
        let Some((seconds, line)) = &self.endurance else { return Ok(()) };
        let (start, end) = (number(line.start_mib, 1), number(line.end_mib, 1));
        let records = number(Some(line.records_in_all as f64), 0);
        writeln!(
            text,
            "## Memory over time\n\ndemitasse, {records} records of 1000 B in batches of 1 MB against the sink, in \
             {seconds:.0} s:\n{start} MiB were resident after the first record, {end} MiB after the last, \
             {:.1} MiB at most.\n",
            line.peak_mib
        )?;
        Ok(())
    }

    /// Who failed, even if only once in several rounds.
    pub(crate) fn problems(&self, text: &mut String) -> Result<()> {
        for ((place, peer), problem) in self.results.problems() {
            writeln!(text, "\n{}, {}: {problem}", self.peers[peer].name, self.scenarios[place].title())?;
        }
        Ok(())
    }

    /// How each client was used.
    pub(crate) fn settings(&self, text: &mut String) -> Result<()> {
        header(text, &["version", "used"]);
        for (index, peer) in self.peers.iter().enumerate() {
            let mut lines = (0..self.scenarios.len()).flat_map(|place| self.results.lines((place, index)));
            let version = lines.next().map_or("?", |line| &line.version);
            writeln!(text, "| {} | {version} | {} |", peer.name, peer.settings)?;
        }
        Ok(())
    }
}

/// The first column is the client.
fn header(text: &mut String, columns: &[&str]) {
    text.push_str(&format!("| client | {} |\n| ---{} |\n", columns.join(" | "), " | ---".repeat(columns.len())));
}

fn weigh(weights: &[Weight], text: &mut String) -> Result<()> {
    if weights.is_empty() {
        return Ok(());
    }
    text.push_str(WEIGHTS);
    for Weight { client, figures } in weights {
        match figures {
            Ok(is) => {
                let mb = |bytes: u64| bytes as f64 / 1e6;
                let (release, small) = (mb(is.release_bytes), mb(is.small_bytes));
                writeln!(text, "| {client} | {:.0} | {} | {release:.2} | {small:.2} |", is.seconds, is.crates)?;
            }
            Err(error) => writeln!(text, "| {client} | {error:#} | | | |")?,
        }
    }
    text.push('\n');
    Ok(())
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
