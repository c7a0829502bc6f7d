//! The message that tells a worker where to look, and how it is sent.
//!
//! A message is a hint: it may be lost, repeated, delayed or reordered, and says nothing that the
//! table does not know better. So it carries no state, only an address, and for which turn of the chunk it is.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{DisplayErrorContext, SdkError};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use serde::{Deserialize, Serialize};

use crate::chunk::ChunkIndex;
use crate::task::{Task, TaskId, UserId, hex_of_sha256, job_of_old, version_of_old};

/// How many messages one `SendMessageBatch` takes (Amazon SQS quotas).
const BATCH_MESSAGES_MAX: usize = 10;

/// How long a message can be held back (Amazon SQS quotas).
const DELAY_SECONDS_MAX: i32 = 900;

/// How often the entries that a batch refused are sent again.
const BATCH_ATTEMPTS_MAX: usize = 3;

/// "There is work on these chunks of this task."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Whose task it is: the other half of the task's key.
    pub user: UserId,
    /// The task.
    pub task_id: TaskId,
    /// The job that it is a run of…
    #[serde(default = "job_of_old")]
    pub job: String,
    /// …and the version of it in which its items are stored: a worker must know both before it claims anything.
    #[serde(default = "version_of_old")]
    pub job_version: u32,
    /// The chunks that need a worker, at least one. The receiver works on the first and sends the
    /// rest on, one message each.
    pub chunks: Vec<ChunkIndex>,
    /// For which turn of the chunks it is. Of the copies of a message, which a long queue has, one brings the chunk
    /// its turn, and the others are none for the next one: a chunk gets no more turns by having more messages.
    /// `None` is any turn: the message has come back, and nobody knows how far its worker got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<u32>,
    /// How often the work has been handed on from one message to the next.
    #[serde(default)]
    pub hops: u32,
    /// The sweeper has sent it, because the task had stalled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dispatched: bool,
    /// The last worker on these chunks died: perhaps of them, so nothing else may run beside them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// How often it was passed on to another invocation, because its turn to go alone came too late in one.
    #[serde(default)]
    pub passed_on: u32,
}

impl Message {
    /// What sends workers to all chunks of a new task.
    #[must_use]
    pub fn first(task: &Task) -> Self {
        Self {
            chunks: (0..task.chunks.len()).collect(),
            ..Self::to(task, 0)
        }
    }

    /// What sends a worker to this chunk of the task, at its present turn.
    #[must_use]
    pub fn to(task: &Task, chunk: ChunkIndex) -> Self {
        Self {
            user: task.user.clone(),
            task_id: task.task_id,
            job: task.job.clone(),
            job_version: task.job_version,
            chunks: vec![chunk],
            turn: task.chunks.get(chunk).map(|stored| stored.turn),
            hops: 0,
            dispatched: false,
            alone: false,
            passed_on: 0,
        }
    }

    /// Reads a message's body.
    ///
    /// # Errors
    ///
    /// When the body is not a message, or names no chunk: somebody else wrote it, or another
    /// version did. It is evidence, and belongs in the dead-letter queue.
    pub fn parse(body: &str) -> Result<Self, MalformedMessage> {
        let message: Self = serde_json::from_str(body).map_err(MalformedMessage::Json)?;
        if message.chunks.is_empty() {
            return Err(MalformedMessage::NoChunk);
        }
        Ok(message)
    }

    /// The same work for one chunk only, at this turn.
    #[must_use]
    pub fn for_chunk(&self, chunk: ChunkIndex, turn: u32) -> Self {
        Self {
            chunks: vec![chunk],
            turn: Some(turn),
            ..self.clone()
        }
    }

    /// Whether it is for this turn of its chunks.
    #[must_use]
    pub fn is_for(&self, turn: u32) -> bool {
        self.turn.is_none_or(|own| own == turn)
    }

    /// The message group: one per user. A digest, because a group id must have at most 128 visible
    /// characters, and a user's id may have others.
    fn group(&self) -> String {
        hex_of_sha256(self.user.as_str())
    }

