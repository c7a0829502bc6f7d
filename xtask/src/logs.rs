//! Shows what the functions write, with the tool that does the same on AWS: `sam logs`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::aws::Aws;
use crate::emulator;
use crate::interrupt::Interrupted;
use crate::places::Places;
use crate::process::{self, Event};
use crate::stack::Stack;

/// What `sam logs` can start from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Since {
    /// Everything that there is.
    Beginning,
    /// Only what comes.
    Now,
}

/// How often to see whether the emulator still lives. `sam logs` itself would retry for minutes.
const LOOK_AFTER_STACK: Duration = Duration::from_secs(1);

/// One line of `sam logs --output json`.
#[derive(Debug, Deserialize)]
struct Entry {
    timestamp: u64,
    message: String,
}

/// How a look at the logs ended, other than by an error.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    /// The developer interrupted, or closed what the lines were written to.
    ByDeveloper,
    /// The emulator is gone.
    StackGone,
    /// Everything was printed.
    Printed,
}

/// Prints the functions' output: all of it, or with `follow` until the developer interrupts or the stack is gone.
pub(crate) fn print(places: &Places, stack: &Stack, since: Since, follow: bool) -> Result<End> {
    let aws = stack.aws(places);
    let mut sam = aws.sam();
    sam.args(["logs", "--output", "json"]);
    for group in groups(&aws, stack)? {
        sam.args(["--cw-log-group", &group]);
    }
    sam.arg("--start-time").arg(match since {
        Since::Beginning => "1 week ago",
        Since::Now => "1 second ago",
    });
    if follow {
        sam.arg("--tail");
    }
    let mut complaint = String::new();
    let mut looked = Instant::now();
    let mut stack_gone = false;
    let mut stdout = std::io::stdout().lock();
    let status = process::watch(&mut sam, |event| match event {
        Event::Stdout(line) => match serde_json::from_str(&line)
            .ok()
            .and_then(|entry| readable(&entry))
        {
            Some(text) => Ok(writeln!(stdout, "{text}")?),
            None => Ok(()),
        },
        Event::Stderr(line) => {
            complaint = line;
            Ok(())
        }
        Event::Idle if stack.process_group.is_some() && looked.elapsed() > LOOK_AFTER_STACK => {
            looked = Instant::now();
            stack_gone = emulator::is_gone(places);
            if stack_gone {
                Err(Interrupted.into())
            } else {
                Ok(())
            }
        }
        Event::Idle => Ok(()),
    });
    match status {
        Ok(status) if status.success() => Ok(End::Printed),
        Ok(_) => bail!("sam logs failed: {complaint}"),
        Err(_) if stack_gone => Ok(End::StackGone),
        Err(error) if error.is::<Interrupted>() || is_broken_pipe(&error) => Ok(End::ByDeveloper),
        Err(error) => Err(error),
    }
}

/// The groups that the functions log to. Of a stack as a whole SAM wants those of the APIs as well, and finds none of a
/// WebSocket API.
pub(crate) fn groups(aws: &Aws, stack: &Stack) -> Result<Vec<String>> {
    let prefix = format!("/aws/lambda/{}-", stack.name);
    let list = ["logs", "describe-log-groups", "--log-group-name-prefix"];
    let listed = aws.call(&[&list[..], &[&prefix]].concat())?;
    let groups = listed["logGroups"].as_array().into_iter().flatten();
    let names = groups.filter_map(|group| group["logGroupName"].as_str());
    Ok(names.map(str::to_owned).collect())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// `19:01:13 INFO  the task has ended status=SUCCESS task_id=…`; `None` for Lambda's own book-keeping lines.
fn readable(entry: &Entry) -> Option<String> {
    let seconds = entry.timestamp / 1000;
    let time = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    );
    let message = entry.message.trim_end();
    if ["START ", "END ", "REPORT ", "INIT_START "]
        .iter()
        .any(|own| message.starts_with(own))
    {
        return None;
    }
    let Ok(Value::Object(mut fields)) = serde_json::from_str(message) else {
        return Some(format!("{time} {message}"));
    };
    if let Some(Value::Object(mut span)) = fields.remove("span") {
        // The runtime's own span, around every invocation, says nothing that helps here.
        span.retain(|name, _| name != "name" && name != "requestId");
        fields.extend(span);
    }
    fields.remove("timestamp");
    let (level, text) = (take(&mut fields, "level"), take(&mut fields, "message"));
    let mut line = format!("{time} {level:<5} {text}");
    for (name, value) in fields {
        // Writing to a string cannot fail.
        let _ = write!(
            line,
            " {name}={}",
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        );
    }
    Some(line)
}

fn take(fields: &mut Map<String, Value>, name: &str) -> String {
    // What is left stays in its order.
    fields
        .shift_remove(name)
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str) -> Option<String> {
        readable(&Entry {
            timestamp: 1_795_460_473_400,
            message: message.to_owned(),
        })
    }

    #[test]
    fn structured_lines_become_readable_and_lambdas_own_are_left_out() {
        let structured = r#"{"level":"INFO","message":"the task has ended","chunk":0,"span":{"name":"work","requestId":"r","task_id":"a"}}"#;
        assert_eq!(
            line(structured).as_deref(),
            Some("19:01:13 INFO  the task has ended chunk=0 task_id=a")
        );
        assert_eq!(line("a panic\n").as_deref(), Some("19:01:13 a panic"));
        assert_eq!(line("REPORT RequestId: x"), None);
    }
}
