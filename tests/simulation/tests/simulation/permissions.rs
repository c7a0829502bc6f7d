//! What the template allows each function is what the function does, no more and no less.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use embedded_aws::{CLIENT_ID, Call, EmbeddedAws, Fault, Standing, USER_POOL_ID};
use longhaul::authorizer::{Authorizer, Config};
use serde_json::Value;
use simulation::scenario::{Client, Live, Odds, Page, Planned, Profile, Scenario};
use simulation::{Function, Permission, permissions, run};

const TEMPLATE: &str = include_str!("../../../../template.yaml");

/// Some thirty are enough.
const SEEDS_MAX: u64 = 100;

/// An action, and what it may be done to.
type Grant = (String, &'static str);

const ROLES: [(&str, Function); 9] = [
    ("SubmitRole", Function::Submit),
    ("StatusRole", Function::Status),
    ("CancelRole", Function::Cancel),
    ("WorkerRole", Function::Worker),
    ("DeliverMessagesRole", Function::Worker),
    ("SweeperRole", Function::Sweeper),
    ("LiveRole", Function::Live),
    ("NotifyRole", Function::Notify),
    ("EndedRole", Function::Ended),
];

/// The function that comes before all others of its API, and of which the simulator knows nothing: it has no part in
/// what becomes of a task.
const AUTHORIZER_ROLE: &str = "AuthorizerRole";

/// What no function calls, each with who does: Lambda itself, with the function's role, and a job.
fn is_for_others(action: &str, resource: &str) -> bool {
    let reads_queue = [
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
    ];
    let reads_stream = [
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    ];
    action.starts_with("logs:")
        || reads_queue.contains(&action)
        || reads_stream.contains(&action)
        || (action == "dynamodb:PutItem" && resource == "ContactsTable.Arn")
}

/// The name that calls have for a resource of a policy.
fn known(resource: &str) -> &'static str {
    match resource {
        "Table.Arn" => "Table",
        "${Table.Arn}/index/open-tasks" => "Table/index/open-tasks",
        "Queue.Arn" | "DeliverMessagesQueue.Arn" => "Queue",
        "EndedFailures.Arn" => "EndedFailures",
        "UserPool.Arn" => "UserPool",
        bus if bus.ends_with(":event-bus/default") => "event-bus",
        api if api.ends_with("/live/POST/@connections/*") => "POST/@connections",
        api if api.ends_with("/live/DELETE/@connections/*") => "DELETE/@connections",
        other => panic!("nobody knows {other}"),
    }
}

/// One or several values, in a choice or not, but for what is an emulator's.
fn values(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(choice) if choice[0] == "Emulated" => vec![],
        Value::Array(values) => values.iter().flat_map(self::values).collect(),
        value => vec![value],
    }
}

fn texts(value: &Value) -> Vec<&str> {
    let values = values(value).into_iter().filter_map(Value::as_str);
    // Names of conditions, and nothing.
    let is_text = |text: &&str| !["MessagesDelivered", "AWS::NoValue"].contains(text);
    values.filter(is_text).collect()
}

fn statements<'a>(template: &'a Value, role: &str) -> Vec<&'a Value> {
    let policy = &template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"];
    values(&policy["Statement"])
}

/// What a role allows.
fn actions(template: &Value, role: &str) -> BTreeSet<Grant> {
    let mut granted = BTreeSet::new();
    for statement in statements(template, role) {
        for action in texts(&statement["Action"]) {
            for resource in texts(&statement["Resource"]) {
                if !is_for_others(action, resource) {
                    granted.insert((action.to_owned(), known(resource)));
                }
            }
        }
    }
    granted
}

/// Of which partitions, if not of all.
fn partitions(template: &Value, role: &str) -> BTreeSet<String> {
    let statements = statements(template, role);
    let conditions = statements
        .iter()
        .map(|it| &it["Condition"]["ForAllValues:StringLike"]);
    let keys = conditions.flat_map(|condition| texts(&condition["dynamodb:LeadingKeys"]));
    keys.map(str::to_owned).collect()
}

/// What functions needed in runs in which everything happens that they do: until each grant was of use, or there is no
/// hope that it will be.
fn used(granted: &BTreeMap<&str, BTreeSet<Grant>>) -> BTreeMap<Function, BTreeSet<Permission>> {
    let mut used: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let drawn = (0..SEEDS_MAX).map(|seed| Scenario::drawn(seed, Profile::Mixed));
    let planned = [
        many_pages_that_go_without_a_word(),
        a_worker_that_dies_before_it_says_that_all_is_done(),
        what_nobody_can_read(),
    ];
    for scenario in planned.into_iter().chain(drawn) {
        for (function, permissions) in run(&scenario).figures.permissions {
            used.entry(function).or_default().extend(permissions);
        }
        let is_used = |(role, function): &(&str, Function)| {
            let used = used.get(function).into_iter().flatten().map(action_of);
            granted[role].is_subset(&used.collect())
        };
        if ROLES.iter().all(is_used) {
            break;
        }
    }
    used
}

