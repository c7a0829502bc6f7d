//! A `DynamoDB` that was written by others than the one in process, for tests that do not need a deployed stack.

use anyhow::{Result, bail};

use crate::emulator::{self, Access, State};
use crate::places::Places;
use crate::process;
use crate::steps::Steps;

/// The environment variable that tells the tests of another `DynamoDB` than the one in process.
pub(crate) const ENDPOINT_VARIABLE: &str = "LONGHAUL_DYNAMODB_ENDPOINT";

/// Starts MiniStack for as long as `work` takes, which gets its URL. Whatever becomes of the work, nothing is left.
pub(crate) fn with_ministack(
    places: &Places,
    region: &str,
    work: impl FnOnce(&str) -> Result<()>,
) -> Result<()> {
    // A run that was killed may have left one behind.
    emulator::stop(places)?;
    let emulator = Steps::new().run("start MiniStack", |step| {
        // Without policies: there is no stack that could have any.
        let emulator = emulator::start(places, step, region, Access::Open)?;
        step.result(emulator.endpoint_url.clone());
        Ok(emulator)
    })?;
    let result = work(&emulator.endpoint_url);
    let is_lost = result.is_err() && !matches!(emulator::state(places), State::Running(_));
    let log = std::fs::read_to_string(places.emulator_log()).unwrap_or_default();
    emulator::stop(places)?;
    match result {
        Err(error) if is_lost && !error.is::<crate::interrupt::Interrupted>() => bail!(
            "{error:#}\nMiniStack did not live to the end of it; its log, {}, says:\n{}",
            places.emulator_log().display(),
            process::tail(&log, 20)
        ),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_read_the_variable_of_that_name() {
        // By another name they would go on in process, and pass.
        let reader = include_str!("../../embedded-aws/src/dynamodb.rs");
        let line = format!("pub const ENDPOINT_VARIABLE: &str = {ENDPOINT_VARIABLE:?};");
        assert!(reader.contains(&line));
    }
}
