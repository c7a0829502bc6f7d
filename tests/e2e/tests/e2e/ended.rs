//! Something follows when a task has ended: what `docs/on-end.yaml` says, made call by call, for the emulator does not
//! take all of it from a template.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use e2e::{Stack, User, wait_until};
use serde_json::{Value, json};
use tiny_http::{Response, Server};

const ON_END: &str = include_str!("../../../../docs/on-end.yaml");
const PATIENCE: Duration = Duration::from_mins(1);
const SECRET: &str = "not-a-real-secret";

/// What was sent to a webhook.
struct Call {
    headers: Vec<(String, String)>,
    body: Value,
}

impl Call {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A webhook. It goes on until the test's process ends.
fn webhook() -> Result<(String, Receiver<Call>)> {
    let server = Server::http("127.0.0.1:0").map_err(|error| anyhow!("no webhook: {error}"))?;
    let url = format!("http://{}/ended", server.server_addr());
    let (calls, called) = channel();
    thread::spawn(move || {
        for mut request in server.incoming_requests() {
            let mut body = String::new();
            // What cannot be read, or is not waited for any more, is for the test to miss.
            let _ = request.as_reader().read_to_string(&mut body);
            let headers = request.headers().iter();
            let headers = headers.map(|it| (it.field.to_string(), it.value.to_string()));
            let call = Call {
                headers: headers.collect(),
                body: serde_json::from_str(&body).unwrap_or_default(),
            };
            let _ = calls.send(call);
            let _ = request.respond(Response::empty(200));
        }
    });
    Ok((url, called))
}

/// The properties of a resource of the template, with the stack's source in place of the parameter.
fn properties(stack: &Stack, resource: &str) -> Result<Value> {
    let template: Value = serde_saphyr::from_str(ON_END)?;
    let mut properties = template["Resources"][resource]["Properties"].clone();
    if !properties["EventPattern"].is_null() {
        properties["EventPattern"]["source"] = json!([stack.event_source]);
    }
    Ok(properties)
}

fn events(stack: &Stack, operation: &str, request: &Value) -> Result<Value> {
    stack.aws("events", &format!("AWSEvents.{operation}"), request)
}

fn sqs(stack: &Stack, operation: &str, request: &Value) -> Result<Value> {
    stack.aws("sqs", &format!("AmazonSQS.{operation}"), request)
}

/// Makes a rule of the template, whose target is at this address. Only of the user's tasks, for other tests have theirs.
fn make_rule(stack: &Stack, resource: &str, user: &User, target: &str) -> Result<()> {
    let mut properties = properties(stack, resource)?;
    let mut pattern = properties["EventPattern"].clone();
    pattern["detail"]["sub"] = json!([user.sub]);
    let name = format!("{resource}-{}", user.sub);
    let rule = json!({"Name": name, "EventPattern": pattern.to_string()});
    events(stack, "PutRule", &rule)?;
    let made = &mut properties["Targets"][0];
    made["Arn"] = json!(target);
    if let Some(fields) = made.as_object_mut() {
        fields.remove("DeadLetterConfig");
        if fields.contains_key("RoleArn") {
            fields.insert(
                "RoleArn".into(),
                json!("arn:aws:iam::000000000000:role/events"),
            );
        }
    }
    let targets = json!({"Rule": name, "Targets": [made]});
    let put = events(stack, "PutTargets", &targets)?;
    assert_eq!(put["FailedEntryCount"], 0, "{put}");
    Ok(())
}

/// A queue of the test's own.
fn make_queue(stack: &Stack, name: &str) -> Result<(String, String)> {
    let made = sqs(stack, "CreateQueue", &json!({"QueueName": name}))?;
    let url = made["QueueUrl"].as_str().context("no queue")?.to_owned();
    let asked = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
    let answer = sqs(stack, "GetQueueAttributes", &asked)?;
    let arn = answer["Attributes"]["QueueArn"]
        .as_str()
        .context("no ARN")?;
    Ok((url, arn.to_owned()))
}

/// The first message in a queue of which this is true.
fn received(stack: &Stack, queue_url: &str, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
    wait_until("a message comes", PATIENCE, || {
        let asked = json!({"QueueUrl": queue_url});
        let answer = sqs(stack, "ReceiveMessage", &asked)?;
        let body = answer["Messages"][0]["Body"].as_str();
        let body: Option<Value> = body.map(serde_json::from_str).transpose()?;
        Ok(body.filter(&is_it))
    })
}

#[test]
fn a_webhook_is_called_with_what_became_of_a_task() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let (url, calls) = webhook()?;
    let connection = properties(&stack, "WebhookConnection")?;
    let mut parameters = connection["AuthParameters"].clone();
    parameters["ApiKeyAuthParameters"]["ApiKeyValue"] = json!(SECRET);
    let made = events(
        &stack,
        "CreateConnection",
        &json!({
            "Name": format!("webhook-{}", user.sub),
            "AuthorizationType": connection["AuthorizationType"],
            "AuthParameters": parameters,
        }),
    )?;
    let mut destination = properties(&stack, "WebhookDestination")?;
    destination["Name"] = json!(format!("webhook-{}", user.sub));
    destination["ConnectionArn"] = made["ConnectionArn"].clone();
    destination["InvocationEndpoint"] = json!(url);
    let made = events(&stack, "CreateApiDestination", &destination)?;
    let target = made["ApiDestinationArn"]
        .as_str()
        .context("no destination")?;
    make_rule(&stack, "WebhookRule", &user, target)?;

