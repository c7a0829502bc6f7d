//! Measures a deployed stack. `cargo xtask bench` starts one and runs this.
//!
//! It prints sections of figures as JSON, as every part of the bench does. The stack is the one that `LONGHAUL_STACK`
//! names, and should have nothing else to do meanwhile.

mod gate;
mod load;
mod time;
mod visit;

use std::process::ExitCode;
use std::{env, io};

use anyhow::{Result, bail};
use e2e::Stack;

fn main() -> ExitCode {
    match run(env::args().nth(1).as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(part: Option<&str>) -> Result<()> {
    let stack = Stack::load()?;
    let sections = match part {
        Some("time") => time::measure(&stack)?,
        Some("load") => load::measure(&stack)?,
        _ => bail!("time, or load?"),
    };
    Ok(serde_json::to_writer(io::stdout(), &sections)?)
}
