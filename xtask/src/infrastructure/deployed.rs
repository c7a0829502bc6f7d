//! What CloudFormation makes of a translated template with certain values: which resources there are, and what is chosen
//! in them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

/// A resource that is there.
pub(super) struct Resource {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) says_what_becomes_of_it: bool,
    properties: Value,
}

/// The resources that are there.
pub(super) struct Deployed {
    resources: BTreeMap<String, Resource>,
    parameters: BTreeMap<String, String>,
    mappings: Value,
}

static NOTHING: Value = Value::Null;

impl Resource {
    /// What stands there in its properties, `null` for nothing.
    pub(super) fn at(&self, pointer: &str) -> &Value {
        self.properties.pointer(pointer).unwrap_or(&NOTHING)
    }
}

/// Evaluates conditions.
struct Chooser<'a> {
    conditions: &'a Map<String, Value>,
    parameters: &'a BTreeMap<String, String>,
}

impl Deployed {
    /// With these values for parameters, and the defaults for all others, on AWS.
    pub(super) fn of(template: &Value, values: &[(&str, &str)]) -> Result<Self> {
        let defaults = template["Parameters"].as_object().into_iter().flatten();
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let defaults = defaults.map(|(name, it)| (name.clone(), text(&it["Default"])));
        let values = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let parameters: BTreeMap<_, _> = defaults.chain(values).collect();
        let none = Map::new();
        let chooser = Chooser {
            conditions: template["Conditions"].as_object().unwrap_or(&none),
            parameters: &parameters,
        };
        let mut resources = BTreeMap::new();
        for (name, resource) in template["Resources"].as_object().context("no resources")? {
            let condition = resource["Condition"].as_str();
            if !condition.map_or(Ok(true), |condition| chooser.holds(condition))? {
                continue;
            }
            let says = |policy: &str| resource[policy].is_string();
            let deployed = Resource {
                name: name.clone(),
                kind: resource["Type"].as_str().unwrap_or_default().to_owned(),
                says_what_becomes_of_it: says("DeletionPolicy") && says("UpdateReplacePolicy"),
                properties: chooser.chosen(&resource["Properties"])?.unwrap_or_default(),
            };
            resources.insert(name.clone(), deployed);
        }
        Ok(Self {
            resources,
            mappings: template["Mappings"].clone(),
            parameters,
        })
    }

    pub(super) fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Resource> + 'a {
        self.resources
            .values()
            .filter(move |resource| resource.kind == kind)
    }

    /// All of them, as a template has them.
    pub(super) fn resources(&self) -> Value {
        let resources = self.resources.values();
        let resource = |it: &Resource| {
            let resource = json!({"Type": it.kind, "Properties": it.properties});
            (it.name.clone(), resource)
        };
        resources.map(resource).collect::<Map<_, _>>().into()
    }

    /// The resource of this name.
    pub(super) fn get(&self, name: &Value) -> Option<&Resource> {
        self.resources.get(name.as_str()?)
    }

    pub(super) fn mappings(&self) -> impl Iterator<Item = &Resource> {
        self.of_type("AWS::Lambda::EventSourceMapping")
    }

    /// That of the API that a route or an authorizer belongs to.
    pub(super) fn protocol_of(&self, part: &Resource) -> &str {
        let api = self.get(part.at("/ApiId/Ref"));
        api.and_then(|api| api.at("/ProtocolType").as_str())
            .unwrap_or("HTTP")
    }

    /// The type of a route's authorizer, if it is one of the same API.
    pub(super) fn authorizer_of(&self, route: &Resource) -> Option<&str> {
        let authorizer = self.get(route.at("/AuthorizerId/Ref"))?;
        let is_of_api = authorizer.at("/ApiId") == route.at("/ApiId");
        authorizer
            .at("/AuthorizerType")
            .as_str()
            .filter(|_| is_of_api)
    }

    /// The keys of an API's routes, and the functions that they lead to.
    pub(super) fn routes_of(&self, api: &Resource) -> BTreeMap<String, Value> {
        let routes = self.of_type("AWS::ApiGatewayV2::Route");
        let routes = routes.filter(|route| route.at("/ApiId/Ref") == api.name.as_str());
        let integration = |route: &Resource| {
            let target = route.at("/Target/Fn::Sub").as_str()?;
            let name = target.strip_prefix("integrations/${")?.strip_suffix('}')?;
            self.resources.get(name)
        };
        let route = |route: &Resource| {
            let function = integration(route).map(|it| it.at("/IntegrationUri").clone());
            let key = route.at("/RouteKey").as_str().unwrap_or_default();
            (key.to_owned(), function.unwrap_or_default())
        };
        routes.map(route).collect()
    }

    /// All statements of all policies, with the names of the resources that they are in.
    pub(super) fn statements(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.resources.values().flat_map(|resource| {
            let inline = resource.at("/Policies").as_array().into_iter().flatten();
            let inline = inline.map(|policy| &policy["PolicyDocument"]["Statement"]);
            let statements = inline.chain([resource.at("/PolicyDocument/Statement")]);
            let statements = statements.flat_map(|list| list.as_array().into_iter().flatten());
            statements.map(|statement| (resource.name.as_str(), statement))
        })
    }

    /// A number, a parameter's, or one of a mapping.
    pub(super) fn number(&self, value: &Value) -> f64 {
        let parameter = |name: &Value| self.parameters.get(name.as_str().unwrap_or_default());
        if let Some(path) = value["Fn::FindInMap"].as_array() {
            let key = parameter(&path[1]["Ref"]).map_or("", String::as_str);
            let map = &self.mappings[path[0].as_str().unwrap_or_default()];
            return self.number(&map[key][path[2].as_str().unwrap_or_default()]);
        }
        let text = parameter(&value["Ref"]).cloned();
        let number = text.and_then(|text| text.parse().ok());
        number.or_else(|| value.as_f64()).unwrap_or_default()
    }
}

