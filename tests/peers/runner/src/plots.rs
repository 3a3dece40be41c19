//! Bars in SVG, side by side for Kafka and for the sink.

use crate::digits::short;
use crate::measure::Figure;
use crate::results::Measured;
use crate::scenarios::{Scenario, Target};
use anyhow::Result;
use plotters::coord::Shift;
use plotters::coord::ranged1d::SegmentValue;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

/// One picture: which scenario, and what a bar shows, part after part.
struct Plot {
    file: &'static str,
    words: &'static str,
    unit: &'static str,
    of: fn(&Scenario, Target) -> bool,
    parts: &'static [Figure],
}

const CPU: &[Figure] = &[|line| line.user_us_per_record, |line| line.system_us_per_record];
const RATE: &[Figure] = &[|line| Some(line.records_per_second / 1000.0)];
const LATENCY: &[Figure] = &[|line| line.p50_ms, |line| Some(line.p99_ms? - line.p50_ms?)];

const PLOTS: &[Plot] = &[
    Plot {
        file: "numbers-cpu-1000.svg",
        words: "CPU time a record of 1000 B, batches of 1 MB: user (dark) and system",
        unit: "us a record",
        of: |scenario, target| scenario.is_large(target, 1000),
        parts: CPU,
    },
    Plot {
        file: "numbers-rate-1000.svg",
        words: "Records of 1000 B a second, batches of 1 MB",
        unit: "thousand records a second",
        of: |scenario, target| scenario.is_large(target, 1000),
        parts: RATE,
    },
    Plot {
        file: "numbers-cpu-100.svg",
        words: "CPU time a record of 100 B, batches of 1 MB: user (dark) and system",
        unit: "us a record",
        of: |scenario, target| scenario.is_large(target, 100),
        parts: CPU,
    },
    Plot {
        file: "numbers-rate-100.svg",
        words: "Records of 100 B a second, batches of 1 MB",
        unit: "thousand records a second",
        of: |scenario, target| scenario.is_large(target, 100),
        parts: RATE,
    },
    Plot {
        file: "numbers-latency.svg",
        words: "Latency at 1000 records a second, linger 0: p50 (dark) and p99",
        unit: "ms",
        of: |scenario, target| scenario.target == target && scenario.rate.is_some(),
        parts: LATENCY,
    },
];

struct Bar {
    name: &'static str,
    /// Lie one after the other.
    parts: Vec<f64>,
}

struct Panel {
    title: String,
    bars: Vec<Bar>,
}

/// The parts of a bar, from the left.
const COLOURS: [RGBColor; 2] = [RGBColor(0x3b, 0x6e, 0xa8), RGBColor(0xb5, 0xc9, 0xde)];
/// The same for this project's own.
const OURS: [RGBColor; 2] = [RGBColor(0xa0, 0x5a, 0x2c), RGBColor(0xe0, 0xc4, 0xae)];

const WIDTH: u32 = 1080;
const ROW: u32 = 24;

/// Writes all plots; what each shows, and its file.
pub(crate) fn all(folder: &Path, measured: &Measured) -> Result<Vec<(&'static str, &'static str)>> {
    let mut done = Vec::new();
    for plot in PLOTS {
        let panels: Vec<Panel> = Target::ALL.iter().filter_map(|target| panel(plot, measured, *target)).collect();
        write(&folder.join(plot.file), &panels, plot.unit)?;
        done.push((plot.words, plot.file));
    }
    Ok(done)
}

/// None if no client has a figure.
fn panel(plot: &Plot, measured: &Measured, target: Target) -> Option<Panel> {
    let place = measured.place(|scenario| (plot.of)(scenario, target))?;
    let bar = |(index, peer): (usize, &&crate::peers::Peer)| {
        let parts = plot.parts.iter().map(|part| measured.results.median((place, index), part));
        Some(Bar { name: peer.name, parts: parts.collect::<Option<_>>()? })
    };
    let bars: Vec<Bar> = measured.peers.iter().enumerate().filter_map(bar).collect();
    (!bars.is_empty()).then(|| Panel { title: format!("against {}", target.name()), bars })
}

/// Writes one plot.
fn write(file: &Path, panels: &[Panel], unit: &str) -> Result<()> {
    let rows = panels.iter().map(|panel| panel.bars.len()).max().unwrap_or(0) as u32;
    let root = SVGBackend::new(file, (WIDTH, rows * ROW + 110)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((1, panels.len().max(1))).iter().zip(panels) {
        draw(area, panel, unit)?;
    }
    root.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw(area: &Area<'_>, panel: &Panel, unit: &str) -> Result<()> {
    let bars = &panel.bars;
    let end = end(bars);
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 16))
        .margin(10)
        .margin_right(50)
        .x_label_area_size(40)
        .y_label_area_size(130)
        .build_cartesian_2d(0.0..end, (0..bars.len() - 1).into_segmented())?;
    let name = |place: &SegmentValue<usize>| match place {
        SegmentValue::CenterOf(index) => bars.get(bars.len() - 1 - index).map_or(String::new(), |bar| bar.name.into()),
        _ => String::new(),
    };
    let mesh = &mut chart.configure_mesh();
    mesh.disable_y_mesh().light_line_style(WHITE).y_labels(bars.len()).y_label_formatter(&name);
    mesh.x_labels(5).x_desc(unit).label_style(("sans-serif", 13)).draw()?;
    for (row, bar) in bars.iter().rev().enumerate() {
        chart.draw_series(bar.rectangles(row, end))?;
        let style = ("sans-serif", 12).into_font().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        let at = (bar.total().min(end), SegmentValue::CenterOf(row));
        chart.draw_series([Text::new(format!(" {}", short(bar.total())), at, style)])?;
    }
    Ok(())
}

/// Where the axis ends. A bar many times as long as most is cut: its number stands beside it.
fn end(bars: &[Bar]) -> f64 {
    let mut totals: Vec<f64> = bars.iter().map(Bar::total).collect();
    totals.sort_by(f64::total_cmp);
    let most = totals[totals.len() / 2] * 5.0;
    totals.iter().rfind(|total| **total <= most).map_or(1.0, |total| total * 1.05)
}

type Corner = (f64, SegmentValue<usize>);

impl Bar {
    fn total(&self) -> f64 {
        self.parts.iter().sum()
    }

    fn rectangles(&self, row: usize, end: f64) -> impl Iterator<Item = Rectangle<Corner>> {
        let colours = if self.name.starts_with("demitasse") { OURS } else { COLOURS };
        let mut from = 0.0;
        self.parts.iter().zip(colours).map(move |(part, colour)| {
            let to = (from + part).min(end);
            let corners = [(from, SegmentValue::Exact(row)), (to, SegmentValue::Exact(row + 1))];
            let mut rectangle = Rectangle::new(corners, colour.filled());
            rectangle.set_margin(3, 3, 0, 0);
            from = to;
            rectangle
        })
    }
}
