//! A check of what is deployed, as CloudFormation gets it: rules that no tool has, or that must not be forgotten.
//!
//! The template is translated as SAM does it, and looked at as it is with everything switched on and with nothing. Each
//! rule has a fixture that it finds fault with.

mod deployed;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::aws::Aws;
use crate::places::Places;
use crate::process;
use deployed::{Deployed, Resource, texts};

/// A rule: what must be so, and what is not.
struct Rule {
    name: &'static str,
    faults: fn(&Deployed) -> Vec<String>,
}

const RULES: [Rule; 18] = [
    Rule {
        name: "every route of an HTTP API asks for an access token, or whose a password is",
        faults: routes_without_authorizer,
    },
    Rule {
        name: "all HTTP APIs have the same routes, which lead to the same functions",
        faults: unlike_routes,
    },
    Rule {
        name: "an answer of an authorizer that is kept is given to who sends the same header",
        faults: shared_answers,
    },
    Rule {
        name: "every connection is authorized",
        faults: connections_without_authorizer,
    },
    Rule {
        name: "no policy allows everything of anything",
        faults: wildcards,
    },
    Rule {
        name: "every function has a role of its own, written out",
        faults: shared_roles,
    },
    Rule {
        name: "every queue leads to a dead-letter queue, or is one",
        faults: queues_without_redrive,
    },
    Rule {
        name: "a message does not come again while its worker may live",
        faults: short_visibility,
    },
    Rule {
        name: "one bad message does not bring back its batch",
        faults: whole_batches,
    },
    Rule {
        name: "queues and buckets are encrypted",
        faults: unencrypted,
    },
    Rule {
        name: "buckets are closed to the public",
        faults: public_buckets,
    },
    Rule {
        name: "only the distribution reads the page",
        faults: origins_without_control,
    },
    Rule {
        name: "the page says what it may load and who may frame it",
        faults: lax_headers,
    },
    Rule {
        name: "not every origin may call the API",
        faults: open_cors,
    },
    Rule {
        name: "stages are throttled",
        faults: unthrottled,
    },
    Rule {
        name: "every function logs to a group that forgets",
        faults: endless_logs,
    },
    Rule {
        name: "tables can be restored",
        faults: unrestorable,
    },
    Rule {
        name: "what holds data says what becomes of it",
        faults: unsaid_deletion,
    },
];

/// The values of parameters with which everything is there.
const ALL_ON: [(&str, &str); 6] = [
    ("BasicAuth", "on"),
    ("LiveUpdates", "true"),
    ("LiveAccessLog", "true"),
    ("EndEvents", "true"),
    ("DeliveryUrl", "https://example.com"),
    ("AlarmEmail", "somebody@example.com"),
];

/// And those with which as little as possible is.
const ALL_OFF: [(&str, &str); 2] = [("LiveUpdates", "false"), ("EndEvents", "false")];

/// The checkout's template as CloudFormation gets it.
pub(crate) fn translated(places: &Places, nowhere: &Aws) -> Result<Value> {
    let mut translate = nowhere.python();
    translate.arg(places.root.join("tools/translate.py"));
    translate.arg(places.template());
    let output = process::capture(&mut translate, |_| {})?;
    if !output.status.success() {
        bail!("the template cannot be translated: {}", output.stderr);
    }
    serde_json::from_str(&output.stdout).context("no JSON")
}

/// Writes it with everything switched on and all choices made, for a tool that cannot make them.
pub(crate) fn write_with_all_on(mut template: Value, file: &Path) -> Result<()> {
    template["Resources"] = Deployed::of(&template, &ALL_ON)?.resources();
    Ok(fs::write(file, template.to_string())?)
}

/// Finds fault with a translated template.
pub(crate) fn check(template: &Value) -> Result<()> {
    for values in [ALL_ON.as_slice(), &ALL_OFF] {
        let deployed = Deployed::of(template, values)?;
        let faults = faults(&deployed);
        if !faults.is_empty() {
            bail!("{}", faults.join("\n"));
        }
    }
    Ok(())
}

fn faults(deployed: &Deployed) -> Vec<String> {
    let of_rule = |rule: &Rule| {
        let faults = (rule.faults)(deployed).into_iter();
        faults
            .map(|fault| format!("{}: not {fault}", rule.name))
            .collect::<Vec<_>>()
    };
    RULES.iter().flat_map(of_rule).collect()
}

/// The names of those of a type that are not as they should be.
fn unlike(deployed: &Deployed, kind: &str, is_right: impl Fn(&Resource) -> bool) -> Vec<String> {
    let resources = deployed.of_type(kind);
    let wrong = resources.filter(|resource| !is_right(resource));
    wrong.map(|resource| resource.name.clone()).collect()
}

