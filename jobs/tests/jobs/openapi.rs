//! `docs/openapi.json` describes the API as these jobs make it.

use std::{env, fs};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

/// With this variable it is written, and not only compared.
const WRITE: &str = "LONGHAUL_WRITE_OPENAPI";

#[test]
fn the_description_of_the_api_is_that_of_these_jobs() {
    let described = format!("{:#}\n", longhaul::openapi::document::<jobs::Jobs>());
    if env::var_os(WRITE).is_some() {
        fs::write(COMMITTED, &described).unwrap();
    }
    let committed = fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(
        committed == described,
        "docs/openapi.json is of other jobs, or of another version: write it anew by `cargo xtask openapi`"
    );
}
