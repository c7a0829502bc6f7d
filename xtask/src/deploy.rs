//! `sam deploy --config-env local`: the real template, with the real tool, to the emulator.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::emulator;
use crate::functions::write_if_changed;
use crate::places::Places;
use crate::process;
use crate::stack::Outputs;
use crate::steps::Steps;
use crate::template::{Cors, Template};

/// The part of `samconfig.toml` that must be known here.
#[derive(Debug, Deserialize)]
pub(crate) struct Settings {
    pub(crate) stack_name: String,
    #[serde(default = "default_region")]
    pub(crate) region: String,
    /// SAM takes other forms too; one is enough.
    #[serde(default)]
    parameter_overrides: BTreeMap<String, String>,
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
}

/// What every parameter of the template is deployed with.
///
/// Each is given each time: CloudFormation would keep what is not given as it was, a value that somebody tried out
/// weeks ago, or the default of then.
#[derive(Debug, PartialEq)]
pub(crate) struct Parameters(BTreeMap<String, String>);

/// Parameters that mean nothing here, with the reason.
const FIXED: [(&str, &str); 3] = [
    ("Architecture", "it is this machine's"),
    ("EmulatorPort", "it is the emulator's"),
    ("MaxWorkers", "with an emulator it is 20"),
];

impl Parameters {
    /// The template's defaults, below what `samconfig.toml` says, below what was given to this call. Refuses what
    /// could not be deployed, or would be ignored in silence.
    pub(crate) fn new(
        template: &Template,
        settings: &Settings,
        set: &[(String, String)],
    ) -> Result<Self> {
        for (name, _) in set {
            if let Some((_, reason)) = FIXED.iter().find(|(fixed, _)| fixed == name) {
                bail!("{name} cannot be set here: {reason}");
            }
        }
        let defaults = template
            .parameters
            .iter()
            .filter_map(|(name, parameter)| Some((name.clone(), parameter.default.clone()?)));
        let values: BTreeMap<String, String> = defaults
            .chain(settings.parameter_overrides.clone())
            .chain(set.iter().cloned())
            .collect();
        for (name, value) in &values {
            template.check(name, value)?;
        }
        Ok(Self(values))
    }

    /// With those that only the emulator and this machine decide.
    pub(crate) fn at(mut self, endpoint: &str) -> Result<Self> {
        let port = emulator::port_of(endpoint).with_context(|| {
            format!("{endpoint} names no port; give one, as in http://localhost:4566")
        })?;
        for (name, value) in [
            ("Architecture", architecture()?.to_owned()),
            ("EmulatorPort", port.to_string()),
        ] {
            self.0.insert(name.to_owned(), value);
        }
        Ok(self)
    }