fn routes_without_authorizer(deployed: &Deployed) -> Vec<String> {
    unlike(deployed, "AWS::ApiGatewayV2::Route", |route| {
        deployed.protocol_of(route) != "HTTP"
            || (route.at("/AuthorizationType") == "JWT"
                && deployed.authorizer_of(route) == Some("JWT")
                && texts(route.at("/AuthorizationScopes")).len() == 1)
            || (route.at("/AuthorizationType") == "CUSTOM"
                && deployed.authorizer_of(route) == Some("REQUEST"))
    })
}

fn unlike_routes(deployed: &Deployed) -> Vec<String> {
    let apis = deployed.of_type("AWS::ApiGatewayV2::Api");
    let apis = apis.filter(|api| api.at("/ProtocolType") == "HTTP");
    let routes: Vec<_> = apis.map(|api| (api, deployed.routes_of(api))).collect();
    let unlike_first = routes.iter().filter(|(_, of_it)| *of_it != routes[0].1);
    unlike_first.map(|(api, _)| api.name.clone()).collect()
}

fn shared_answers(deployed: &Deployed) -> Vec<String> {
    unlike(deployed, "AWS::ApiGatewayV2::Authorizer", |authorizer| {
        let seconds = authorizer.at("/AuthorizerResultTtlInSeconds").as_u64();
        deployed.protocol_of(authorizer) != "HTTP"
            || authorizer.at("/AuthorizerType") != "REQUEST"
            || (texts(authorizer.at("/IdentitySource")) == ["$request.header.Authorization"]
                && *authorizer.at("/EnableSimpleResponses") == true
                && authorizer.at("/AuthorizerPayloadFormatVersion") == "2.0"
                && seconds.is_some_and(|seconds| seconds <= 300))
    })
}

fn connections_without_authorizer(deployed: &Deployed) -> Vec<String> {
    unlike(deployed, "AWS::ApiGatewayV2::Route", |route| {
        route.at("/RouteKey") != "$connect"
            || (route.at("/AuthorizationType") == "CUSTOM" && !route.at("/AuthorizerId").is_null())
    })
}

fn wildcards(deployed: &Deployed) -> Vec<String> {
    // At the end of an ARN that names everything but the last part, it is no more than that part.
    let is_wide = |text: &String| text == "*" || text.ends_with(":*") || text.contains("*:");
    let mut wide = Vec::new();
    for (name, statement) in deployed.statements() {
        let actions = texts(&statement["Action"]);
        let is_denied = statement["Effect"] == "Deny";
        if !is_denied && actions.iter().any(|action| action.contains('*')) {
            wide.push(format!("{name}: {actions:?}"));
        }
        let resources = texts(&statement["Resource"]);
        if !is_denied && resources.iter().any(is_wide) {
            wide.push(format!("{name}: {resources:?}"));
        }
    }
    wide
}

fn shared_roles(deployed: &Deployed) -> Vec<String> {
    let functions: Vec<_> = deployed.of_type("AWS::Lambda::Function").collect();
    let roles: Vec<_> = functions.iter().map(|it| it.at("/Role")).collect();
    let of_many = functions.iter().filter(|function| {
        let same = roles.iter().filter(|role| **role == function.at("/Role"));
        same.count() > 1
    });
    let of_many = of_many.map(|function| function.name.clone());
    let managed = unlike(deployed, "AWS::IAM::Role", |role| {
        role.at("/ManagedPolicyArns").is_null()
    });
    of_many.chain(managed).collect()
}

fn queues_without_redrive(deployed: &Deployed) -> Vec<String> {
    // What leads on, or is led to by a queue or a mapping.
    let targets: Vec<_> = deployed
        .of_type("AWS::SQS::Queue")
        .map(|queue| queue.at("/RedrivePolicy/deadLetterTargetArn/Fn::GetAtt/0"))
        .chain(
            deployed
                .mappings()
                .map(|mapping| mapping.at("/DestinationConfig/OnFailure/Destination/Fn::GetAtt/0")),
        )
        .collect();
    unlike(deployed, "AWS::SQS::Queue", |queue| {
        let count = queue.at("/RedrivePolicy/maxReceiveCount").as_u64();
        count.is_some_and(|count| count >= 3)
            || targets
                .iter()
                .any(|target| target.as_str() == Some(&queue.name))
    })
}

fn short_visibility(deployed: &Deployed) -> Vec<String> {
    let mut short = Vec::new();
    for mapping in deployed.mappings() {
        let queue = deployed.get(mapping.at("/EventSourceArn/Fn::GetAtt/0"));
        let function = deployed.get(mapping.at("/FunctionName/Ref"));
        let (Some(queue), Some(function)) = (queue, function) else {
            continue;
        };
        let visibility = deployed.number(queue.at("/VisibilityTimeout"));
        let timeout = deployed.number(function.at("/Timeout"));
        if queue.kind == "AWS::SQS::Queue" && visibility * 5.0 < timeout * 6.0 {
            short.push(format!("{}: {visibility} s for {timeout} s", queue.name));
        }
    }
    short
}

