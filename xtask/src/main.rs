//! `cargo xtask`: the commands a developer of Longhaul needs, with nothing to install but Rust and Python.

mod artifacts;
mod aws;
mod bench;
mod cargo_tool;
mod checks;
mod commands;
mod deploy;
mod dynamodb;
mod emulator;
mod environment;
mod foreign_emulator;
mod functions;
mod fuzz;
mod infrastructure;
mod interrupt;
mod logs;
mod mutants;
mod openapi;
mod page;
mod pip;
mod places;
mod process;
mod schedule;
mod schemathesis;
mod simulate;
mod stack;
mod steps;
mod supply_chain;
mod template;
mod tools;
mod users;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    interrupt::watch();
    match commands::run(commands::Cli::parse()) {
        Ok(code) => code,
        Err(error) if error.is::<interrupt::Interrupted>() => interrupt::EXIT_CODE.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
