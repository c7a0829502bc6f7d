//! `cargo xtask openapi`: writes the description of the API anew.

use std::process::ExitCode;

use anyhow::Result;

use crate::places::Places;
use crate::process;

/// What describes it is a test, because it needs the jobs, and nothing but tests of all packages is built with what is
/// built already.
const TEST: [&str; 7] = [
    "test",
    "--workspace",
    "--exclude",
    "e2e",
    "--test",
    "jobs",
    "openapi::the_description_of_the_api_is_that_of_these_jobs",
];

/// Has it written; a failure of cargo is the command's.
pub(crate) fn write(places: &Places) -> Result<ExitCode> {
    let mut cargo = process::cargo(&places.root);
    cargo.args(TEST).env("LONGHAUL_WRITE_OPENAPI", "1");
    let status = process::show(&mut cargo)?;
    Ok(process::exit_code(status))
}
