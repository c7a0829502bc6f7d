//! Whatever stands in any field of what the functions hear that tell of tasks, or let somebody in: the door to live updates
//! answers in the words of the contract and lists a connection for nobody but whom the authorizer names, no batch of the
//! stream ever fails `notify`, nobody is told of a task of somebody else's, and only a password opens to whom it belongs.

use std::collections::BTreeMap;
use std::ops::Range;

use embedded_aws::{CLIENT_ID, EmbeddedAws, Posted, Standing, USER_POOL_ID};
use fastrand::Rng;
use longhaul::authorizer::{self, Authorizer};
use longhaul::connection::Connection;
use longhaul::ended::{self, Announce};
use longhaul::host::{Host, Timestamp};
use longhaul::live::Live;
use longhaul::notify::Notify;
use longhaul::sockets::Sockets;
use longhaul::store::Store;
use longhaul::task::UserId;
use serde_json::{Value, json};

use crate::hostile_events::{complaint, text, value};

const TICKET: &str = include_str!("../../../../events/ticket.json");
const AUTHORIZE: &str = include_str!("../../../../events/authorize.json");
const AUTHORIZE_BASIC: &str = include_str!("../../../../events/authorize-basic.json");
const CONNECT: &str = include_str!("../../../../events/connect.json");
const DISCONNECT: &str = include_str!("../../../../events/disconnect.json");
/// Two changes of one task.
const CHANGES: &str = include_str!("../../../../events/changes.json");

const SAMPLE_USER: &str = "3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10";
const SAMPLE_TASK: &str = "0198c0de-0000-7000-8000-000000000001";

/// Who there is: a user, and the last digits of its tasks.
const USERS: [(&str, u64); 3] = [(SAMPLE_USER, 1), ("bob", 2), ("eve", 3)];

/// Where nothing is changed: what the authorizer says of the caller, and whose task a record is about.
const KEPT: [&str; 3] = [
    "/requestContext/authorizer",
    "/dynamodb/NewImage/user",
    "/dynamodb/NewImage/task_id",
];

/// The places in a value, but for those that are kept and what they are in.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<_> = match value {
        Value::Object(fields) => fields.keys().cloned().collect(),
        Value::Array(elements) => (0..elements.len()).map(|n| n.to_string()).collect(),
        _ => vec![],
    };
    for child in children {
        let place = format!("{at}/{}", child.replace('~', "~0").replace('/', "~1"));
        if KEPT.contains(&&*place) {
            continue;
        }
        places(
            value.pointer(&place[at.len()..]).unwrap_or(&Value::Null),
            &place,
            found,
        );
        if !KEPT.iter().any(|kept| kept.starts_with(&place)) {
            found.push(place);
        }
    }
}

/// Changes something in one to three places.
fn changed(sample: &Value, random: &mut Rng) -> Value {
    let mut event = sample.clone();
    for _ in 0..random.usize(1..4) {
        let mut found = vec![];
        places(&event, "", &mut found);
        let Some(place) = (!found.is_empty()).then(|| &found[random.usize(..found.len())]) else {
            break;
        };
        let (parent, name) = place.rsplit_once('/').unwrap();
        match event.pointer_mut(parent) {
            Some(Value::Object(fields)) if random.u8(..5) == 0 => {
                fields.remove(name);
            }
            Some(parent) => {
                let name = format!("/{name}");
                *parent.pointer_mut(&name).unwrap() = value(random);
            }
            None => {}
        }
    }
    event
}

struct Bench {
    aws: EmbeddedAws,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let aws = EmbeddedAws::default();
        // When the samples are from.
        let now = || Timestamp(1_795_456_800_000);
        let host = Host::new(now, || fastrand::u64(..));
        let store = Store::new(aws.dynamodb("test"), aws.table().name(), host);
        Self { aws, store }
    }

    fn sockets(&self) -> Sockets {
        Sockets::new(&self.aws.config("test"), "https://socket.test/live")
    }

    fn door(&self) -> Live {
        Live::new(self.store.clone(), self.sockets(), "wss://socket.test/live")
    }

    /// A connection of each user's, named after it.
    async fn with_connections(self) -> Self {
        for (user, _) in USERS {
            let connection = Connection {
                id: format!("of {user}"),
                connected_at: Timestamp(1),
            };
            let id = UserId::from_claim(user).unwrap();
            assert!(self.store.connect(&id, &connection).await.unwrap());
            self.aws.open_connection(&connection.id);
        }
        self
    }
}

