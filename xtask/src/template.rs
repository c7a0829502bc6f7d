//! What the commands know of `template.yaml`: its parameters and what they may be, where the functions' code belongs,
//! and which rules the API has for other origins.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use regex_lite::Regex;
use serde::Deserialize;

use crate::places::Places;

/// The part of the template that is read here. Its tags (`!Ref`) are passed over.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Template {
    pub(crate) parameters: BTreeMap<String, Parameter>,
    resources: BTreeMap<String, Resource>,
}

/// What may be set, and to what. Values are texts, as for CloudFormation.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Parameter {
    r#type: String,
    pub(crate) default: Option<String>,
    min_value: Option<f64>,
    max_value: Option<f64>,
    allowed_values: Vec<String>,
    allowed_pattern: Option<String>,
    constraint_description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    #[serde(default)]
    properties: Properties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Properties {
    code_uri: Option<String>,
    cors_configuration: Option<Cors>,
    response_templates: Option<BTreeMap<String, String>>,
    #[cfg(test)]
    environment: Option<tests::FunctionEnvironment>,
    #[cfg(test)]
    route_key: Option<String>,
}

/// The API's rules for other origins, but for the origins.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Cors {
    pub(crate) allow_methods: Vec<String>,
    pub(crate) allow_headers: Vec<String>,
    pub(crate) expose_headers: Vec<String>,
    pub(crate) max_age: u32,
}

impl Template {
    /// The checkout's.
    pub(crate) fn read(places: &Places) -> Result<Self> {
        let path = places.template();
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is no usable template", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(serde_saphyr::from_str(text)?)
    }

    /// Refuses what CloudFormation refuses, in fewer minutes.
    pub(crate) fn check(&self, name: &str, value: &str) -> Result<()> {
        let Some(parameter) = self.parameters.get(name) else {
            let known: Vec<&str> = self.parameters.keys().map(String::as_str).collect();
            bail!(
                "template.yaml has no parameter {name}; it has {}",
                known.join(", ")
            );
        };
        let reason = parameter.refusal(value)?;
        if let Some(reason) = reason {
            let reason = parameter.constraint_description.as_ref().unwrap_or(&reason);
            bail!("{name} cannot be {value:?}: it {reason}");
        }
        Ok(())
    }

    /// Where the template expects a function's `bootstrap`, relative to itself.
    pub(crate) fn code_uri(&self, function: &str) -> Result<&str> {
        let resources = self.resources.values();
        resources
            .filter_map(|resource| resource.properties.code_uri.as_deref())
            .find(|uri| uri.trim_end_matches('/').rsplit('/').next() == Some(function))
            .with_context(|| format!("template.yaml has no CodeUri that ends in /{function}"))
    }

    /// What the integration of this response answers.
    pub(crate) fn answer(&self, resource: &str) -> Result<&str> {
        let resource_found = self.resources.get(resource);
        let answers = resource_found.and_then(|it| it.properties.response_templates.as_ref());
        let answer = answers.and_then(|answers| answers.values().next());
        let answer = answer.with_context(|| format!("template.yaml has no answer {resource}"))?;
        Ok(answer)
    }

    /// The API's rules for other origins.
    pub(crate) fn cors(&self) -> Result<&Cors> {
        let mut resources = self.resources.values();
        resources
            .find_map(|resource| resource.properties.cors_configuration.as_ref())
            .context("template.yaml has no CorsConfiguration")
    }
}

impl Parameter {
    /// Why CloudFormation would not take the value.
    fn refusal(&self, value: &str) -> Result<Option<String>> {
        if !self.allowed_values.is_empty() && !self.allowed_values.iter().any(|it| it == value) {
            let allowed = self.allowed_values.join(", ");
            return Ok(Some(format!("must be one of {allowed}")));
        }
        if self.r#type == "Number" {
            let Some(number) = number(value) else {
                return Ok(Some("must be a number".to_owned()));
            };
            let (min, max) = (self.min_value, self.max_value);
            if min.is_some_and(|min| number < min) || max.is_some_and(|max| number > max) {
                let bound =
                    |bound: Option<f64>| bound.map_or("any".to_owned(), |it| it.to_string());
                let (min, max) = (bound(min), bound(max));
                return Ok(Some(format!("must be a number from {min} to {max}")));
            }
            return Ok(None);
        }
        if let Some(pattern) = &self.allowed_pattern {
            let whole = Regex::new(&format!("^(?:{pattern})$"))?;
            if !whole.is_match(value) {
                return Ok(Some(format!("must match {pattern}")));
            }
        }
        Ok(None)
    }
}

