//! What must not be in any log, noted down for whoever looks through the logs when the tests are over.

use std::fs::OpenOptions;
use std::io::Write as _;

use anyhow::Result;

/// Names the file.
const FILE: &str = "LONGHAUL_SECRETS";

/// Notes a secret, or something of a person's, where somebody wants it noted.
///
/// # Errors
///
/// When the file cannot be written.
pub fn note(secret: &str) -> Result<()> {
    let Some(path) = std::env::var_os(FILE) else {
        return Ok(());
    };
    let file = OpenOptions::new().append(true).create(true).open(path);
    // A line in one piece: tests run side by side.
    file?.write_all(format!("{secret}\n").as_bytes())?;
    Ok(())
}
