//! The environment of the programs that this one starts: made here, not inherited.
//!
//! A shell holds settings that were made for something else: `PYTHONPATH`, `PIP_USER`, `SAM_CLI_…`, `AWS_PROFILE`,
//! `NODE_ENV`. Each can break one of the tools in a way of its own, after minutes and with a message that leads
//! nowhere. So a tool gets what it needs to find programs, files, the network and the registries, and nothing else.
//!
//! Two get all there is, because it was set for them: cargo ([`crate::process::cargo`]), and the AWS CLI where it works
//! in the developer's own account ([`crate::aws::Aws::Account`]), whose credentials may come from any helper program.

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::Command;

/// The variables that a tool gets, if they are set.
const INHERITED: [&str; 42] = [
    // Where programs and the developer's files are, and how to speak to the developer.
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LOCALE_ARCHIVE",
    "TERM",
    "TZ",
    "NO_COLOR",
    "CI",
    // The way out, and whom to trust there.
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "NIX_SSL_CERT_FILE",
    "NETRC",
    "DBUS_SESSION_BUS_ADDRESS",
    "NPM_CONFIG_REGISTRY",
    "NPM_CONFIG_USERCONFIG",
    "NPM_CONFIG_CAFILE",
    "NPM_CONFIG_CACHE",
    // What the shims of version managers look for, and what lets NixOS run the programs that Python packages bring.
    "PYENV_ROOT",
    "PYENV_VERSION",
    "ASDF_DATA_DIR",
    "ASDF_PYTHON_VERSION",
    "MISE_DATA_DIR",
    "NIX_LD",
    "NIX_LD_LIBRARY_PATH",
];

/// A program with an environment made from this process's.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(made(env::vars_os()));
    command
}

/// What remains of a shell's variables. Proxies and npm's settings are known in capitals and in small letters.
fn made(shell: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let is_inherited = |name: &OsStr| {
        let name = name.to_string_lossy().to_uppercase();
        INHERITED.contains(&name.as_str())
    };
    shell
        .into_iter()
        .filter(|(name, _)| is_inherited(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_left_of(shell: &[&str]) -> Vec<String> {
        let shell = shell.iter().map(|name| (name.into(), "x".into()));
        made(shell)
            .into_iter()
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn what_was_set_for_other_purposes_does_not_reach_a_tool() {
        let shell = [
            "PYTHONPATH",
            "PYTHONHOME",
            "PYTHONSTARTUP",
            "PYTHONUSERBASE",
            "VIRTUAL_ENV",
            "CONDA_PREFIX",
            "PIP_USER",
            "PIP_TARGET",
            "PIP_CONFIG_FILE",
            "AWS_PROFILE",
            "AWS_ENDPOINT_URL",
            "AWS_ACCESS_KEY_ID",
            "SAM_CLI_TELEMETRY",
            "MINISTACK_REGION",
            "GATEWAY_PORT",
            "NODE_OPTIONS",
            "NODE_ENV",
            "NPM_CONFIG_OMIT",
            "npm_config_ignore_scripts",
            "CARGO_TARGET_DIR",
            "RUSTFLAGS",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "BASH_ENV",
            "CDPATH",
        ];
        assert_eq!(names_left_of(&shell), Vec::<String>::new());
    }

    #[test]
    fn what_leads_to_programs_and_through_proxies_does() {
        let shell = [
            "PATH",
            "HOME",
            "https_proxy",
            "NO_PROXY",
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
            "NODE_EXTRA_CA_CERTS",
            "npm_config_registry",
            "PYENV_VERSION",
        ];
        assert_eq!(names_left_of(&shell), shell);
    }

    #[test]
    fn a_program_sees_the_made_environment_alone() -> anyhow::Result<()> {
        // Cargo sets this one for every test.
        assert!(env::var_os("CARGO_PKG_NAME").is_some());
        let seen = crate::process::capture(&mut command("env"), |_| {})?.stdout;
        assert!(seen.contains("PATH="), "{seen}");
        assert!(!seen.contains("CARGO_PKG_NAME="), "{seen}");
        Ok(())
    }
}
