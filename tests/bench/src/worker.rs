//! What a worker costs: CPU time for items that take nothing, memory for as many as there can be in flight.

use std::path::Path;

use anyhow::Result;
use figures::Section;

use crate::ledger::Counts;
use crate::measure::Bench;
use crate::scenario::WORK_ITEMS;
use crate::subjects;

/// Of items that take nothing.
const ITEMS: u64 = 10_000;

/// Runs the worker by its program and reports.
///
/// # Errors
///
/// When it fails.
pub fn section(bench: &Bench, program: &Path) -> Result<Section> {
    let mut section = Section::new("A worker");
    let name = "10,000 items that take nothing";
    // The first batch warms it up.
    let batches = usize::try_from(1 + ITEMS / WORK_ITEMS)?;
    let run = bench.run(&subjects::worker(program, "0"), batches)?;
    let cpu_time = run.cpu_time_phases().warm / WORK_ITEMS as f64;
    let sum: Counts = run.counts.iter().skip(2).sum();
    let (calls, bytes) = (
        sum.calls.values().sum(),
        sum.bytes_sent + sum.bytes_received,
    );
    let an_item = |count: u64| count as f64 / ITEMS as f64;
    let name = format!("{name}: an item");
    section.time(&name, cpu_time * 1e6, "µs").at_most(50.0);
    section.time(&name, an_item(calls), "calls");
    section.time(&name, an_item(bytes), "bytes");

    let run = bench.run(&subjects::worker(program, "2"), 1)?;
    let memory = run.peak_memory_mebibytes();
    section
        .time("1,000 items in flight: peak memory", memory, "MiB")
        .at_most(32.0);
    Ok(section)
}
