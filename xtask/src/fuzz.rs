//! `cargo xtask fuzz`: feeds one of the targets of `tests/fuzz` with whatever `cargo fuzz` makes up.

use std::fs;
use std::process::ExitCode;

use anyhow::Result;

use crate::places::Places;
use crate::process;

/// What the deployed functions are built with takes long to build and says less: the fuzzer wants quick, not smallest,
/// and a panic of arithmetic to be one.
const PROFILE: [(&str, &str); 5] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"),
    ("CARGO_PROFILE_RELEASE_STRIP", "none"),
];

/// Runs a target for so many minutes, beginning with its seeds and what earlier runs have found.
pub(crate) fn run(places: &Places, target: &str, minutes: u32) -> Result<ExitCode> {
    let package = places.root.join("tests/fuzz");
    // What it finds goes to the first of the folders.
    let found = package.join("corpus").join(target);
    fs::create_dir_all(&found)?;
    let mut cargo = process::cargo(&places.root);
    cargo
        .args([
            "fuzz",
            "run",
            "--sanitizer",
            "none",
            "--features",
            "libfuzzer",
        ])
        .arg("--fuzz-dir")
        .arg(&package)
        .arg("--target-dir")
        .arg(places.root.join("target/fuzz"))
        .arg(target)
        .args([found, package.join("seeds").join(target)])
        .arg("--")
        .arg(format!("-max_total_time={}", minutes * 60))
        // `cargo fuzz` asks for the compiler's coverage, which is none of what stable promises.
        .env("RUSTC_BOOTSTRAP", "1")
        .envs(PROFILE);
    let status = process::show(&mut cargo)?;
    Ok(process::exit_code(status))
}