/// A batch of changed records of everybody's tasks, and how many they are.
fn batch(random: &mut Rng) -> (String, usize) {
    let records = (0..random.usize(1..6)).map(|_| {
        let (user, number) = USERS[random.usize(..USERS.len())];
        let sample = CHANGES
            .replace(SAMPLE_USER, user)
            .replace(SAMPLE_TASK, &task_of(number));
        let sample: Value = serde_json::from_str(&sample).unwrap();
        let record = sample["Records"][random.usize(..2)].clone();
        match random.u8(..4) {
            0 => record,
            1 => value(random),
            _ => changed(&record, random),
        }
    });
    let records: Vec<_> = records.collect();
    let count = records.len();
    (json!({"Records": records}).to_string(), count)
}

fn task_of(number: u64) -> String {
    format!("0198c0de-0000-7000-8000-{number:012}")
}

/// Whose task this is.
fn owner_of(task: &Value) -> &'static str {
    let is_of = |(_, number): &&(&str, u64)| *task == task_of(*number);
    USERS.iter().find(is_of).expect("a task of somebody's").0
}

async fn notify_fails_no_batch_and_tells_everybody_of_their_own(seeds: Range<u64>) {
    let bench = Bench::new().with_connections().await;
    let notify = Notify::new(bench.store.clone(), bench.sockets());
    let mut told = BTreeMap::new();
    for seed in seeds {
        let mut random = Rng::with_seed(seed);
        let event = match random.u8(..20) {
            0 => text(&mut random),
            1 => json!({"Records": value(&mut random)}).to_string(),
            _ => batch(&mut random).0,
        };
        notify.handle(&event).await;
        for Posted { connection, text } in bench.aws.take_posted() {
            let text: Value = serde_json::from_str(&text).unwrap();
            let owner = owner_of(&text["data"]["task_id"]);
            assert_eq!(connection, format!("of {owner}"), "seed {seed}: {event}");
            *told.entry(owner).or_insert(0) += 1;
        }
    }
    println!("{told:?}");
    assert_eq!(told.len(), USERS.len());
}

async fn whatever_can_be_read_is_said_and_the_rest_put_aside(seeds: Range<u64>) {
    let bench = Bench::new();
    let config = ended::Config {
        source: "longhaul.test".into(),
        bus: "default".into(),
        failures_url: "https://sqs.us-east-1.amazonaws.com/000000000000/failures".into(),
    };
    let config_of_aws = bench.aws.config("test");
    let events = aws_sdk_eventbridge::Client::new(&config_of_aws);
    let queue = bench.aws.sqs("test");
    let announce = Announce::new(Host::system(), events, queue, config);
    let (mut said, mut put_aside) = (0, 0);
    for seed in seeds {
        let mut random = Rng::with_seed(seed);
        let (event, records) = batch(&mut random);
        let announced = announce.handle(&event).await;
        let announced = announced.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{event}"));
        let (events, left) = (bench.aws.take_events(), bench.aws.take_sent());
        assert_eq!(events.len(), announced, "seed {seed}: {event}");
        assert!(announced + left.len() <= records, "seed {seed}: {event}");
        for entry in &events {
            let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            let owner = owner_of(&detail["task_id"]);
            assert_eq!(detail["sub"], owner, "seed {seed}: {event}");
        }
        said += announced;
        put_aside += left.len();
    }
    println!("{said} said, {put_aside} put aside");
    assert!(said > 0 && put_aside > 0);
}