    /// `Name=Value` for each that somebody decided to have otherwise than the template.
    fn unusual(&self, template: &Template) -> Vec<String> {
        let is_unusual = |name: &str, value: &str| {
            let parameter = template.parameters.get(name);
            let default = parameter.and_then(|it| it.default.as_deref());
            default != Some(value) && FIXED.iter().all(|(fixed, _)| *fixed != name)
        };
        self.0
            .iter()
            .filter(|(name, value)| is_unusual(name, value))
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    /// A file for `sam deploy --parameter-overrides file://…`: JSON, which SAM reads as YAML. On the command line it
    /// refuses an empty value, and ends one at a blank.
    fn for_sam(&self) -> Value {
        let escaped = |value: &String| {
            let value = [' ', '"', '\'']
                .iter()
                .fold(value.clone(), |value, escaped| {
                    value.replace(&format!("\\{escaped}"), &format!("\\\\{escaped}"))
                });
            // It would take quotes of the value's own for these.
            format!("\"{value}\"")
        };
        self.0
            .iter()
            .map(|(name, value)| (name.clone(), Value::String(escaped(value))))
            .collect()
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// Deploys what [`crate::functions::build`] prepared and returns the stack's outputs.
pub(crate) fn deploy(
    places: &Places,
    steps: &Steps,
    aws: &Aws,
    settings: &Settings,
    parameters: &Parameters,
) -> Result<Outputs> {
    steps.run("deploy template.yaml", |step| {
        let template = Template::read(places)?;
        let file = places.deployment().join("parameters.yaml");
        write_if_changed(&file, format!("{:#}\n", parameters.for_sam()).as_bytes())?;
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
        sam.arg("--parameter-overrides")
            .arg(format!("file://{}", file.display()));
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
        let mut result = if unchanged {
            "nothing changed".to_owned()
        } else {
            format!("stack {}", settings.stack_name)
        };
        let unusual = parameters.unusual(&template);
        if !unusual.is_empty() {
            result = format!("{result}; not the defaults: {}", unusual.join(" "));
        }
        step.result(result);
        Ok(outputs)
    })
}

/// Tells the emulator the APIs' CORS settings, which it does not take from a template (AWS does).
pub(crate) fn apply_cors(
    places: &Places,
    aws: &Aws,
    outputs: &Outputs,
    parameters: &Parameters,
) -> Result<()> {
    let template = Template::read(places)?;
    let others = parameters.get("AllowedOrigins");
    let cors = cors(template.cors()?, &outputs.page_url, others).to_string();
    for api_url in [Some(&outputs.api_url), outputs.basic_api_url.as_ref()] {
        let Some(api_id) = api_url.and_then(|url| url.rsplit('/').next()) else {
            continue;
        };
        let call = ["apigatewayv2", "update-api", "--api-id", api_id];
        aws.call(&[&call[..], &["--cors-configuration", &cors]].concat())?;
    }
    Ok(())
}

/// Gives the WebSocket API the answers that it gives by itself, which the emulator does not take from a template (AWS
/// does).
pub(crate) fn apply_answers(places: &Places, aws: &Aws, outputs: &Outputs) -> Result<()> {
    let Some(api) = &outputs.socket_api_id else {
        return Ok(());
    };
    let template = Template::read(places)?;
    let call = |operation: &str, more: &[&str]| {
        let call = ["apigatewayv2", operation, "--api-id", api];
        aws.call(&[&call, more].concat())
    };
    let routes = call("get-routes", &[])?;
    for (route, resource) in [("ping", "PingAnswer"), ("$default", "RefusalAnswer")] {
        let routes = routes["Items"].as_array().into_iter().flatten();
        let target = routes
            .filter(|it| it["RouteKey"] == route)
            .find_map(|it| it["Target"].as_str()?.strip_prefix("integrations/"));
        let integration = ["--integration-id", target.context("no such route")?];
        let known = call("get-integration-responses", &integration)?;
        let known = known["Items"][0]["IntegrationResponseId"].as_str();
        let (operation, known) = match known {
            Some(known) => (
                "update-integration-response",
                vec!["--integration-response-id", known],
            ),
            None => ("create-integration-response", vec![]),
        };
        let answer = json!({"$default": template.answer(resource)?}).to_string();
        let answer = [
            "--integration-response-key",
            "$default",
            "--response-templates",
            &answer,
        ];
        call(operation, &[&integration, &known[..], &answer].concat())?;
    }
    Ok(())
}

/// What the template says, so that the page meets the same rules here as on AWS.
fn cors(rules: &Cors, page: &str, others: &str) -> Value {
    let others = others.split(',').filter(|origin| !origin.is_empty());
    json!({
        "AllowOrigins": std::iter::once(page).chain(others).collect::<Vec<_>>(),
        "AllowMethods": rules.allow_methods,
        "AllowHeaders": rules.allow_headers,
        "ExposeHeaders": rules.expose_headers,
        "MaxAge": rules.max_age,
    })
}

/// This machine's, in Lambda's words: the functions run here.
fn architecture() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("x86_64"),
        "aarch64" => Ok("arm64"),
        other => bail!("Lambda knows no {other} processors"),
    }
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

    fn parameters(set: &[(&str, &str)]) -> Result<Parameters> {
        let places = Places::find(None)?;
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let set: Vec<_> = set.iter().map(owned).collect();
        Parameters::new(&Template::read(&places)?, &Settings::read(&places)?, &set)
    }

    #[test]
    fn every_parameter_is_given_each_time() -> Result<()> {
        let template = Template::read(&Places::find(None)?)?;
        let deployed = parameters(&[("FailEvery", "2")])?.at("http://127.0.0.1:4566")?;
        assert!(deployed.0.keys().eq(template.parameters.keys()));
        assert_eq!(deployed.get("FailEvery"), "2");
        assert_eq!(deployed.get("EmulatorPort"), "4566");
        assert_eq!(
            deployed.unusual(&template),
            ["BasicAuth=on", "FailEvery=2", "LiveUpdates=true"]
        );
        assert_eq!(parameters(&[])?.get("FailEvery"), "0");
        Ok(())
    }

    #[test]
    fn the_developers_values_go_on_top_of_the_files_and_those_on_top_of_the_defaults() -> Result<()>
    {
        let template = Template::read(&Places::find(None)?)?;
        let settings = Settings::parse(
            "[local.global.parameters]\nstack_name = \"s\"\n[local.deploy.parameters]\n\
             parameter_overrides = { LogLevel = \"warn\", ItemSeconds = \"1\" }\n",
        )?;
        let set = [("ItemSeconds".to_owned(), "3".to_owned())];
        let merged = Parameters::new(&template, &settings, &set)?;
        assert_eq!(
            merged.unusual(&template),
            ["ItemSeconds=3", "LogLevel=warn"]
        );
        assert_eq!(
            (settings.stack_name.as_str(), settings.region.as_str()),
            ("s", "us-east-1")
        );
        Ok(())
    }

    #[test]
    fn what_cannot_be_deployed_here_is_refused() {
        for (name, value) in [
            ("NoSuchParameter", "1"),
            ("MaxItems", "many"),
            ("MaxWorkers", "5"),
        ] {
            assert!(parameters(&[(name, value)]).is_err(), "{name}");
        }
        for (name, _) in FIXED {
            let template = Template::read(&Places::find(None).unwrap()).unwrap();
            assert!(template.parameters.contains_key(name), "{name}");
        }
    }

    #[test]
    fn empty_values_and_blanks_and_quotes_arrive() {
        let values = [
            "",
            "a b",
            " ",
            "\"quoted\"",
            "'it's'",
            "a\\ b\\\"c\\'d",
            "a=b c=d",
            "x\ny",
        ];
        let parameters = Parameters(
            values
                .iter()
                .enumerate()
                .map(|(n, value)| (n.to_string(), (*value).to_owned()))
                .collect(),
        );
        for (value, written) in values
            .iter()
            .zip(parameters.for_sam().as_object().unwrap().values())
        {
            assert_eq!(&as_sam_reads(written.as_str().unwrap()), value);
        }
    }

    /// SAM's `_unquote_wrapped_quotes` (samcli/cli/types.py).
    fn as_sam_reads(value: &str) -> String {
        let mut quotes = value.chars();
        let (first, last) = (quotes.next(), quotes.next_back());
        let is_wrapped = first == last && matches!(first, Some('"' | '\''));
        let value = if is_wrapped {
            &value[1..value.len() - 1]
        } else {
            value
        };
        value
            .replace("\\ ", " ")
            .replace("\\\"", "\"")
            .replace("\\'", "'")
    }

    #[test]
    fn the_stacks_own_page_may_always_call_the_api() -> Result<()> {
        let template = Template::read(&Places::find(None)?)?;
        let rules = template.cors()?;
        let alone = cors(rules, "http://page", "");
        assert_eq!(alone["AllowOrigins"], json!(["http://page"]));
        assert_eq!(alone["AllowMethods"], json!(["GET", "POST", "DELETE"]));
        assert_eq!(alone["MaxAge"], 7200);
        let with_others = cors(rules, "http://page", "http://a,http://b");
        assert_eq!(
            with_others["AllowOrigins"],
            json!(["http://page", "http://a", "http://b"])
        );
        Ok(())
    }
}
