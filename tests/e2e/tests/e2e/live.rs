//! Progress is told to whoever is connected, and to nobody else.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use e2e::live::{Connection, Opened, latency, open, percentiles};
use e2e::{Stack, User, have_the_machine, wait_until};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);

/// How long nothing has to come for it to be said that nothing comes.
const SILENCE: Duration = Duration::from_secs(3);

fn has_ended(message: &Value) -> bool {
    !["QUEUED", "PROCESSING"].contains(&message["data"]["task_status"].as_str().unwrap_or(""))
}

fn refusal(opened: &Opened) -> Result<u16> {
    match opened {
        Opened::Refused(status) => Ok(*status),
        Opened::Open(_) => bail!("the connection was opened"),
    }
}

/// How many connections the table knows of the user.
fn listed(stack: &Stack, user: &User) -> Result<usize> {
    Ok(stack.rows(&format!("CONNECTIONS#{}", user.sub))?.len())
}

#[test]
fn a_task_is_told_from_its_beginning_to_its_end() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let mut connection = user.listen()?;
    let task_id = user.submit(20)?.task_id()?;
    let told = connection.until(PATIENCE, has_ended)?;
    let mut before = None;
    for message in &told {
        assert_eq!(message["type"], "task");
        assert_eq!(message["data"]["task_id"], task_id.as_str());
        assert_eq!(message["version"], message["data"]["version"]);
        let version = message["version"].as_u64().context("no version")?;
        assert!(before < Some(version), "{told:?}");
        before = Some(version);
    }
    let statuses: Vec<_> = told
        .iter()
        .map(|message| &message["data"]["task_status"])
        .collect();
    assert!(statuses.contains(&&json!("PROCESSING")), "{statuses:?}");
    assert_eq!(told[told.len() - 1]["data"], user.status(&task_id)?);
    Ok(())
}

#[test]
fn everybody_is_told_of_their_own_tasks_and_all_their_connections_are() -> Result<()> {
    let stack = Stack::load()?;
    let (first, second) = (stack.user()?, stack.user()?);
    let mut of_first = [first.listen()?, first.listen()?];
    let mut of_second = second.listen()?;
    let task_id = first.submit(2)?.task_id()?;
    for connection in &mut of_first {
        let told = connection.until(PATIENCE, has_ended)?;
        assert!(
            told.iter()
                .all(|message| message["data"]["task_id"] == task_id.as_str())
        );
    }
    assert!(of_second.next(SILENCE).is_err());
    Ok(())
}

#[test]
fn a_ticket_opens_one_connection() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let url = user.live_url()?;
    let Opened::Open(_open) = open(&url)? else {
        bail!("a ticket opened nothing");
    };
    assert_eq!(refusal(&open(&url)?)?, 403);
    // Two that come at once: one is let in.
    let url = user.live_url()?;
    let both = thread::scope(|scope| {
        let [one, other] = [(); 2].map(|()| scope.spawn(|| open(&url)));
        [one, other].map(thread::ScopedJoinHandle::join)
    });
    let both = both.into_iter().map(|opened| match opened {
        Ok(opened) => Ok(matches!(opened?, Opened::Open(_))),
        Err(_) => bail!("a thread panicked"),
    });
    let opened: Vec<bool> = both.collect::<Result<_>>()?;
    assert_eq!(opened.iter().filter(|opened| **opened).count(), 1);
    Ok(())
}

#[test]
fn without_a_good_ticket_nothing_opens() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let url = user.live_url()?;
    let (address, ticket) = url.split_once("?ticket=").context("no ticket")?;
    assert!(
        !format!(
            "{:?}",
            stack.aws(
                "dynamodb",
                "DynamoDB_20120810.Scan",
                &json!({"TableName": stack.table_name})
            )?
        )
        .contains(ticket)
    );
    // Its time is over: half a minute is not waited for.
    let rows = stack.aws(
        "dynamodb",
        "DynamoDB_20120810.Scan",
        &json!({
            "TableName": stack.table_name,
            "FilterExpression": "begins_with(pk, :ticket) AND #user = :user",
            "ExpressionAttributeNames": {"#user": "user"},
            "ExpressionAttributeValues": {":ticket": {"S": "TICKET#"}, ":user": {"S": user.sub}},
        }),
    )?;
    let mut row = rows["Items"][0].clone();
    row["expires_at"] = json!({"N": "1000000000"});
    let put = json!({"TableName": stack.table_name, "Item": row});
    stack.aws("dynamodb", "DynamoDB_20120810.PutItem", &put)?;
    assert_eq!(refusal(&open(&url)?)?, 403);
    assert_eq!(refusal(&open(&format!("{address}?ticket=guessed"))?)?, 403);
    assert_eq!(refusal(&open(address)?)?, 401);
    // The token is none.
    assert_eq!(
        refusal(&open(&format!("{address}?ticket={}", user.token))?)?,
        403
    );
    for (token, status) in [("", 401), ("Bearer x.y.z", 401)] {
        let answer = stack.call("POST", "/api/live/", &[("authorization", token)], b"")?;
        assert_eq!(answer.status, status);
    }
    Ok(())
}