async fn the_door_lists_nobody_but_whom_the_authorizer_names(seeds: Range<u64>) {
    let bench = Bench::new();
    let door = bench.door();
    let samples = [TICKET, AUTHORIZE, CONNECT, DISCONNECT];
    let samples = samples.map(|sample| serde_json::from_str::<Value>(sample).unwrap());
    let mut outcomes = BTreeMap::new();
    for seed in seeds {
        let mut random = Rng::with_seed(seed);
        let which = random.usize(..samples.len());
        let event = changed(&samples[which], &mut random);
        let answer = door.handle(&event.to_string()).await;
        let effect = &answer["policyDocument"]["Statement"][0]["Effect"];
        let (outcome, is_right) = if effect.is_null() {
            let of_contract = answer.get("body").is_none() || complaint(&answer).is_none();
            let status = answer["statusCode"].as_u64().unwrap_or_default();
            // An id that no key of the table can have.
            let id = event["requestContext"]["connectionId"].as_str();
            let is_endless = id.is_some_and(|id| id.len() > 1000);
            let known = [200, 400, 401, 403, 404].contains(&status) || is_endless && status == 503;
            (status.to_string(), known && (of_contract || status == 401))
        } else {
            // Nobody has a ticket that was given out.
            (effect.to_string(), effect == "Deny")
        };
        assert!(is_right, "seed {seed}: {answer}\n{event:.2000}");
        *outcomes.entry((which, outcome)).or_insert(0) += 1;
    }
    println!("{outcomes:?}");
    for row in bench.aws.table().rows() {
        let pk = row["pk"].as_str().unwrap();
        let is_of_sample = match pk.strip_prefix("CONNECTIONS#") {
            Some(user) => user == SAMPLE_USER,
            None => row["user"] == SAMPLE_USER,
        };
        assert!(is_of_sample, "{row:?}");
    }
    for which in 0..samples.len() {
        let of_it = outcomes.keys().filter(|(it, _)| *it == which);
        let expected: &[&str] = if which == 1 { &["\"Deny\""] } else { &["200"] };
        let found: Vec<_> = of_it.map(|(_, outcome)| outcome.as_str()).collect();
        assert!(expected.iter().all(|it| found.contains(it)), "{found:?}");
    }
}

async fn nothing_but_the_password_lets_in(seeds: Range<u64>) {
    let aws = EmbeddedAws::default();
    aws.add_account(
        "demo",
        "Sample-Password:1",
        Standing::Good(SAMPLE_USER.into()),
    );
    let config = authorizer::Config {
        user_pool_id: USER_POOL_ID.into(),
        client_id: CLIENT_ID.into(),
    };
    let authorizer = Authorizer::new(&aws.config("test"), config);
    let sample: Value = serde_json::from_str(AUTHORIZE_BASIC).unwrap();
    let mut outcomes = BTreeMap::new();
    for seed in seeds {
        let mut random = Rng::with_seed(seed);
        let event = changed(&sample, &mut random);
        let answer = authorizer.handle(&event.to_string()).await;
        let answer = answer.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{event:.2000}"));
        let is_theirs = event["identitySource"] == sample["identitySource"];
        assert_eq!(
            answer["isAuthorized"], is_theirs,
            "seed {seed}: {event:.2000}"
        );
        *outcomes.entry(is_theirs).or_insert(0) += 1;
    }
    println!("{outcomes:?}");
    assert_eq!(outcomes.len(), 2);
}

#[tokio::test]
async fn no_record_fails_a_batch_of_notify_or_is_told_to_somebody_else() {
    notify_fails_no_batch_and_tells_everybody_of_their_own(0..800).await;
}

#[tokio::test]
async fn no_record_keeps_others_from_being_said_on_the_bus() {
    whatever_can_be_read_is_said_and_the_rest_put_aside(0..800).await;
}

#[tokio::test]
async fn no_event_opens_the_door_or_lists_a_connection_for_somebody_else() {
    the_door_lists_nobody_but_whom_the_authorizer_names(0..1_200).await;
}

#[tokio::test]
async fn no_event_lets_in_who_has_not_the_password() {
    nothing_but_the_password_lets_in(0..1_200).await;
}

#[tokio::test]
#[ignore = "long: part of `cargo xtask test --long`"]
async fn none_of_very_many_events_and_records_is_of_consequence_for_somebody_else() {
    notify_fails_no_batch_and_tells_everybody_of_their_own(800..30_000).await;
    whatever_can_be_read_is_said_and_the_rest_put_aside(800..30_000).await;
    the_door_lists_nobody_but_whom_the_authorizer_names(1_200..30_000).await;
    nothing_but_the_password_lets_in(1_200..30_000).await;
}
