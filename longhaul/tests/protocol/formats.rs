//! Items as files: for spreadsheets and for other programs.

use std::time::Duration;

use embedded_aws::{EmbeddedAws, QUEUE_URL};
use lambda_http::http::HeaderValue;
use lambda_http::http::header::{ACCEPT, CONTENT_TYPE, LINK};
use lambda_http::{Body, Request, Response};
use longhaul::chunk::Owner;
use longhaul::host::Host;
use longhaul::queue::{JobQueues, Message, Queue};
use longhaul::quota::Quota;
use longhaul::status::StatusReader;
use longhaul::store::{Hold, ItemOutcome, ItemRow, Step, Store};
use longhaul::submit::Submit;
use longhaul::task::{Task, Terms, Uniqueness};
use longhaul::{Invalid, Items, Job, Limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::jobs::{Listed, Numbered};

type Jobs = (Orders, Listed, Numbered);

/// A job whose inputs and outputs are flat.
struct Orders;

#[derive(Deserialize, Serialize, JsonSchema)]
struct Row {
    text: String,
    count: Option<i32>,
    is_urgent: bool,
    size: Option<Size>,
}

#[derive(Deserialize, Serialize, JsonSchema)]
enum Size {
    Small,
    Large,
}

impl Job for Orders {
    const NAME: &'static str = "orders";
    type Request = Vec<Row>;
    type Shared = ();
    type Input = Row;
    type Output = Row;

    fn items(rows: Vec<Row>, _: &Limits) -> Result<Items<Row>, Invalid> {
        Ok(Items::list(rows))
    }
}

const USER: &str = "3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10";
const SAMPLE_TASK: &str = "0198c0de-0000-7000-8000-000000000001";
const SAMPLE_JOB: &str = "tuned-long-running-task";
const SUBMIT: &str = include_str!("../../../events/submit.json");
const ITEMS: &str = include_str!("../../../events/items.json");

/// What became of an item: its output, or why there is none.
type Settled<'a> = Result<Value, &'a str>;

struct Bench {
    store: Store,
    status: StatusReader,
    task: Task,
}

impl Bench {
    /// A task of this job whose items have been settled so.
    async fn of(job: &str, request: &Value, settled: &[Settled<'_>]) -> Self {
        let aws = EmbeddedAws::default();
        let store = Store::new(aws.dynamodb("test"), aws.table().name(), Host::system());
        let queue = Queue::new(aws.sqs("test"), QUEUE_URL);
        let terms = Terms {
            chunk_items: 2,
            lease: Duration::from_secs(60),
            lifetime: Duration::from_secs(7 * 86_400),
            retention: Duration::from_secs(86_400),
            uniqueness: Uniqueness::User,
            quota: Quota::default(),
        };
        let limits = Limits::new(10_000);
        let submit = Submit::new::<Jobs>(store.clone(), queue, limits.clone(), terms);
        let event = SUBMIT.replace(SAMPLE_JOB, job);
        let mut submission = longhaul::serve::request(&event).unwrap();
        *submission.body_mut() = request.to_string().into();
        let answer = json_of(&submit.handle(&submission).await);
        let task_id = answer["data"]["task_id"].as_str().unwrap().parse().unwrap();
        let user = longhaul::task::UserId::from_claim(USER).unwrap();
        let task = store.task(&user, task_id).await.unwrap().unwrap();
        let bench = Self {
            status: StatusReader::new::<Jobs>(store.clone(), limits, &JobQueues::default()),
            store,
            task,
        };
        bench.settle(settled).await;
        bench
    }

    async fn settle(&self, settled: &[Settled<'_>]) {
        let rows: Vec<_> = settled
            .iter()
            .zip(0..)
            .map(|(it, index)| row(index, it))
            .collect();
        for (rows, chunk) in rows.chunks(2).zip(0..) {
            let (owner, until) = (Owner::new(1), self.store.host().now());
            let message = Message::to(&self.task, chunk);
            let claim = self.store.claim(&message, chunk, &owner, until);
            claim.await.unwrap();
            let recorded = self.store.record_items(&self.task, rows);
            recorded.await.unwrap();
            let failed = rows.iter().filter(|row| row.error.is_some()).count();
            let step = Step {
                from: 0,
                to: rows.len() as u64,
                failed: failed as u64,
                reckoning: None,
                phase: None,
            };
            let hold = Hold::Until(until);
            let advance = self.store.advance(&self.task, chunk, &owner, step, hold);
            advance.await.unwrap();
        }
    }

    async fn get(&self, query: &str) -> Response<Body> {
        self.status.handle(&self.request(query)).await
    }

    fn request(&self, query: &str) -> Request {
        let event = ITEMS.replace(SAMPLE_TASK, &self.task.task_id.to_string());
        let mut event: Value = serde_json::from_str(&event).unwrap();
        let url = Url::parse(&format!("http://host/?{query}")).unwrap();
        let pairs = url
            .query_pairs()
            .map(|(name, value)| (name.to_string(), json!(value)));
        event["queryStringParameters"] = Value::Object(pairs.collect());
        event["rawQueryString"] = query.into();
        longhaul::serve::request(&event.to_string()).unwrap()
    }

    /// All pages that follow from this query, as they lead to each other.
    async fn pages(&self, query: &str) -> Vec<String> {
        let mut pages = vec![];
        let mut query = Some(query.to_owned());
        while let Some(asked) = query {
            let response = self.get(&asked).await;
            assert_eq!(response.status(), 200, "{asked}");
            let link = response.headers().get(LINK);
            query = link.map(|link| {
                let link = link.to_str().unwrap().strip_prefix("<?").unwrap();
                link.strip_suffix(">; rel=\"next\"").unwrap().to_owned()
            });
            pages.push(text_of(&response));
        }
        pages
    }
}

fn row(index: u64, settled: &Settled<'_>) -> ItemRow {
    ItemRow {
        position: index,
        index,
        name: format!("Item {index}"),
        outcome: match settled {
            Ok(_) => ItemOutcome::Done,
            Err(_) => ItemOutcome::Failed,
        },
        output: settled.as_ref().ok().map(Value::to_string),
        error: settled.as_ref().err().map(ToString::to_string),
    }
}

fn text_of(response: &Response<Body>) -> String {
    String::from_utf8(response.body().to_vec()).unwrap()
}

fn json_of(response: &Response<Body>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn order(text: &str) -> Value {
    json!({"text": text, "count": -1, "is_urgent": true, "size": "Small"})
}

#[tokio::test]
async fn a_file_for_spreadsheets_has_a_column_for_each_field_whatever_is_on_the_page() {
    let inputs = json!([order("a,b"), order("\"c\""), order("d\r\ne"), order("ü")]);
    let done = json!({"text": "x", "is_urgent": false});
    let settled = [
        Ok(done.clone()),
        Err("No, not this."),
        Ok(done),
        Err("=why"),
    ];
    let bench = Bench::of("orders", &inputs, &settled).await;
    let head = "index,name,outcome,\
        input.text,input.count,input.is_urgent,input.size,\
        output.text,output.count,output.is_urgent,output.size,error\r\n";
    let lines = [
        "0,Item 0,done,\"a,b\",-1,true,Small,x,,false,,\r\n",
        "1,Item 1,failed,\"\"\"c\"\"\",-1,true,Small,,,,,\"No, not this.\"\r\n",
        "2,Item 2,done,\"d\r\ne\",-1,true,Small,x,,false,,\r\n",
        "3,Item 3,failed,ü,-1,true,Small,,,,,'=why\r\n",
    ];
    let all = head.to_owned() + &lines.concat();
    let query = "format=csv&include=input";
    let response = bench.get(query).await;
    let media_type = "text/csv; charset=utf-8; header=present";
    assert_eq!(response.headers()[CONTENT_TYPE], media_type);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(text_of(&response), all);

    for limit in 1..=4 {
        let pages = bench.pages(&format!("{query}&limit={limit}")).await;
        assert_eq!(pages.len(), 4_usize.div_ceil(limit));
        assert_eq!(pages.concat(), all);
    }
    let failed = bench
        .pages(&format!("{query}&outcome=failed&limit=1"))
        .await;
    assert_eq!(failed.concat(), head.to_owned() + lines[1] + lines[3]);
    let second = bench.get(&format!("{query}&limit=1")).await;
    let link = second.headers()[LINK].to_str().unwrap().to_owned();
    let query = &link[2..link.len() - ">; rel=\"next\"".len()];
    let second = bench.get(query).await;
    let media_type = "text/csv; charset=utf-8; header=absent";
    assert_eq!(second.headers()[CONTENT_TYPE], media_type);
}

#[tokio::test]
async fn what_begins_like_a_formula_is_made_harmless_and_can_be_had_back() {
    let texts = [
        "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1", "''-1", "'", "'s",
        "a=1", "", "1",
    ];
    let inputs: Vec<_> = texts.iter().map(|text| order(text)).collect();
    let settled: Vec<_> = texts.iter().map(|text| Ok(order(text))).collect();
    let bench = Bench::of("orders", &json!(inputs), &settled).await;
    let page = text_of(&bench.get("format=csv&include=input").await);
    let mut reader = csv::Reader::from_reader(page.as_bytes());
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), texts.len());
    let formula = |text: &str| text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝']);
    for (record, text) in records.iter().zip(texts) {
        for cell in [&record[3], &record[7]] {
            assert!(!formula(cell), "{cell:?}");
            let rest = cell.strip_prefix('\'').unwrap_or(cell);
            let is_marked = rest != cell && formula(rest.trim_start_matches('\''));
            assert_eq!(if is_marked { rest } else { cell }, text);
        }
        // A number runs nothing.
        assert_eq!(&record[4], "-1");
    }
}

#[tokio::test]
async fn values_that_are_no_flat_objects_have_one_column_and_none_where_there_are_none() {
    let request = json!({"words": ["one", "two"], "language": "de"});
    let settled = [Ok(json!("eins")), Ok(json!("zwei"))];
    let bench = Bench::of("translate", &request, &settled).await;
    let page = text_of(&bench.get("format=csv&include=input").await);
    let lines = "index,name,outcome,input,output,error\r\n\
        0,Item 0,done,one,eins,\r\n1,Item 1,done,two,zwei,\r\n";
    assert_eq!(page, lines);

    let request = json!({"number_of_items": 1});
    let bench = Bench::of(SAMPLE_JOB, &request, &[Ok(json!("x"))]).await;
    let page = text_of(&bench.get("format=csv&include=input").await);
    assert_eq!(
        page,
        "index,name,outcome,output,error\r\n0,Item 0,done,x,\r\n"
    );
}

#[tokio::test]
async fn a_file_for_programs_has_the_contracts_items_line_by_line() {
    let inputs = json!([order("a\nb"), order("c"), order("d")]);
    let settled = [Ok(order("x")), Err("No."), Ok(order("y"))];
    let bench = Bench::of("orders", &inputs, &settled).await;
    let items = json_of(&bench.get("include=input").await)["data"]["items"].take();
    let response = bench.get("format=jsonl&include=input").await;
    assert_eq!(response.headers()[CONTENT_TYPE], "application/x-ndjson");
    for query in [
        "format=jsonl&include=input",
        "format=jsonl&include=input&limit=1",
    ] {
        let lines = bench.pages(query).await.concat();
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        assert_eq!(Value::Array(lines.collect()), items);
    }
}

#[tokio::test]
async fn a_client_says_what_form_it_would_rather_have() {
    let bench = Bench::of("orders", &json!([order("a")]), &[Ok(order("b"))]).await;
    for (accept, expected) in [
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("APPLICATION/JSONL", "application/x-ndjson"),
        ("image/png", "application/json"),
        ("text/csv;q=0.5, application/json", "application/json"),
        (
            "application/json;q=0.5, text/csv;header=present",
            "text/csv",
        ),
        ("text/csv;q=0", "application/json"),
        ("text/csv;q=x, , ;", "application/json"),
    ] {
        let mut request = bench.request("");
        let value = HeaderValue::from_static(accept);
        request.headers_mut().insert(ACCEPT, value);
        let response = bench.status.handle(&request).await;
        let media_type = response.headers()[CONTENT_TYPE].to_str().unwrap();
        assert!(media_type.starts_with(expected), "{accept}: {media_type}");
    }
    let mut request = bench.request("format=json");
    request
        .headers_mut()
        .insert(ACCEPT, HeaderValue::from_static("text/csv"));
    let response = bench.status.handle(&request).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");

    let response = bench.get("format=xlsx").await;
    assert_eq!(response.status(), 400);
    let message = json!({"format": ["\"xlsx\" is not a valid choice."]});
    assert_eq!(json_of(&response)["message"], message);
}

#[tokio::test]
async fn a_page_of_json_has_a_link_to_the_next_one_too() {
    let inputs = json!([order("a"), order("b"), order("c")]);
    let settled = [Ok(order("x")), Ok(order("y")), Ok(order("z"))];
    let bench = Bench::of("orders", &inputs, &settled).await;
    let pages = bench.pages("limit=2").await;
    let items = pages.iter().map(|page| {
        let page: Value = serde_json::from_str(page).unwrap();
        page["data"]["items"].as_array().unwrap().len()
    });
    assert_eq!(items.collect::<Vec<_>>(), [2, 1]);
}
