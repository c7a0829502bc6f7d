//! The table's stream, and the two event source mappings that read it.
//!
//! What is written of a task becomes a record, in the order in which it is written. A record belongs to the shard of its
//! partition key, and a mapping reads each shard in its order: what is late holds up what lies behind it. A batch may come
//! again although it was dealt with: at least once is what is promised.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use longhaul::task::{Task, TaskId};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::process::Process;
use crate::run::Run;
use crate::scenario::Odds;
use crate::site::Function;
use crate::table::{Change, Key};

/// The address of the queue for what could not be said of an ended task.
pub(crate) const FAILURES_URL: &str =
    "https://sqs.us-east-1.amazonaws.com/000000000000/ended-failures";

/// How many shards the stream has.
pub(crate) const SHARDS: usize = 3;

/// A record is there to be read so long after the write at the latest, and a mapping looks four times a second.
pub(crate) const LAG_MAX: Duration = Duration::from_millis(400);

/// What the template has of the mapping of `notify`: how long it waits for more,
pub(crate) const WINDOW: Duration = Duration::from_secs(1);
/// how many records it hands over,
const NOTIFY_BATCH_MAX: usize = 1000;
/// and how old they may be.
const NOTIFY_AGE_MAX: Duration = Duration::from_secs(60);

/// The same of the mapping of `ended`.
const ENDED_BATCH_MAX: usize = 10;
const ENDED_AGE_MAX: Duration = Duration::from_secs(23 * 3600);

/// A mapping tries a batch again after longer and longer.
const RETRY_WAIT: Duration = Duration::from_secs(1);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(60);

/// The functions' timeout.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Who reads the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Notify,
    Ended,
}

impl Reader {
    const ALL: [Self; 2] = [Self::Notify, Self::Ended];

    fn function(self) -> Function {
        match self {
            Self::Notify => Function::Notify,
            Self::Ended => Function::Ended,
        }
    }
}

/// What a write left of a task.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    key: Key,
    image: Value,
    is_new: bool,
    /// The task as it is written.
    pub(crate) task: Task,
    /// Where in the stream it is.
    pub(crate) number: u64,
    written_at: Duration,
    visible_at: Duration,
    /// Nobody can read it.
    pub(crate) is_garbled: bool,
}

impl Record {
    /// Where in the stream it is, as the stream says it.
    pub(crate) fn sequence_number(&self) -> String {
        format!("{:021}", self.number)
    }

    fn event(&self) -> Value {
        let (pk, sk) = &self.key;
        let mut image = self.image.clone();
        if self.is_garbled {
            let fields = ["version", "chunks", "user", "number_of_items"];
            let place = usize::try_from(self.number).unwrap_or_default();
            image[fields[place % fields.len()]] = json!({"BOOL": true});
        }
        json!({
            "eventID": self.sequence_number(),
            "eventName": if self.is_new { "INSERT" } else { "MODIFY" },
            "eventSource": "aws:dynamodb",
            "dynamodb": {
                "Keys": {"pk": {"S": pk}, "sk": {"S": sk}},
                "NewImage": image,
                "SequenceNumber": self.sequence_number(),
                "StreamViewType": "NEW_IMAGE",
            },
        })
    }

    /// Whether the mapping's filter lets it pass.
    fn is_for(&self, reader: Reader) -> bool {
        reader == Reader::Notify || !self.task.status.is_open()
    }
}

/// The stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Whether there is one.
    pub(crate) is_on: bool,
    shards: [Vec<Record>; SHARDS],
    /// How far each reader is in each shard.
    read: [[usize; SHARDS]; 2],
    next: u64,
    /// Where the versions of tasks are.
    versions: BTreeMap<(TaskId, u64), (usize, usize)>,
}