/// What hardly ever happens by chance: the oldest page has to make room, and at a later task the others are found gone.
fn many_pages_that_go_without_a_word() -> Scenario {
    let page = |n| Page {
        told: Some(None),
        ..Page::of("ann", Duration::from_secs(n), Duration::from_secs(100))
    };
    let mut scenario = Scenario::one_task(1, 1);
    scenario.live = Some(Live {
        pages: (0..11).map(page).collect(),
        ..Live::default()
    });
    let later = Client {
        at: Duration::from_secs(200),
        ..scenario.clients[0].clone()
    };
    scenario.clients.push(later);
    scenario
}

/// The sweeper has to say that all is done.
fn a_worker_that_dies_before_it_says_that_all_is_done() -> Scenario {
    let mut scenario = Scenario::one_task(1, 1);
    scenario.planned = vec![Planned {
        function: Function::Worker,
        method: "finish",
        nth: 0,
        lasts: 1,
        fault: Fault::CrashBefore,
    }];
    scenario
}

fn what_nobody_can_read() -> Scenario {
    let mut scenario = Scenario::one_task(1, 1);
    scenario.profile = Profile::Storm;
    scenario.weather.until = Duration::from_secs(3600);
    scenario.live = Some(Live {
        odds: Odds {
            garbled: 1000,
            ..Odds::default()
        },
        ..Live::default()
    });
    scenario
}

fn action_of(permission: &Permission) -> Grant {
    (permission.action.clone(), permission.resource)
}

#[test]
fn what_is_granted_is_what_is_used() {
    let template: Value = serde_saphyr::from_str(TEMPLATE).unwrap();
    let granted: BTreeMap<_, _> = ROLES
        .iter()
        .map(|(role, _)| (*role, actions(&template, role)))
        .collect();
    let used = used(&granted);
    for (role, function) in ROLES {
        let used = &used[&function];
        let actions: BTreeSet<_> = used.iter().map(action_of).collect();
        assert_eq!(granted[role], actions, "{role}: left, granted; right, used");
        let partitions = partitions(&template, role);
        if partitions.is_empty() {
            continue;
        }
        let touched = used.iter().filter_map(|it| it.partition.clone());
        let touched: BTreeSet<_> = touched.map(|kind| format!("{kind}*")).collect();
        assert_eq!(partitions, touched, "{role}: left, granted; right, touched");
    }
}

/// What the authorizer needed for somebody who is let in, and for whom it is not said.
async fn used_by_authorizer() -> BTreeSet<Grant> {
    let needed: Arc<Mutex<BTreeSet<Grant>>> = Arc::default();
    let noted = Arc::clone(&needed);
    let aws = EmbeddedAws::with_faults(move |call: &Call| {
        let of_call = permissions(call);
        noted.lock().unwrap().extend(of_call.iter().map(action_of));
        Fault::None
    });
    let config = Config {
        user_pool_id: USER_POOL_ID.into(),
        client_id: CLIENT_ID.into(),
    };
    let authorizer = Authorizer::new(&aws.config("authorizer"), config);
    let event = include_str!("../../../../events/authorize-basic.json");
    assert_eq!(
        authorizer.handle(event).await.unwrap()["isAuthorized"],
        false
    );
    let standing = Standing::Good("3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10".into());
    aws.add_account("demo", "Sample-Password:1", standing);
    assert_eq!(
        authorizer.handle(event).await.unwrap()["isAuthorized"],
        true
    );
    needed.lock().unwrap().clone()
}

#[tokio::test]
async fn what_the_authorizer_is_granted_is_what_it_uses() {
    let template: Value = serde_saphyr::from_str(TEMPLATE).unwrap();
    let granted = actions(&template, AUTHORIZER_ROLE);
    assert_eq!(granted, used_by_authorizer().await);
}

#[test]
fn no_role_is_left_out() {
    let template: Value = serde_saphyr::from_str(TEMPLATE).unwrap();
    let resources = template["Resources"].as_object().unwrap().iter();
    let roles = resources.filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role");
    let roles: BTreeSet<_> = roles.map(|(name, _)| name.as_str()).collect();
    let known = ROLES.iter().map(|(role, _)| *role).chain([AUTHORIZER_ROLE]);
    assert_eq!(roles, known.collect());
}