fn whole_batches(deployed: &Deployed) -> Vec<String> {
    unlike(deployed, "AWS::Lambda::EventSourceMapping", |mapping| {
        let source = deployed.get(mapping.at("/EventSourceArn/Fn::GetAtt/0"));
        let is_queue = source.is_some_and(|source| source.kind == "AWS::SQS::Queue");
        let types = texts(mapping.at("/FunctionResponseTypes"));
        !is_queue || types == ["ReportBatchItemFailures"]
    })
}

fn unencrypted(deployed: &Deployed) -> Vec<String> {
    let queues = unlike(deployed, "AWS::SQS::Queue", |queue| {
        *queue.at("/SqsManagedSseEnabled") == true || !queue.at("/KmsMasterKeyId").is_null()
    });
    let buckets = unlike(deployed, "AWS::S3::Bucket", |bucket| {
        !bucket
            .at("/BucketEncryption/ServerSideEncryptionConfiguration/0")
            .is_null()
    });
    [queues, buckets].concat()
}

fn public_buckets(deployed: &Deployed) -> Vec<String> {
    unlike(deployed, "AWS::S3::Bucket", |bucket| {
        let blocked = bucket.at("/PublicAccessBlockConfiguration");
        [
            "BlockPublicAcls",
            "BlockPublicPolicy",
            "IgnorePublicAcls",
            "RestrictPublicBuckets",
        ]
        .iter()
        .all(|what| blocked[what] == true)
    })
}

fn origins_without_control(deployed: &Deployed) -> Vec<String> {
    unlike(deployed, "AWS::CloudFront::Distribution", |distribution| {
        let origins = distribution.at("/DistributionConfig/Origins").as_array();
        let mut origins = origins.into_iter().flatten();
        let is_https =
            distribution.at("/DistributionConfig/DefaultCacheBehavior/ViewerProtocolPolicy");
        *is_https == "redirect-to-https" && origins.all(|it| !it["OriginAccessControlId"].is_null())
    })
}

fn lax_headers(deployed: &Deployed) -> Vec<String> {
    let distributions = unlike(deployed, "AWS::CloudFront::Distribution", |distribution| {
        let policy = "/DistributionConfig/DefaultCacheBehavior/ResponseHeadersPolicyId/Ref";
        deployed.get(distribution.at(policy)).is_some()
    });
    let kind = "AWS::CloudFront::ResponseHeadersPolicy";
    let policies = unlike(deployed, kind, |policy| {
        let headers = policy.at("/ResponseHeadersPolicyConfig/SecurityHeadersConfig");
        let content = headers["ContentSecurityPolicy"]["ContentSecurityPolicy"].to_string();
        let is_strict = [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ]
        .iter()
        .all(|directive| content.contains(directive));
        let others = [
            "ContentTypeOptions",
            "FrameOptions",
            "ReferrerPolicy",
            "StrictTransportSecurity",
        ];
        is_strict
            && !content.contains("unsafe-")
            && others
                .iter()
                .all(|other| headers[other]["Override"] == true)
    });
    [distributions, policies].concat()
}

fn open_cors(deployed: &Deployed) -> Vec<String> {
    unlike(deployed, "AWS::ApiGatewayV2::Api", |api| {
        let cors = api.at("/CorsConfiguration");
        !texts(&cors["AllowOrigins"]).contains(&"*".to_owned()) && cors["AllowCredentials"] != true
    })
}

fn unthrottled(deployed: &Deployed) -> Vec<String> {
    unlike(deployed, "AWS::ApiGatewayV2::Stage", |stage| {
        let settings = stage.at("/DefaultRouteSettings");
        ["ThrottlingRateLimit", "ThrottlingBurstLimit"]
            .iter()
            .all(|limit| settings[limit].as_u64().is_some_and(|limit| limit <= 1000))
    })
}

fn endless_logs(deployed: &Deployed) -> Vec<String> {
    let functions = unlike(deployed, "AWS::Lambda::Function", |function| {
        deployed
            .get(function.at("/LoggingConfig/LogGroup/Ref"))
            .is_some()
    });
    let groups = unlike(deployed, "AWS::Logs::LogGroup", |group| {
        !group.at("/RetentionInDays").is_null()
    });
    [functions, groups].concat()
}

fn unrestorable(deployed: &Deployed) -> Vec<String> {
    unlike(deployed, "AWS::DynamoDB::Table", |table| {
        *table.at("/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled") == true
            && !table.at("/DeletionProtectionEnabled").is_null()
    })
}

fn unsaid_deletion(deployed: &Deployed) -> Vec<String> {
    let kinds = [
        "AWS::DynamoDB::Table",
        "AWS::SQS::Queue",
        "AWS::S3::Bucket",
        "AWS::Logs::LogGroup",
        "AWS::Cognito::UserPool",
    ];
    let of_kind = |kind: &&str| unlike(deployed, kind, |resource| resource.says_what_becomes_of_it);
    kinds.iter().flat_map(of_kind).collect()
}

#[cfg(test)]
mod tests;