impl Stream {
    /// Takes a change in. Returns until when it is late, if it is, and whether it cannot be read.
    pub(crate) fn take(
        &mut self,
        change: &Change,
        now: Duration,
        odds: &Odds,
        random: &mut Rng,
    ) -> (Option<Duration>, bool) {
        let after = change.after.as_ref();
        let task = after.and_then(|row| Some((row, row.task.as_ref()?)));
        let (true, Some((row, task))) = (self.is_on, task) else {
            return (None, false);
        };
        let shard = shard_of(&change.key.0);
        let mut roll = |per_mille| random.u32(0..1000) < per_mille;
        let (is_late, is_garbled) = (roll(odds.late), roll(odds.garbled));
        let most = u64::try_from(LAG_MAX.as_millis()).unwrap_or_default();
        let delay = match is_late {
            false => Duration::from_millis(random.u64(1..=most)),
            true if random.bool() => Duration::from_millis(random.u64(most..10_000)),
            true => Duration::from_secs(random.u64(10..200)),
        };
        let records = &mut self.shards[shard];
        let before = records.last().map(|record| record.visible_at);
        let visible_at = (now + delay).max(before.unwrap_or_default());
        self.versions
            .insert((task.task_id, task.version), (shard, records.len()));
        records.push(Record {
            key: change.key.clone(),
            image: row.typed.clone(),
            is_new: change.before.is_none(),
            task: task.clone(),
            number: self.next,
            written_at: now,
            visible_at,
            is_garbled,
        });
        self.next += 1;
        (is_late.then_some(visible_at), is_garbled)
    }

    /// A task as it was in this version.
    pub(crate) fn version(&self, id: TaskId, version: u64) -> Option<&Task> {
        let (shard, place) = *self.versions.get(&(id, version))?;
        self.shards[shard].get(place).map(|record| &record.task)
    }

    /// All records.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.shards.iter().flatten()
    }

    /// Whether everybody has read everything.
    pub(crate) fn is_read(&self) -> bool {
        let is_read = |read: &[usize; SHARDS]| {
            let shards = self.shards.iter().zip(read);
            shards.into_iter().all(|(shard, read)| *read == shard.len())
        };
        self.read.iter().all(is_read)
    }

    /// When there is something to be read, and what of it can be seen now.
    fn look(&self, reader: Reader, shard: usize, now: Duration) -> (Option<Duration>, &[Record]) {
        let records = &self.shards[shard][self.read[reader as usize][shard]..];
        let visible = records.iter().take_while(|record| record.visible_at <= now);
        let visible = visible.count();
        let next = records.first().map(|record| record.visible_at);
        (next, &records[..visible])
    }
}

fn shard_of(pk: &str) -> usize {
    let sum: usize = pk.bytes().map(usize::from).sum();
    sum % SHARDS
}

/// The mappings, for as long as the run goes on.
pub(crate) async fn deliver(run: Run) {
    let mut mappings = JoinSet::new();
    for reader in Reader::ALL {
        for shard in 0..SHARDS {
            let mapping = Mapping {
                run: run.clone(),
                reader,
                shard,
            };
            mappings.spawn(mapping.read());
        }
    }
    while let Some(ended) = mappings.join_next().await {
        if let Err(panic) = ended {
            run.world
                .complain(format!("a mapping of the stream panicked: {panic}"));
        }
    }
}

/// One shard's event source mapping.
struct Mapping {
    run: Run,
    reader: Reader,
    shard: usize,
}

impl Mapping {
    async fn read(self) {
        let world = &self.run.world;
        loop {
            let next = world
                .state()
                .stream
                .look(self.reader, self.shard, world.now())
                .0;
            let Some(next) = next else {
                world.stream_changed(self.reader, self.shard).await;
                continue;
            };
            let wait = next.saturating_sub(world.now());
            match self.reader {
                Reader::Notify => tokio::time::sleep(wait + WINDOW).await,
                Reader::Ended => tokio::time::sleep(wait).await,
            }
            let (batch, read) = self.take_batch();
            match self.reader {
                Reader::Notify => self.notify(batch).await,
                Reader::Ended => self.announce(batch).await,
            }
            world.state().stream.read[self.reader as usize][self.shard] += read;
        }
    }

    /// What is next, and how many records that is, with those that the filter does not let pass.
    fn take_batch(&self) -> (Vec<Record>, usize) {
        let state = self.run.world.state();
        let now = self.run.world.now();
        let (_, visible) = state.stream.look(self.reader, self.shard, now);
        let most = match self.reader {
            Reader::Notify => NOTIFY_BATCH_MAX,
            Reader::Ended => ENDED_BATCH_MAX,
        };
        let (mut batch, mut read) = (vec![], 0);
        for record in visible {
            if batch.len() == most {
                break;
            }
            read += 1;
            if record.is_for(self.reader) {
                batch.push(record.clone());
            }
        }
        (batch, read)
    }

