//! `sam deploy --config-env local`: the real template, with the real tool, to the emulator.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::emulator;
use crate::places::Places;
use crate::process;
use crate::stack::Outputs;
use crate::steps::Steps;

/// The part of `samconfig.toml` that must be known here.
#[derive(Debug, Deserialize)]
pub(crate) struct Settings {
    pub(crate) stack_name: String,
    #[serde(default = "default_region")]
    pub(crate) region: String,
    #[serde(default)]
    parameter_overrides: Overrides,
}

/// SAM accepts one string or a list of `Name=Value`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Overrides {
    Text(String),
    List(Vec<String>),
}

impl Default for Overrides {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

impl Settings {
    /// `[local.deploy.parameters]`, with `[local.global.parameters]` below it as SAM reads them.
    pub(crate) fn read(places: &Places) -> Result<Self> {
        let path = places.sam_config();
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text)
            .with_context(|| format!("{} has no usable [local.deploy.parameters]", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let document: toml::Table = toml::from_str(text)?;
        let parameters = |section: &str| {
            document
                .get("local")?
                .get(section)?
                .get("parameters")?
                .as_table()
                .cloned()
        };
        let mut merged = parameters("global").unwrap_or_default();
        merged.extend(parameters("deploy").context("there is no [local.deploy.parameters]")?);
        Ok(toml::Value::Table(merged).try_into()?)
    }

    /// What `sam deploy` gets: the file's overrides, then what depends on the machine, then the developer's.
    /// On the command line it takes all or nothing, so the merge is done here.
    fn overrides(&self, machine: &[(&str, String)], set: &[(String, String)]) -> Vec<String> {
        let mut merged = BTreeMap::new();
        let from_file: Vec<&str> = match &self.parameter_overrides {
            Overrides::Text(text) => text.split_whitespace().collect(),
            Overrides::List(list) => list.iter().map(String::as_str).collect(),
        };
        for (name, value) in from_file
            .into_iter()
            .filter_map(|pair| pair.split_once('='))
        {
            merged.insert(name.to_owned(), value.trim_matches('"').to_owned());
        }
        merged.extend(
            machine
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        merged.extend(set.iter().cloned());
        merged
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }
}

/// Deploys what [`crate::functions::build`] prepared and returns the stack's outputs.
pub(crate) fn deploy(
    places: &Places,
    steps: &Steps,
    aws: &Aws,
    settings: &Settings,
    set: &[(String, String)],
) -> Result<Outputs> {
    steps.run("deploy template.yaml", |step| {
        let mut sam = aws.sam();
        sam.args([
            "deploy",
            "--config-env",
            "local",
            "--no-confirm-changeset",
            "--no-fail-on-empty-changeset",
            "--no-progressbar",
            "--config-file",
        ])
        .arg(places.sam_config())
        .arg("--template-file")
        .arg(places.deployment().join("template.yaml"));
        let machine = [
            ("Architecture", architecture()?.to_owned()),
            ("EmulatorPort", emulator_port(aws)?.to_string()),
        ];
        sam.arg("--parameter-overrides")
            .args(settings.overrides(&machine, set));
        let mut resources = 0;
        let output = process::capture(&mut sam, |line| {
            if line.starts_with("CREATE_COMPLETE") || line.starts_with("UPDATE_COMPLETE ") {
                resources += 1;
                let name = line.split_whitespace().nth(2).unwrap_or_default();
                step.busy_with(&format!("{resources} resources, {name}"));
            }
        })?;
        if !output.status.success() {
            bail!(
                "sam deploy failed:\n{}\n{}\n{}",
                process::tail(&output.stdout, 15),
                process::tail(&output.stderr, 15),
                failure_events(aws, &settings.stack_name)
            );
        }
        let outputs = Outputs::read(aws, &settings.stack_name)?;
        let unchanged =
            output.stdout.contains("is up to date") || output.stderr.contains("is up to date");
        step.result(if unchanged {
            "nothing changed".to_owned()
        } else {
            format!("stack {}", settings.stack_name)
        });
        Ok(outputs)
    })
}

/// Tells the emulator the API's CORS settings, which it does not take from a template (AWS does).
pub(crate) fn apply_cors(
    places: &Places,
    aws: &Aws,
    outputs: &Outputs,
    set: &[(String, String)],
) -> Result<()> {
    let template = fs::read_to_string(places.template())?;
    let api_id = outputs.api_url.rsplit('/').next().unwrap_or_default();
    let given = set.iter().rfind(|(name, _)| name == "AllowedOrigins");
    let given = given.map(|(_, origins)| origins.as_str());
    let origins = given.filter(|origins| !origins.is_empty());
    let cors = cors(&template, origins.unwrap_or(&outputs.page_url))?.to_string();
    aws.call(&[
        "apigatewayv2",
        "update-api",
        "--api-id",
        api_id,
        "--cors-configuration",
        &cors,
    ])?;
    Ok(())
}

/// What the template says, so that the page meets the same rules here as on AWS. The origins are separated by commas.
fn cors(template: &str, origins: &str) -> Result<Value> {
    let value = |key: &str| {
        let line = template
            .lines()
            .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(':'));
        Ok(line
            .with_context(|| format!("template.yaml has no {key}"))?
            .split('#')
            .next()
            .unwrap_or_default()
            .trim())
    };
    let list = |key: &str| -> Result<Vec<&str>> {
        Ok(value(key)?
            .trim_matches(['[', ']'])
            .split(',')
            .map(str::trim)
            .collect())
    };
    let seconds: Result<&str> = value("MaxAge");
    Ok(json!({
        "AllowOrigins": origins.split(',').map(str::trim).collect::<Vec<_>>(),
        "AllowMethods": list("AllowMethods")?,
        "AllowHeaders": list("AllowHeaders")?,
        "ExposeHeaders": list("ExposeHeaders")?,
        "MaxAge": seconds?.parse::<u32>().context("MaxAge is no number of seconds")?,
    }))
}

/// This machine's, in Lambda's words: the functions run here.
fn architecture() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("x86_64"),
        "aarch64" => Ok("arm64"),
        other => bail!("Lambda knows no {other} processors"),
    }
}