impl Chooser<'_> {
    fn holds(&self, condition: &str) -> Result<bool> {
        let known = self.conditions.get(condition);
        self.is_true(known.with_context(|| format!("no condition {condition}"))?)
    }

    fn is_true(&self, expression: &Value) -> Result<bool> {
        let (function, arguments) = only_entry(expression).context("no condition")?;
        let list = arguments.as_array();
        let mut all = list.into_iter().flatten().map(|it| self.is_true(it));
        match function.as_str() {
            "Condition" => self.holds(arguments.as_str().unwrap_or_default()),
            "Fn::Not" => Ok(!all.next().context("nothing")??),
            "Fn::And" => all.try_fold(true, |so_far, it| Ok(so_far && it?)),
            "Fn::Or" => all.try_fold(false, |so_far, it| Ok(so_far || it?)),
            "Fn::Equals" => Ok(self.text(&arguments[0]) == self.text(&arguments[1])),
            other => bail!("nobody knows {other}"),
        }
    }

    fn text(&self, value: &Value) -> String {
        let parameter = value["Ref"].as_str();
        let parameter = parameter.and_then(|name| self.parameters.get(name));
        parameter
            .cloned()
            .unwrap_or_else(|| value.as_str().unwrap_or_default().to_owned())
    }

    /// The value with what is chosen in it; `None` where that is nothing.
    fn chosen(&self, value: &Value) -> Result<Option<Value>> {
        if *value == json!({"Ref": "AWS::NoValue"}) {
            return Ok(None);
        }
        if let Some((function, choice)) = only_entry(value)
            && function == "Fn::If"
        {
            let holds = self.holds(choice[0].as_str().unwrap_or_default())?;
            return self.chosen(&choice[if holds { 1 } else { 2 }]);
        }
        Ok(Some(match value {
            Value::Array(values) => {
                let chosen = values.iter().filter_map(|it| self.chosen(it).transpose());
                chosen.collect::<Result<Value>>()?
            }
            Value::Object(fields) => {
                let chosen = fields.iter().filter_map(|(name, it)| {
                    let chosen = self.chosen(it).transpose()?;
                    Some(chosen.map(|it| (name.clone(), it)))
                });
                chosen.collect::<Result<Map<_, _>>>()?.into()
            }
            other => other.clone(),
        }))
    }
}

fn only_entry(value: &Value) -> Option<(&String, &Value)> {
    value
        .as_object()
        .filter(|fields| fields.len() == 1)?
        .iter()
        .next()
}

/// The texts in one or several values; what a function makes of something, as it is written.
pub(super) fn texts(value: &Value) -> Vec<String> {
    let values = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    let texts = values.iter().filter(|value| !value.is_null());
    let text = |value: &Value| match value["Fn::Sub"].as_str().or(value.as_str()) {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    texts.map(text).collect()
}