#[test]
fn whoever_has_a_ticket_is_told_what_its_owner_is() -> Result<()> {
    let stack = Stack::load()?;
    let (owner, finder) = (stack.user()?, stack.user()?);
    // Who presents it is not asked: it stands for its owner, and for nobody else.
    let Opened::Open(mut connection) = open(&owner.live_url()?)? else {
        bail!("refused");
    };
    finder.submit(1)?;
    let task_id = owner.submit(1)?.task_id()?;
    let told = connection.until(PATIENCE, has_ended)?;
    assert!(
        told.iter()
            .all(|message| message["data"]["task_id"] == task_id.as_str())
    );
    Ok(())
}

#[test]
fn a_ping_is_answered_and_anything_else_refused() -> Result<()> {
    let mut connection = Stack::load()?.user()?.listen()?;
    connection.say(r#"{"action": "ping"}"#)?;
    assert_eq!(connection.next(PATIENCE)?, Some(json!({"type": "pong"})));
    let long = "x".repeat(30_000);
    for text in ["hello", "{}", r#"{"action": 5}"#, &long] {
        connection.say(text)?;
        let told = connection.next(PATIENCE)?.context("closed")?;
        assert_eq!(told["type"], "refused", "{text}: {told}");
    }
    Ok(())
}

#[test]
fn who_is_connected_is_known_and_who_is_not_is_forgotten() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let connection = user.listen()?;
    assert_eq!(listed(&stack, &user)?, 1);
    drop(connection);
    wait_until("it is forgotten", PATIENCE, || {
        Ok((listed(&stack, &user)? == 0).then_some(()))
    })
}

#[test]
fn the_oldest_of_too_many_connections_is_closed() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let mut oldest = user.listen()?;
    let _others: Vec<Connection> = (0..10).map(|_| user.listen()).collect::<Result<_>>()?;
    oldest.closed(PATIENCE)?;
    assert_eq!(listed(&stack, &user)?, 10);
    Ok(())
}

#[test]
fn who_does_not_read_holds_up_nobody() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let _slow = user.listen()?;
    let mut connection = user.listen()?;
    let mut latencies = Vec::new();
    for _ in 0..5 {
        user.submit(1)?;
        let told = connection.until(PATIENCE, has_ended)?;
        latencies.extend(told.last().map(latency).transpose()?);
    }
    let (median, most) = percentiles(latencies);
    println!("the end was told after {median:.0?}, at most {most:.0?}");
    Ok(())
}

#[test]
fn two_hundred_connections_are_told_within_seconds() -> Result<()> {
    const USERS: usize = 20;
    const OF_EACH: usize = 10;
    const AT_ONCE: usize = 50;
    let _machine = have_the_machine();
    let stack = Stack::load()?;
    let users: Vec<User> = (0..USERS).map(|_| stack.user()).collect::<Result<_>>()?;
    let all: Vec<&User> = users.iter().flat_map(|user| [user; OF_EACH]).collect();
    let mut connections: Vec<Connection> = Vec::new();
    for some in all.chunks(AT_ONCE) {
        let opened = thread::scope(|scope| {
            let opening: Vec<_> = some
                .iter()
                .map(|user| scope.spawn(|| user.listen()))
                .collect();
            let opened = opening.into_iter().map(|opening| match opening.join() {
                Ok(opened) => opened,
                Err(_) => bail!("a thread panicked"),
            });
            opened.collect::<Result<Vec<_>>>()
        });
        connections.extend(opened?);
    }
    // Side by side, or those that are looked at last would seem to be told late.
    let listening = connections.into_iter().map(|mut connection| {
        thread::spawn(move || {
            let told = connection.until(PATIENCE, has_ended)?;
            latency(told.last().context("nothing was told")?)
        })
    });
    let listening: Vec<_> = listening.collect();
    for user in &users {
        assert_eq!(user.submit(1)?.status, 200);
    }
    let latencies = listening
        .into_iter()
        .map(|listening| match listening.join() {
            Ok(latency) => latency,
            Err(_) => bail!("a thread panicked"),
        });
    let latencies: Vec<_> = latencies.collect::<Result<_>>()?;
    assert_eq!(latencies.len(), USERS * OF_EACH);
    let (median, most) = percentiles(latencies);
    println!("200 connections: told after {median:.0?}, 95 % of them within {most:.0?}");
    Ok(())
}
