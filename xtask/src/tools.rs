//! The Python tools, in virtual environments of the project's own: emulator, SAM CLI, AWS CLI and cargo-lambda in one, and
//! checkov, schemathesis and what the functions are measured against, which only tests need, in one each.

use std::fs::{self, File};
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::environment;
use crate::interrupt;
use crate::pip;
use crate::places::Places;
use crate::process;
use crate::steps::{Step, Steps};

/// What the tools need: MiniStack asks for the first, cfn-lint refuses what comes after the last.
const PYTHON_VERSIONS: RangeInclusive<(u32, u32)> = (3, 10)..=(3, 14);

/// Tried in this order: the developer's choice first, then other versions beside an old or a very new default.
const PYTHONS: [&str; 7] = [
    "python3",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python3.14",
    "python",
];

#[derive(Debug, PartialEq)]
struct Python {
    program: String,
    version: (u32, u32),
}

/// What is installed, and where to.
struct Tools {
    requirements: PathBuf,
    venv: PathBuf,
}

impl Tools {
    fn python(&self) -> PathBuf {
        self.venv.join("bin/python")
    }
}

/// Makes the virtual environment, unless the one that is there was completed from the same requirements. True when it
/// was made.
pub(crate) fn install(places: &Places, steps: &Steps) -> Result<bool> {
    let tools = Tools {
        requirements: places.requirements(),
        venv: places.venv(),
    };
    steps.run("install the tools", |step| tools.install(places, step))
}

/// The same for checkov. Returns the Python that has it.
pub(crate) fn install_checkov(places: &Places, steps: &Steps) -> Result<PathBuf> {
    let checkov = Tools {
        requirements: places.root.join("tools/checkov.txt"),
        venv: places.shared().join("checkov"),
    };
    steps.run("install checkov", |step| checkov.install(places, step))?;
    Ok(checkov.python())
}

/// The same for schemathesis.
pub(crate) fn install_schemathesis(places: &Places, steps: &Steps) -> Result<()> {
    let schemathesis = Tools {
        requirements: places.schemathesis_requirements(),
        venv: places.schemathesis(),
    };
    let installed = steps.run("install schemathesis", |step| {
        schemathesis.install(places, step)
    });
    installed.map(drop)
}

/// The same for what the functions are measured against. Returns the Python that has it.
pub(crate) fn install_yardsticks(places: &Places, steps: &Steps) -> Result<PathBuf> {
    let yardsticks = Tools {
        requirements: places.root.join("tools/bench.txt"),
        venv: places.shared().join("bench"),
    };
    steps.run("install boto3 and Django", |step| {
        yardsticks.install(places, step)
    })?;
    Ok(yardsticks.python())
}

impl Tools {
    fn install(&self, places: &Places, step: &Step) -> Result<bool> {
        fs::create_dir_all(places.shared())?;
        let lock = lock(places, step)?;
        let requirements = fs::read(&self.requirements)
            .with_context(|| format!("cannot read {}", self.requirements.display()))?;
        let stamp = stamp(&requirements, &self.venv);
        let stamp_file = self.venv.join("complete");
        if fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp) && runs(&self.python())
        {
            step.result("already there");
            return Ok(false);
        }
        let python = find_python()?;
        self.make(&python, &lock, step)?;
        // Written last: an interrupted install leaves no stamp and is begun anew.
        fs::write(&stamp_file, stamp)?;
        step.result(format!(
            "Python {}.{}, {}",
            python.version.0,
            python.version.1,
            self.venv.display()
        ));
        Ok(true)
    }

    fn make(&self, python: &Python, lock: &File, step: &Step) -> Result<()> {
        let venv = &self.venv;
        if venv.exists() {
            fs::remove_dir_all(venv)
                .with_context(|| format!("cannot remove the incomplete {}", venv.display()))?;
        }
        step.busy_with("making the virtual environment");
        let mut venv_module = environment::command(&python.program);
        venv_module.args(["-m", "venv"]).arg(venv);
        let made = process::capture_holding(&mut venv_module, lock, |_| {})?;
        if !made.status.success() {
            let hint = if made.stdout.contains("ensurepip") || made.stderr.contains("ensurepip") {
                "\nDebian and Ubuntu ship that part as a package of its own: sudo apt install python3-venv"
            } else {
                ""
            };
            bail!(
                "{} -m venv failed:\n{}{}{hint}",
                python.program,
                made.stdout,
                process::tail(&made.stderr, 20)
            );
        }
        // --no-deps: the file names every package, and pip could not check the hashes of what a resolver adds.
        // --only-binary: a source distribution would run its own, unpinned build.
        let mut pip = pip::command(&self.python())?;
        pip.args([
            "install",
            "--require-hashes",
            "--no-deps",
            "--only-binary",
            ":all:",
        ])
        .args(["--no-input", "--progress-bar", "off", "-r"])
        .arg(&self.requirements);
        let mut packages = 0;
        let installed = process::capture_holding(&mut pip, lock, |line| {
            if let Some(package) = line.strip_prefix("Collecting ") {
                packages += 1;
                step.busy_with(&format!("package {packages}: {package}"));
            } else if line.starts_with("Installing collected packages") {
                step.busy_with(&format!("unpacking {packages} packages"));
            }
        })?;
        ensure!(
            installed.status.success(),
            "pip could not install {}:\n{}",
            self.requirements.display(),
            process::tail(&installed.stderr, 20)
        );
        mend_scripts(&venv.join("bin"), &self.python())
    }
}