    let task_id = user.submit(3)?.task_id()?;
    // (What EventBridge does where that fails, calling again, the emulator does not.)
    let call = calls.recv_timeout(PATIENCE)?;
    assert_eq!(call.header("x-api-key"), Some(SECRET));
    assert_eq!(call.header("idempotency-key"), Some(task_id.as_str()));
    let status = user.status(&task_id)?;
    let expected = json!({
        "schema_version": 1,
        "deduplication_id": task_id,
        "task_id": task_id,
        "job": "tuned-long-running-task",
        "sub": user.sub,
        "retry_of": null,
        "task_status": "SUCCESS",
        "number_of_items": 3,
        "count_done_items": 3,
        "count_failed_items": 0,
        "created_at": status["created_at"],
        "started_at": status["started_at"],
        "finished_at": status["finished_at"],
    });
    assert_eq!(call.body, expected);
    Ok(())
}

#[test]
fn a_mail_is_sent_of_a_task_that_failed() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let topic = stack.sns(&[
        ("Action", "CreateTopic"),
        ("Name", &format!("mail-{}", user.sub)),
    ])?;
    let topic = topic
        .split_once("<TopicArn>")
        .and_then(|(_, rest)| rest.split_once('<'));
    let (topic, _) = topic.context("no topic")?;
    // In place of a person, who would have to confirm it.
    let (queue_url, queue) = make_queue(&stack, &format!("mail-{}", user.sub))?;
    let allowed = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }],
    });
    let policy = json!({"QueueUrl": queue_url, "Attributes": {"Policy": allowed.to_string()}});
    sqs(&stack, "SetQueueAttributes", &policy)?;
    stack.sns(&[
        ("Action", "Subscribe"),
        ("TopicArn", topic),
        ("Protocol", "sqs"),
        ("Endpoint", &queue),
    ])?;
    make_rule(&stack, "MailRule", &user, topic)?;

    // One that succeeds is not written about.
    let contact = |email: &str| json!({"contacts": [{"name": "Somebody", "email": email}]});
    let mut task_id = String::new();
    for email in ["somebody@example.com", "nobody"] {
        let body = contact(email).to_string();
        task_id = user
            .post("/api/import-contacts/", body.as_bytes())?
            .task_id()?;
        wait_until("the import ends", PATIENCE, || {
            Ok((user.status(&task_id)?["finished_at"] != json!(null)).then_some(()))
        })?;
    }
    let mail = received(&stack, &queue_url, |_| true)?;
    let expected = format!(
        "\"Task {task_id} of the job import-contacts has failed: 1 of 1 items could not be done.\""
    );
    assert_eq!(mail["Message"], expected);
    Ok(())
}

#[test]
fn a_row_that_nobody_can_read_is_put_aside_and_holds_up_nobody() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let (queue_url, queue) = make_queue(&stack, &format!("ended-{}", user.sub))?;
    make_rule(&stack, "WebhookRule", &user, &queue)?;
    // As a faulty version, or somebody's hand, might leave it.
    let key = format!("TASK#odd-{}", user.sub);
    let row = json!({"pk": {"S": format!("USER#{}", user.sub)}, "sk": {"S": key}, "status": {"S": "SUCCESS"}});
    let put = json!({"TableName": stack.table_name, "Item": row});
    stack.aws("dynamodb", "DynamoDB_20120810.PutItem", &put)?;
    // Behind it in the stream.
    let task_id = user.submit(1)?.task_id()?;
    let ended = |event: &Value| event["task_id"] == task_id.as_str();
    received(&stack, &queue_url, ended)?;
    let is_of_row = |aside: &Value| aside["keys"]["sk"]["S"] == key;
    let aside = received(&stack, &stack.ended_failures_url, is_of_row)?;
    assert_eq!(aside["reason"], "its image is no task");
    Ok(())
}
