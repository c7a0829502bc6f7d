//! What packages may be made of, where they come from, and which must not be: `deny.toml`.

use anyhow::Result;

use crate::cargo_tool::CargoTool;
use crate::places::Places;
use crate::process;
use crate::schedule::Output;

const CARGO_DENY: CargoTool = CargoTool {
    name: "cargo-deny",
    version: "0.20.2",
};

/// Has all packages of the lock file looked at. Not for advisories: not everybody can reach their database.
pub(crate) fn check(places: &Places, output: &mut Output) -> Result<()> {
    let cargo_deny = CARGO_DENY.install(places, output)?;
    let mut deny = process::as_by_hand(cargo_deny, &places.root);
    output.succeed(deny.args(["--locked", "check", "bans", "licenses", "sources"]))
}
