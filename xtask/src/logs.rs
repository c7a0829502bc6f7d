//! Shows what the functions write, with the tool that does the same on AWS: `sam logs`.

use std::fmt::Write;

use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::interrupt::Interrupted;
use crate::places::Places;
use crate::process;
use crate::stack::Stack;

/// What `sam logs` can start from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Since {
    /// Everything that there is.
    Beginning,
    /// Only what comes.
    Now,
}

/// One line of `sam logs --output json`.
#[derive(Debug, Deserialize)]
struct Event {
    timestamp: u64,
    message: String,
}

/// Prints the functions' output: all of it, or with `follow` until the developer interrupts or the stack is gone.
pub(crate) fn print(places: &Places, stack: &Stack, since: Since, follow: bool) -> Result<()> {
    let mut sam = stack.aws(places).tool("sam");
    sam.args([
        "logs",
        "--output",
        "json",
        "--stack-name",
        &stack.name,
        "--start-time",
    ]);
    sam.arg(match since {
        Since::Beginning => "1 week ago",
        Since::Now => "1 second ago",
    });
    if follow {
        sam.arg("--tail");
    }
    let output = process::capture(&mut sam, |line| {
        if let Some(text) = serde_json::from_str(line)
            .ok()
            .and_then(|event| readable(&event))
        {
            println!("{text}");
        }
    })?;
    if output.status.success() || (follow && output.status.code().is_none()) {
        return Ok(());
    }
    bail!("sam logs failed: {}", process::tail(&output.stderr, 5))
}

/// Following ends with an interrupt, as a rule; that is no failure.
pub(crate) fn ended_by_developer(followed: &Result<()>) -> bool {
    followed
        .as_ref()
        .is_err_and(anyhow::Error::is::<Interrupted>)
}

/// `19:01:13 INFO  the task has ended status=SUCCESS task_id=…`; `None` for Lambda's own book-keeping lines.
fn readable(event: &Event) -> Option<String> {
    let seconds = event.timestamp / 1000;
    let time = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    );
    let message = event.message.trim_end();
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
    fields
        .remove(name)
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str) -> Option<String> {
        readable(&Event {
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
