//! Who a name and a password belong to: the authorizer of the HTTP API for HTTP Basic.

use std::process::ExitCode;

fn main() -> ExitCode {
    longhaul::authorizer::run()
}