    fn body(&self) -> Result<String, QueueError> {
        serde_json::to_string(self).map_err(|error| QueueError(error.into()))
    }
}

/// A message body that is not one of ours.
#[derive(Debug, thiserror::Error)]
pub enum MalformedMessage {
    /// Not the JSON that was expected.
    #[error("the message is not understood")]
    Json(#[source] serde_json::Error),
    /// The list of chunks is empty.
    #[error("the message names no chunk")]
    NoChunk,
}

/// A message could not be sent, or nobody knows whether it was. Trying again is always right: a
/// second copy does no harm.
#[derive(Debug, thiserror::Error)]
#[error("the message could not be sent")]
pub struct QueueError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl<E, R> From<SdkError<E, R>> for QueueError
where
    SdkError<E, R>: std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, R>) -> Self {
        // The SDK's own `Display` says only "service error"; the context names the cause.
        let context = DisplayErrorContext(&error).to_string();
        Self(context.into())
    }
}

/// The queues of the jobs that have a worker of their own. Which they are is for the environment alone to say, and stored
/// nowhere: whoever sends, sends to where a job's worker is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobQueues(BTreeMap<String, String>);

impl JobQueues {
    /// Adds the queue of a job.
    ///
    /// # Errors
    ///
    /// Why there cannot be this one beside the others: a job has one queue, and a queue one job, for its worker would
    /// not know whose the messages of another job are.
    pub fn add(&mut self, job: &str, url: &str) -> Result<(), String> {
        if self.has(job) {
            return Err(format!("two queues for {job:?}"));
        }
        if let Some((other, _)) = self.0.iter().find(|(_, taken)| *taken == url) {
            return Err(format!("one queue for {other:?} and {job:?}"));
        }
        self.0.insert(job.to_owned(), url.to_owned());
        Ok(())
    }

    /// The address of the job's own queue, if it has one.
    #[must_use]
    pub fn url(&self, job: &str) -> Option<&str> {
        self.0.get(job).map(String::as_str)
    }

    /// Whether the job has a queue of its own.
    #[must_use]
    pub fn has(&self, job: &str) -> bool {
        self.0.contains_key(job)
    }

    /// The jobs that have one.
    pub fn jobs(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// The queues between those who have work and the workers: one that is shared, and those of jobs that have a worker of
/// their own. A message goes to the one of its job.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    shared_url: String,
    own: JobQueues,
}

impl Queue {
    /// The queue at `url`, for all jobs.
    #[must_use]
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self {
            client,
            shared_url: url.into(),
            own: JobQueues::default(),
        }
    }

    /// The same for all jobs but these.
    #[must_use]
    pub fn with_own(self, own: JobQueues) -> Self {
        Self { own, ..self }
    }

    /// The queues of the jobs that have a worker of their own.
    #[must_use]
    pub fn own(&self) -> &JobQueues {
        &self.own
    }

    /// Where messages of a job go.
    fn url(&self, job: &str) -> &str {
        self.own.url(job).unwrap_or(&self.shared_url)
    }

    /// Sends one message. Messages of one user form a group, which makes the queue fair: a user
    /// with many messages does not make the others wait (Amazon SQS fair queues).
    ///
    /// # Errors
    ///
    /// [`QueueError`] when the message was not sent, or may not have been.
    pub async fn send(&self, message: &Message) -> Result<(), QueueError> {
        self.client
            .send_message()
            .queue_url(self.url(&message.job))
            .message_group_id(message.group())
            .message_body(message.body()?)
            .send()
            .await?;
        Ok(())
    }

