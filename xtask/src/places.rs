//! Where things are: the checkout, the local state, the tools.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use anyhow::{Context, Result};

/// The directories that every command works with.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// What one local stack keeps on disk. Two stacks with two of these do not disturb each other.
    pub(crate) state: PathBuf,
}

impl Places {
    /// The checkout that xtask was started from, with the state in `state` or else in `.local`.
    pub(crate) fn find(state: Option<PathBuf>) -> Result<Self> {
        // Cargo sets the variable at run time too; that one is right even when two checkouts share a
        // target directory and the executable was built from the other.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .context("xtask has no parent directory")?
            .to_path_buf();
        let state = match state {
            Some(path) => std::path::absolute(path)?,
            None => root.join(".local"),
        };
        Ok(Self { root, state })
    }

    /// The same checkout with another place for the stack's state.
    pub(crate) fn with_state(&self, state: PathBuf) -> Self {
        Self {
            root: self.root.clone(),
            state,
        }
    }

    /// Makes the state directory.
    pub(crate) fn make(&self) -> Result<()> {
        fs::create_dir_all(&self.state)
            .with_context(|| format!("cannot make {}", self.state.display()))
    }

    /// Writes a file of the state that nobody but the developer may read; whoever reads it finds all of it or none.
    pub(crate) fn write_private(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.make()?;
        let partial = path.with_extension("partial");
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&partial)?.write_all(content)?;
            fs::rename(&partial, path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// The checkout's own state, which outlives every stack.
    pub(crate) fn shared(&self) -> PathBuf {
        self.root.join(".local")
    }

    /// The virtual environment. Every stack of this checkout uses the same one.
    pub(crate) fn venv(&self) -> PathBuf {
        self.shared().join("venv")
    }

    /// An executable of the virtual environment.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.venv().join("bin").join(name)
    }

    /// The pinned and hashed tools.
    pub(crate) fn requirements(&self) -> PathBuf {
        self.root.join("tools/requirements.txt")
    }

    /// The virtual environment of schemathesis. What it needs need not go with what the other tools need.
    pub(crate) fn schemathesis(&self) -> PathBuf {
        self.shared().join("schemathesis")
    }

    /// The pinned and hashed packages of that.
    pub(crate) fn schemathesis_requirements(&self) -> PathBuf {
        self.root.join("tools/schemathesis.txt")
    }

    /// The template that is deployed, here and on AWS.
    pub(crate) fn template(&self) -> PathBuf {
        self.root.join("template.yaml")
    }

    /// An example of what may follow when a task has ended.
    pub(crate) fn on_end(&self) -> PathBuf {
        self.root.join("docs/on-end.yaml")
    }

    /// The description of the API.
    pub(crate) fn openapi(&self) -> PathBuf {
        self.root.join("docs/openapi.json")
    }

    /// What has been measured.
    pub(crate) fn benchmarks(&self) -> PathBuf {
        self.root.join("docs/benchmarks.md")
    }

    /// The settings of `sam deploy`.
    pub(crate) fn sam_config(&self) -> PathBuf {
        self.root.join("samconfig.toml")
    }

    /// What is handed to `sam deploy`: a copy of the template beside host builds of the functions.
    ///
    /// The copy keeps them apart from `target/lambda`, where `cargo lambda build` puts what goes to AWS: a local
    /// run must never replace that by debug builds for this machine.
    pub(crate) fn deployment(&self) -> PathBuf {
        self.state.join("deployment")
    }

    /// What is uploaded as the page: `frontend/` and the generated `config.json`.
    pub(crate) fn page(&self) -> PathBuf {
        self.state.join("page")
    }

    /// What the emulator says, the functions' output included.
    pub(crate) fn emulator_log(&self) -> PathBuf {
        self.state.join("ministack.log")
    }

    /// Which emulator was started for this state directory.
    pub(crate) fn emulator_record(&self) -> PathBuf {
        self.state.join("emulator.json")
    }

    /// The emulator's own files; also its `TMPDIR`, so that the functions it unpacks run from here.
    pub(crate) fn emulator_files(&self) -> PathBuf {
        self.state.join("emulator")
    }

    /// The description of the deployed stack.
    pub(crate) fn stack_file(&self) -> PathBuf {
        self.state.join("stack.json")
    }
}
