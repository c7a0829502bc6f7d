//! How tests that need no deployed stack are told of a `DynamoDB` that was written by others than the one in process.

/// The environment variable that tells the tests of another `DynamoDB` than the one in process.
pub(crate) const ENDPOINT_VARIABLE: &str = "LONGHAUL_DYNAMODB_ENDPOINT";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_read_the_variable_of_that_name() {
        // By another name they would go on in process, and pass.
        let reader = include_str!("../../tests/embedded-aws/src/dynamodb.rs");
        let line = format!("pub const ENDPOINT_VARIABLE: &str = {ENDPOINT_VARIABLE:?};");
        assert!(reader.contains(&line));
    }
}