    /// Sends one message that is not delivered before `wait` is over, which is 15 minutes at most.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub async fn send_later(&self, message: &Message, wait: Duration) -> Result<(), QueueError> {
        let whole = i32::try_from(wait.as_secs()).unwrap_or(i32::MAX);
        let seconds = whole.saturating_add(i32::from(wait.subsec_nanos() > 0));
        self.client
            .send_message()
            .queue_url(self.url(&message.job))
            .message_group_id(message.group())
            .message_body(message.body()?)
            .delay_seconds(seconds.min(DELAY_SECONDS_MAX))
            .send()
            .await?;
        Ok(())
    }

    /// Sends many messages, ten to a call, and each to the queue of its job.
    ///
    /// # Errors
    ///
    /// [`QueueError`] when at least one of them was not sent, or may not have been.
    pub async fn send_all(&self, messages: &[Message]) -> Result<(), QueueError> {
        for of_one_job in messages.chunk_by(|one, other| one.job == other.job) {
            for batch in of_one_job.chunks(BATCH_MESSAGES_MAX) {
                self.send_batch(self.url(&batch[0].job), batch).await?;
            }
        }
        Ok(())
    }

    async fn send_batch(&self, url: &str, messages: &[Message]) -> Result<(), QueueError> {
        let mut pending = Vec::with_capacity(messages.len());
        for (id, message) in messages.iter().enumerate() {
            pending.push(
                SendMessageBatchRequestEntry::builder()
                    .id(id.to_string())
                    .message_group_id(message.group())
                    .message_body(message.body()?)
                    .build()
                    .map_err(|error| QueueError(error.into()))?,
            );
        }
        let mut refusal = String::new();
        for _ in 0..BATCH_ATTEMPTS_MAX {
            let answer = self
                .client
                .send_message_batch()
                .queue_url(url)
                .set_entries(Some(pending.clone()))
                .send()
                .await?;
            // A batch that succeeds as a call may still have refused some of its entries.
            let Some(first) = answer.failed().first() else {
                return Ok(());
            };
            refusal = format!("{}: {}", first.code(), first.message().unwrap_or_default());
            pending.retain(|entry| {
                answer
                    .failed()
                    .iter()
                    .any(|failed| failed.id() == entry.id())
            });
        }
        Err(QueueError(refusal.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use embedded_aws::{Call, EmbeddedAws, Fault, QUEUE_URL};

    use super::*;
    use crate::host::{Host, Timestamp};
    use crate::order::Order;
    use crate::quota::Quota;
    use crate::task::{Terms, Uniqueness};

    fn task(user: &str) -> Task {
        let terms = Terms {
            chunk_items: 1,
            lease: Duration::ZERO,
            lifetime: Duration::from_secs(7 * 86_400),
            retention: Duration::ZERO,
            uniqueness: Uniqueness::User,
            quota: Quota::default(),
        };
        let host = Host::new(Timestamp::default, || 0);
        let user = UserId::from_claim(user).unwrap();
        let order = Order::numbered("tuned-long-running-task", 25);
        Task::new(&host, user, &order, &terms)
    }

    /// A message for each chunk.
    fn messages(task: &Task) -> Vec<Message> {
        let chunks = 0..task.chunks.len();
        chunks.map(|chunk| Message::to(task, chunk)).collect()
    }

    #[test]
    fn a_message_is_for_the_turn_that_its_chunk_is_at() {
        let mut task = task("ann");
        task.chunks[3].turn = 5;
        let message = Message::to(&task, 3);
        assert_eq!((&message.chunks, message.turn), (&vec![3], Some(5)));
        assert!(message.is_for(5) && !message.is_for(4) && !message.is_for(6));
        let returned = Message {
            turn: None,
            ..message.clone()
        };
        assert!(returned.is_for(0) && returned.is_for(7));
        let passed = Message {
            hops: 2,
            alone: true,
            ..message
        };
        let expected = Message {
            chunks: vec![9],
            turn: Some(7),
            ..passed.clone()
        };
        assert_eq!(passed.for_chunk(9, 7), expected);
        assert_eq!(Message::first(&task).chunks, (0..25).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_messages_of_a_user_are_one_group_and_those_of_another_another() {
        let aws = EmbeddedAws::default();
        let queue = Queue::new(aws.sqs("test"), QUEUE_URL);
        for user in ["user", "somebody else", "ünd 😀"] {
            let task = task(user);
            queue.send(&Message::first(&task)).await.unwrap();
            queue.send_all(&messages(&task)).await.unwrap();
            let sent = aws.take_sent();
            assert_eq!(sent.len(), 26);
            // Half of the digest of the user's id, whatever is in that.
            let group = hex_of_sha256(user);
            assert!(sent.iter().all(|sent| sent.group == group), "{user}");
        }
        assert_eq!(hex_of_sha256("user"), "04f8996da763b7a969b1028ee3007569");
    }

    /// Sends the messages to a queue that refuses half of a batch the first time, or always.
    async fn send_all_to_one_that_refuses(always: bool) -> (Result<(), QueueError>, EmbeddedAws) {
        let refused = AtomicBool::new(false);
        let aws = EmbeddedAws::with_faults(move |_: &Call| {
            if always || !refused.swap(true, Ordering::Relaxed) {
                Fault::Half
            } else {
                Fault::None
            }
        });
        let queue = Queue::new(aws.sqs("test"), QUEUE_URL);
        (queue.send_all(&messages(&task("ann"))).await, aws)
    }

    #[tokio::test]
    async fn each_message_goes_to_the_queue_of_its_job() {
        let aws = EmbeddedAws::default();
        let mut own = JobQueues::default();
        own.add("render", "https://sqs/render").unwrap();
        let queue = Queue::new(aws.sqs("test"), QUEUE_URL).with_own(own);
        let shared = Message::to(&task("ann"), 0);
        let rendered = Message {
            job: "render".into(),
            ..shared.clone()
        };
        for message in [&shared, &rendered] {
            queue.send(message).await.unwrap();
            let wait = Duration::from_secs(1);
            queue.send_later(message, wait).await.unwrap();
        }
        let mixed = [&shared, &rendered, &rendered, &shared].map(Clone::clone);
        queue.send_all(&mixed).await.unwrap();
        let sent = aws.take_sent();
        assert_eq!(sent.len(), 8);
        for sent in sent {
            let url = match Message::parse(&sent.body).unwrap().job.as_str() {
                "render" => "https://sqs/render",
                _ => QUEUE_URL,
            };
            assert_eq!(sent.queue_url, url);
        }
    }

    #[tokio::test]
    async fn what_a_batch_refuses_is_sent_again_and_nothing_else() {
        let (sent, aws) = send_all_to_one_that_refuses(false).await;
        assert!(sent.is_ok());
        let mut chunks: Vec<_> = aws
            .take_sent()
            .iter()
            .flat_map(|sent| Message::parse(&sent.body).unwrap().chunks)
            .collect();
        chunks.sort_unstable();
        assert_eq!(chunks, (0..25).collect::<Vec<_>>());
        assert_eq!(
            aws.take_calls().len(),
            4,
            "three batches, one of them twice"
        );
    }

    #[tokio::test]
    async fn what_is_refused_again_and_again_is_an_error() {
        let (sent, aws) = send_all_to_one_that_refuses(true).await;
        let refusal = std::error::Error::source(&sent.unwrap_err()).map(ToString::to_string);
        assert_eq!(refusal.as_deref(), Some("InternalError: refused"));
        assert_eq!(aws.take_calls().len(), BATCH_ATTEMPTS_MAX);
    }

    #[test]
    fn what_is_not_a_message_is_refused() {
        for body in [
            "",
            "{}",
            "null",
            "[]",
            r#"{"user":"u","task_id":"x","chunks":[0]}"#,
        ] {
            assert!(
                matches!(Message::parse(body), Err(MalformedMessage::Json(_))),
                "{body}"
            );
        }
        let empty = r#"{"user":"u","task_id":"0192f0c1-0000-7000-8000-000000000000","chunks":[]}"#;
        assert!(matches!(
            Message::parse(empty),
            Err(MalformedMessage::NoChunk)
        ));
    }
}
