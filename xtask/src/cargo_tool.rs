//! Tools that are built from crates.io: each in the version that is named here, with the lock file that it brings.

use std::path::PathBuf;

use anyhow::Result;

use crate::places::Places;
use crate::process;
use crate::schedule::Output;

/// Such a tool.
pub(crate) struct CargoTool {
    /// The package, and the executable.
    pub(crate) name: &'static str,
    /// Exactly this version.
    pub(crate) version: &'static str,
}

impl CargoTool {
    /// Builds the tool, unless it is there. Returns the executable.
    pub(crate) fn install(&self, places: &Places, output: &mut Output) -> Result<PathBuf> {
        let root = places.shared().join("cargo").join(self.version);
        let executable = root.join("bin").join(self.name);
        // Cargo puts it there when it is complete.
        if executable.exists() {
            return Ok(executable);
        }
        let mut cargo = process::cargo(&places.root);
        cargo
            .args(["install", "--quiet", "--locked", "--debug"])
            // How fast it runs is no matter; how long it takes to build is.
            .args(["--config", "profile.dev.debug=0"])
            .args(["--version", self.version, "--root"])
            .arg(&root)
            .arg(self.name);
        output.succeed(&mut cargo)?;
        Ok(executable)
    }
}