    /// Whether something happens by chance that happens to so many batches of a thousand.
    fn happens(&self, of: impl Fn(&Odds) -> u32) -> bool {
        let world = &self.run.world;
        let odds = world
            .state()
            .scenario
            .live
            .as_ref()
            .map(|live| of(&live.odds));
        let odds = odds.unwrap_or_default();
        odds > 0 && world.is_stormy() && world.chance(|random| random.u32(0..1000)) < odds
    }

    /// Once, and if it comes again, it comes again.
    async fn notify(&self, mut batch: Vec<Record>) {
        let world = &self.run.world;
        let now = world.now();
        batch.retain(|record| record.written_at + NOTIFY_AGE_MAX >= now);
        loop {
            if batch.is_empty() {
                return;
            }
            self.invoke(&batch).await;
            if !self.happens(|odds| odds.repeated) {
                return;
            }
            world.wrong("repeated batch");
        }
    }

    /// Until it works, in halves of halves, or is too old.
    async fn announce(&self, batch: Vec<Record>) {
        let world = &self.run.world;
        let mut left = vec![batch];
        let mut wait = RETRY_WAIT;
        while let Some(mut batch) = left.pop() {
            let Some(first) = batch.first() else { continue };
            if first.written_at + ENDED_AGE_MAX < world.now() {
                world.state().ledger.live.given_up(&batch);
                continue;
            }
            if self.invoke(&batch).await {
                wait = RETRY_WAIT;
                if self.happens(|odds| odds.repeated) {
                    world.wrong("repeated batch");
                    left.push(batch);
                }
                continue;
            }
            let later = batch.split_off(batch.len().div_ceil(2));
            left.extend([later, batch]);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_WAIT_MAX);
        }
    }

    /// One invocation. Returns whether it did not fail.
    async fn invoke(&self, batch: &[Record]) -> bool {
        let world = &self.run.world;
        let events: Vec<_> = batch.iter().map(Record::event).collect();
        let event = json!({ "Records": events }).to_string();
        let function = self.reader.function();
        let process = self.run.borrow(function);
        world.note(&process.name, &format!("reads {} records", batch.len()));
        let mut invocation = JoinSet::new();
        let reader = self.reader;
        invocation.spawn(async move {
            let outcome = handle(&process, reader, &event).await;
            (process, outcome)
        });
        let Some(Ok((process, outcome))) = invocation.join_next().await else {
            world.complain(format!("the {function} panicked"));
            return false;
        };
        let is_untroubled = world.is_untroubled(&process.name);
        let failed = match &outcome {
            // Whatever goes wrong, it looks to its own end.
            Outcome::TimedOut => reader == Reader::Notify,
            Outcome::Failed(_) => is_untroubled,
            Outcome::Done | Outcome::Crashed => false,
        };
        if failed {
            world.complain(format!("{} failed a batch: {outcome:?}", process.name));
        }
        if let Outcome::Failed(error) = &outcome {
            world.note(&process.name, &format!("fails: {error}"));
        }
        self.run.give_back(function, process);
        matches!(outcome, Outcome::Done)
    }
}

/// How an invocation ended.
#[derive(Debug)]
enum Outcome {
    Done,
    Failed(String),
    Crashed,
    TimedOut,
}

async fn handle(process: &Process, reader: Reader, event: &str) -> Outcome {
    use crate::process::Death;
    let outcome = match reader {
        Reader::Notify => {
            let notify = process.notify();
            let handled = process.run(TIMEOUT, Box::pin(notify.handle(event))).await;
            handled.map(|_| Ok(()))
        }
        Reader::Ended => {
            let announce = process.announce();
            let handled = process.run(TIMEOUT, Box::pin(announce.handle(event))).await;
            handled.map(|handled| handled.map(|_| ()).map_err(|error| error.to_string()))
        }
    };
    match outcome {
        Ok(Ok(())) => Outcome::Done,
        Ok(Err(error)) => Outcome::Failed(error),
        Err(Death::Crashed) => Outcome::Crashed,
        Err(Death::TimedOut) => Outcome::TimedOut,
    }
}