/// Two commands at once (an `up` and a `test`, or the rest of an install that was killed) would pull the environment
/// from under each other.
fn lock(places: &Places, step: &Step) -> Result<File> {
    let lock = File::create(places.shared().join("venv.lock"))?;
    while lock.try_lock().is_err() {
        step.busy_with("waiting for another install to end");
        interrupt::sleep(Duration::from_millis(200))?;
    }
    Ok(lock)
}

/// What the kernel reads of a script's first line, on the strictest of the systems that this runs on.
const FIRST_LINE_BYTES_MAX: usize = 127;

/// Lets the scripts run from under a path that the first line of a script cannot hold, because it is too long or has a
/// blank: a shell then starts Python. pip does so with the scripts that it writes itself, but not with those that a
/// package brings (`aws`).
fn mend_scripts(directory: &Path, python: &Path) -> Result<()> {
    let python = python.as_os_str().as_bytes();
    let broken = [b"#!", python, b"\n"].concat();
    if broken.len() <= FIRST_LINE_BYTES_MAX && !python.iter().any(u8::is_ascii_whitespace) {
        return Ok(());
    }
    // To the shell a command; to Python a text that nobody reads.
    let mended = [
        b"#!/bin/sh\n'''exec' \"".as_slice(),
        python,
        b"\" \"$0\" \"$@\"\n' '''\n",
    ]
    .concat();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let script = match fs::read(&path) {
            Ok(script) => script,
            // A directory, or a link to a Python that is not there.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::IsADirectory | io::ErrorKind::NotFound
                ) =>
            {
                continue;
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        if let Some(body) = script.strip_prefix(broken.as_slice()) {
            fs::write(&path, [&mended, body].concat())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

fn find_python() -> Result<Python> {
    let mut unfit = Vec::new();
    for program in PYTHONS {
        let Some(python) = ask_version(program) else {
            continue;
        };
        if PYTHON_VERSIONS.contains(&python.version) {
            return Ok(python);
        }
        unfit.push(format!(
            "{program} is {}.{}",
            python.version.0, python.version.1
        ));
    }
    let found = if unfit.is_empty() {
        "none is installed".to_owned()
    } else {
        unfit.join(", ")
    };
    let ((major_min, minor_min), (major_max, minor_max)) = PYTHON_VERSIONS.into_inner();
    bail!(
        "Python {major_min}.{minor_min} to {major_max}.{minor_max} is needed for the emulator and the AWS tools, but {found}.\n\
         Install it (Debian, Ubuntu: sudo apt install python3 python3-venv; macOS: brew install python) and try again."
    )
}

fn ask_version(program: &str) -> Option<Python> {
    let output = environment::command(program)
        .args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().split_once('.')?;
    Some(Python {
        program: program.to_owned(),
        version: (major.parse().ok()?, minor.parse().ok()?),
    })
}

fn runs(python: &Path) -> bool {
    environment::command(python)
        .args(["-c", ""])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Changes with the requirements and with the place: a virtual environment's scripts hold their own path.
fn stamp(requirements: &[u8], venv: &Path) -> String {
    let digest = Sha256::new()
        .chain_update(requirements)
        .chain_update(venv.to_string_lossy().as_bytes())
        .finalize();
    format!("{digest:x}\n")
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_stamp_changes_with_the_requirements_and_with_the_place() {
        let first = stamp(b"a==1", Path::new("/a"));
        assert_eq!(first, stamp(b"a==1", Path::new("/a")));
        assert_ne!(first, stamp(b"a==2", Path::new("/a")));
        assert_ne!(first, stamp(b"a==1", Path::new("/b")));
    }

    #[test]
    fn scripts_run_from_under_a_path_that_their_first_line_cannot_hold() -> Result<()> {
        let base = env::temp_dir().join(format!("longhaul-scripts-{}", std::process::id()));
        let mut where_it_is = environment::command(find_python()?.program);
        where_it_is.args(["-c", "import sys; print(sys.executable)"]);
        let real_python = process::capture(&mut where_it_is, |_| {})?.stdout;
        for name in ["a blank", &"long".repeat(40)] {
            let directory = base.join(name);
            fs::create_dir_all(&directory)?;
            let python = directory.join("python");
            symlink(real_python.trim(), &python)?;
            let script = directory.join("tool");
            let text = format!("#!{}\nimport sys\nprint(sys.argv[1:])\n", python.display());
            fs::write(&script, text)?;
            fs::set_permissions(&script, Permissions::from_mode(0o755))?;
            mend_scripts(&directory, &python)?;
            let mut run = environment::command(&script);
            let output = process::capture(run.args(["a b", "c"]), |_| {})?;
            assert_eq!(output.stdout, "['a b', 'c']\n", "{}", output.stderr);
        }
        fs::remove_dir_all(base)?;
        Ok(())
    }

    #[test]
    fn a_program_that_is_not_python_is_no_python() {
        assert_eq!(ask_version("true"), None);
        assert_eq!(ask_version("no-such-program"), None);
    }
}