/// A decimal number. Rust, like the emulator, would take `inf` for one too.
fn number(text: &str) -> Option<f64> {
    let is_decimal = text.bytes().any(|byte| byte.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    is_decimal.then(|| text.parse().ok())?
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;
    use std::fmt;

    use anyhow::anyhow;
    use jobs::{DeliverMessages, ImportContacts, Sample};
    use longhaul::config::Environment;
    use longhaul::{JobList as _, Process as _, Setup};
    use serde::Deserializer;
    use serde::de::{EnumAccess, IgnoredAny, SeqAccess, VariantAccess as _, Visitor};

    use super::*;

    /// A function's environment in the template: of a `!Ref`, the name of the parameter or resource.
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub(crate) struct FunctionEnvironment {
        variables: BTreeMap<String, Variable>,
    }

    /// A text; of a choice between several (`!If`) the last.
    #[derive(Debug)]
    struct Variable(String);

    impl<'de> Deserialize<'de> for Variable {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Text;

            impl<'de> Visitor<'de> for Text {
                type Value = Variable;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a text or a choice")
                }

                fn visit_str<E>(self, text: &str) -> Result<Variable, E> {
                    Ok(Variable(text.to_owned()))
                }

                fn visit_i64<E>(self, number: i64) -> Result<Variable, E> {
                    Ok(Variable(number.to_string()))
                }

                fn visit_u64<E>(self, number: u64) -> Result<Variable, E> {
                    Ok(Variable(number.to_string()))
                }

                fn visit_seq<A: SeqAccess<'de>>(
                    self,
                    mut choices: A,
                ) -> Result<Variable, A::Error> {
                    let mut last = Variable(String::new());
                    while let Some(choice) = choices.next_element()? {
                        last = choice;
                    }
                    Ok(last)
                }

                /// What has a tag.
                fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Variable, A::Error> {
                    let (_, content) = tagged.variant::<IgnoredAny>()?;
                    content.newtype_variant()
                }
            }
            deserializer.deserialize_any(Text)
        }
    }

    /// Given to a deployment that delivers messages.
    const DELIVERY_URL: &str = "https://example.com/messages";

    fn template() -> Result<Template> {
        Template::read(&Places::find(None)?)
    }

    /// Starts every function with one parameter set and the others as they are by default, and where messages go.
    fn start_functions(template: &Template, name: &str, value: &str) -> Result<()> {
        let values = template.parameters.iter().map(|(parameter, it)| {
            let default = it.default.as_deref().unwrap_or_default();
            let value = match parameter.as_str() {
                parameter if parameter == name => value,
                "DeliveryUrl" => DELIVERY_URL,
                _ => default,
            };
            (parameter.as_str(), value)
        });
        let values: BTreeMap<_, _> = values.collect();
        let of_all = [
            ("TABLE_NAME", "table"),
            ("JOB_QUEUES", "deliver-messages=https://sqs/1"),
        ];
        for (function, resource) in &template.resources {
            let Some(environment) = &resource.properties.environment else {
                continue;
            };
            let own = environment.variables.iter().map(|(variable, text)| {
                let text = text.0.as_str();
                let value = values.get(text).copied().unwrap_or(text);
                (variable.as_str(), value)
            });
            let variables: BTreeMap<_, _> = of_all.into_iter().chain(own).collect();
            start_function(function, &variables).with_context(|| function.clone())?;
        }
        Ok(())
    }

    fn start_function(function: &str, variables: &BTreeMap<&str, &str>) -> Result<()> {
        if variables.get("DELIVERY_URL") == Some(&"") {
            // Then there is no such function.
            return Ok(());
        }
        let lookup = |variable: &str| Some((*variables.get(variable)?).to_owned());
        let is_worker = ["WorkerFunction", "DeliverMessagesFunction"].contains(&function);
        Environment::read_from(&lookup, |environment| match function {
            "SubmitFunction" => drop(longhaul::submit::Config::read::<jobs::Jobs>(environment)),
            "StatusFunction" => drop(longhaul::status::Config::read::<jobs::Jobs>(environment)),
            "SweeperFunction" => drop(longhaul::sweeper::Config::read(environment)),
            "LiveFunction" => drop(longhaul::live::Config::read(environment)),
            "NotifyFunction" => drop(longhaul::notify::Config::read(environment)),
            "AuthorizerFunction" => drop(longhaul::authorizer::Config::read(environment)),
            "EndedFunction" => drop(longhaul::ended::Config::read(environment)),
            _ => {
                assert!(is_worker, "a function of which nobody knows what it reads");
                drop(longhaul::worker::Config::read::<jobs::Jobs>(environment));
            }
        })?;
        let setup: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, *value))
            .collect();
        let setup = Setup::of(&setup);
        let started = pollster::block_on(async {
            match function {
                "WorkerFunction" => {
                    Sample::start(&setup).await?;
                    ImportContacts::start(&setup).await.map(drop)
                }
                "DeliverMessagesFunction" => DeliverMessages::start(&setup).await.map(drop),
                _ => Ok(()),
            }
        });
        started.map_err(|error| anyhow!("{error}"))
    }

    /// The ends of what a parameter may be, and ways to write something in between.
    fn candidates(parameter: &Parameter) -> Vec<String> {
        let mut values = parameter.allowed_values.clone();
        values.extend(parameter.default.clone());
        for bound in [parameter.min_value, parameter.max_value]
            .into_iter()
            .flatten()
        {
            values.extend([
                format!("{bound}"),
                format!("{bound:.1}"),
                format!("{bound:e}"),
            ]);
            values.extend([
                format!("+{bound}"),
                format!("{}", bound + 0.5),
                format!("{}", bound - 0.5),
            ]);
        }
        values.extend(
            [
                "1e1", "1E+1", "10.", ".5", "-0", "007", "1e400", "1_0", "NaN", "inf", " 5", "0x5",
                "",
            ]
            .map(str::to_owned),
        );
        values
    }

    #[test]
    fn whatever_the_template_takes_starts_the_functions() -> Result<()> {
        let template = template()?;
        let mut taken = 0;
        for (name, parameter) in &template.parameters {
            for value in candidates(parameter) {
                if template.check(name, &value).is_ok() {
                    taken += 1;
                    start_functions(&template, name, &value)
                        .with_context(|| format!("{name}={value}"))?;
                }
            }
        }
        // That it takes hardly anything is not how this is to pass.
        assert!(taken > 100, "{taken}");
        Ok(())
    }

    #[test]
    fn what_would_fail_in_the_middle_of_a_deploy_is_refused_before_it() -> Result<()> {
        let template = template()?;
        for (name, value) in [
            ("MaxItems", "0"),
            ("MaxItems", "ten"),
            ("MaxItems", "NaN"),
            ("MaxItems", "1e9"),
            // These become properties of resources, which want whole numbers.
            ("MaxWorkers", "5.0"),
            ("MaxWorkers", "1e1"),
            ("MaxWorkers", "1"),
            ("MaxWorkers", "1001"),
            ("WorkerTimeoutSeconds", "150.0"),
            ("WorkerTimeoutSeconds", "901"),
            ("LogRetentionDays", "8"),
            ("Uniqueness", "task"),
            ("AlarmEmail", "a b@example.com"),
            ("EmulatorPort", "http"),
            // What no browser sends as an origin would match none.
            ("AllowedOrigins", "https://example.com/"),
            ("AllowedOrigins", "https://Example.com"),
            ("AllowedOrigins", "https://example.com/page"),
            ("AllowedOrigins", "example.com"),
            ("AllowedOrigins", "*"),
            ("AllowedOrigins", "https://a.com, https://b.com"),
            ("AllowedOrigins", "https://a.com,"),
            ("DeliveryUrl", "example.com/messages"),
            ("DeliveryUrl", "https://"),
            ("DeliveryUrl", "https://example.com/a b"),
            ("NoSuchParameter", "1"),
        ] {
            assert!(template.check(name, value).is_err(), "{name}={value}");
        }
        for (name, value) in [
            ("MaxItems", "1e5"),
            ("MaxItems", "10.0"),
            ("MaxWorkers", "2"),
            ("MaxWorkers", "1000"),
            ("AlarmEmail", ""),
            ("AllowedOrigins", ""),
            ("DeliveryUrl", ""),
            ("DeliveryUrl", "https://example.com"),
            ("DeliveryUrl", "http://127.0.0.1:8080/messages?from=us"),
            (
                "AllowedOrigins",
                "http://localhost:5173,https://example.com",
            ),
        ] {
            template.check(name, value)?;
        }
        Ok(())
    }

    #[test]
    fn a_message_does_not_come_again_while_its_worker_lives() -> Result<()> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct WithMappings {
            mappings: Mappings,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Mappings {
            worker_timeout: BTreeMap<String, BTreeMap<String, u32>>,
        }
        let text = fs::read_to_string(Places::find(None)?.template())?;
        let mapping = serde_saphyr::from_str::<WithMappings>(&text)?
            .mappings
            .worker_timeout;
        let allowed = &template()?.parameters["WorkerTimeoutSeconds"].allowed_values;
        assert_eq!(mapping.len(), allowed.len());
        for timeout in allowed {
            let visibility = mapping[timeout]["Visibility"];
            assert!(visibility > timeout.parse()?, "{timeout}: {visibility}");
        }
        Ok(())
    }

    /// Both ends of the route that leads to what is described at this path: where that has a job's name, or what stands
    /// for all of them, the route has any.
    fn routes_to(method: &str, path: &str) -> [String; 2] {
        let is_list = |segment: &str| segment == "tasks" || jobs::Jobs::NAMES.contains(&segment);
        let segments = path.trim_end_matches('/').split('/');
        let segments = segments.map(|segment| if is_list(segment) { "{job}" } else { segment });
        let route = segments.collect::<Vec<_>>().join("/");
        let route = format!("{} {route}", method.to_uppercase());
        [format!("{route}/"), route]
    }

    #[test]
    fn the_api_is_described_route_by_route() -> Result<()> {
        let text = fs::read(Places::find(None)?.openapi())?;
        let description: serde_json::Value = serde_json::from_slice(&text)?;
        let mut described = BTreeSet::new();
        for (path, operations) in description["paths"].as_object().context("no paths")? {
            assert!(path.ends_with('/'), "{path}");
            let operations = operations.as_object().context("no operations")?;
            for method in operations.keys().filter(|key| *key != "parameters") {
                described.extend(routes_to(method, path));
            }
        }
        let template = template()?;
        let resources = template.resources.values();
        let keys = resources.filter_map(|resource| resource.properties.route_key.clone());
        // Those of the WebSocket API have no method.
        let routes: BTreeSet<_> = keys.filter(|key| key.contains(' ')).collect();
        assert_eq!(described, routes);
        Ok(())
    }

    #[test]
    fn what_cargo_lambda_builds_is_what_is_deployed() -> Result<()> {
        let manifest = fs::read_to_string(Places::find(None)?.root.join("Cargo.toml"))?;
        let manifest: toml::Table = toml::from_str(&manifest)?;
        // Its own default is below the target directory, which the developer's settings may have moved.
        let built = &manifest["workspace"]["metadata"]["lambda"]["build"]["lambda_dir"];
        for function in crate::functions::FUNCTIONS {
            let code_uri = format!("{}/{function}/", built.as_str().unwrap_or_default());
            assert_eq!(template()?.code_uri(function)?, code_uri);
        }
        Ok(())
    }

    #[test]
    fn each_function_has_a_place_for_its_code() -> Result<()> {
        for function in crate::functions::FUNCTIONS {
            assert_eq!(
                template()?.code_uri(function)?,
                format!("target/lambda/{function}/")
            );
        }
        assert!(template()?.code_uri("lambda").is_err());
        Ok(())
    }
}