fn emulator_port(aws: &Aws) -> Result<u16> {
    let endpoint = aws.endpoint().context("only an emulator has a port")?;
    emulator::port_of(endpoint)
        .with_context(|| format!("{endpoint} names no port; give one, as in http://localhost:4566"))
}

/// Parameters that mean nothing here, with the reason.
const FIXED: [(&str, &str); 3] = [
    ("Architecture", "it is this machine's"),
    ("EmulatorPort", "it is the emulator's"),
    ("MaxWorkers", "with an emulator it is 20"),
];

/// Refuses a `--set` that would be ignored in silence: of a parameter that the template does not have, or that cannot
/// be set here.
pub(crate) fn check_parameters(template: &Path, set: &[(String, String)]) -> Result<()> {
    let text = fs::read_to_string(template)
        .with_context(|| format!("cannot read {}", template.display()))?;
    let known = parameters(&text);
    for (name, _) in set {
        ensure!(
            known.contains(&name.as_str()),
            "template.yaml has no parameter {name}; it has {}",
            known.join(", ")
        );
        if let Some((_, reason)) = FIXED.iter().find(|(fixed, _)| fixed == name) {
            bail!("{name} cannot be set here: {reason}");
        }
    }
    Ok(())
}

/// The names under the template's `Parameters:`. A whole YAML parser would have to know CloudFormation's tags.
fn parameters(template: &str) -> Vec<&str> {
    template
        .lines()
        .skip_while(|line| line.trim_end() != "Parameters:")
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with([' ', '#']))
        .filter(|line| line.starts_with("  ") && !line[2..].starts_with([' ', '#']))
        .filter_map(|line| Some(line.trim().split_once(':')?.0))
        .collect()
}

/// What went wrong, in CloudFormation's words.
fn failure_events(aws: &Aws, stack_name: &str) -> String {
    let events = match aws.call(&[
        "cloudformation",
        "describe-stack-events",
        "--stack-name",
        stack_name,
    ]) {
        Ok(events) => events,
        Err(error) => return format!("(no stack events: {error:#})"),
    };
    let failed: Vec<String> = events["StackEvents"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|event| {
            event["ResourceStatus"]
                .as_str()
                .is_some_and(|status| status.contains("FAILED") || status.contains("ROLLBACK"))
        })
        .map(|event| {
            let text = |key: &str| event[key].as_str().unwrap_or("-");
            format!(
                "  {} {} ({}): {}",
                text("ResourceStatus"),
                text("LogicalResourceId"),
                text("ResourceType"),
                text("ResourceStatusReason")
            )
        })
        .collect();
    if failed.is_empty() {
        "(the stack has no failure events)".to_owned()
    } else {
        format!("failure events, newest first:\n{}", failed.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_developers_values_go_on_top_of_the_files() -> Result<()> {
        for overrides in [r#"["A=1", "B=2"]"#, r#""A=1 B=\"2\"""#] {
            let settings = Settings::parse(&format!(
                "[local.global.parameters]\nstack_name = \"s\"\n[local.deploy.parameters]\nparameter_overrides = {overrides}\n"
            ))?;
            let set = [
                ("B".to_owned(), "3".to_owned()),
                ("D".to_owned(), "x y".to_owned()),
            ];
            assert_eq!(
                settings.overrides(&[("B", "0".to_owned()), ("C", "5".to_owned())], &set),
                ["A=1", "B=3", "C=5", "D=x y"]
            );
            assert_eq!(
                (settings.stack_name.as_str(), settings.region.as_str()),
                ("s", "us-east-1")
            );
        }
        Ok(())
    }

    #[test]
    fn cors_settings_are_those_of_the_template() -> Result<()> {
        let template = "      AllowMethods: [GET, POST]\n      AllowHeaders: [authorization]\n      ExposeHeaders: [etag, location]\n      MaxAge: 7200 # seconds\n";
        let expected = json!({
            "AllowOrigins": ["http://page"], "AllowMethods": ["GET", "POST"], "AllowHeaders": ["authorization"],
            "ExposeHeaders": ["etag", "location"], "MaxAge": 7200,
        });
        assert_eq!(cors(template, "http://page")?, expected);
        let real = fs::read_to_string(Places::find(None)?.template())?;
        let several = cors(&real, "http://page, http://localhost:5173")?;
        assert_eq!(
            several["AllowOrigins"],
            json!(["http://page", "http://localhost:5173"])
        );
        for (name, _) in FIXED {
            assert!(parameters(&real).contains(&name), "{name}");
        }
        Ok(())
    }

    #[test]
    fn parameters_are_the_keys_one_level_below() {
        let template = "Transform: x\n\nParameters:\n  # Comment: no\n  First:\n    Type: Number\n\n  Second:\n    Default: 1\nResources:\n  Third:\n    Type: x\n";
        assert_eq!(parameters(template), ["First", "Second"]);
    }
}
