//! The queue and what stands between it and the workers: messages wait, are received, hidden,
//! deleted, come again, and end in the dead-letter queue.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

/// The address of the queue of the job that has a worker of its own.
pub(crate) const OWN_QUEUE_URL: &str =
    "https://sqs.us-east-1.amazonaws.com/000000000000/limited-tasks";

/// Which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum QueueName {
    /// That of all jobs…
    Shared,
    /// …but the one that has a worker of its own.
    Own,
}

impl QueueName {
    /// The one at this address.
    pub(crate) fn at(url: &str) -> Self {
        if url == OWN_QUEUE_URL {
            Self::Own
        } else {
            Self::Shared
        }
    }

    /// The one where a message should not be.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Shared => Self::Own,
            Self::Own => Self::Shared,
        }
    }
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    /// Where it is.
    pub(crate) queue: QueueName,
    /// Its number, in the order of sending.
    pub(crate) id: u64,
    /// What it says.
    pub(crate) body: String,
    /// Its message group.
    pub(crate) group: String,
    /// Hidden until then.
    pub(crate) visible_at: Duration,
    /// How often it was received.
    pub(crate) receives: u32,
}

/// Which messages come first.
#[derive(Debug)]
pub(crate) enum Order {
    /// Those of the groups that have the fewest messages in flight, of these the oldest.
    Fair,
    /// The oldest.
    Oldest,
    /// Whichever.
    Any(Rng),
}

/// Two standard queues with a redrive policy, and one dead-letter queue.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    waiting: BTreeMap<u64, Envelope>,
    next_id: u64,
    /// By queue and group, the messages that are being worked on.
    in_flight: BTreeMap<(QueueName, String), u32>,
    /// What was received too often.
    pub(crate) dead: Vec<Envelope>,
}

impl Queues {
    /// Puts a message in, to be seen at `visible_at`.
    pub(crate) fn put(
        &mut self,
        queue: QueueName,
        body: &str,
        group: &str,
        visible_at: Duration,
    ) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let envelope = Envelope {
            queue,
            id,
            body: body.to_owned(),
            group: group.to_owned(),
            visible_at,
            receives: 0,
        };
        self.waiting.insert(id, envelope);
        id
    }

    /// Receives up to `max` messages and hides them for `visibility`.
    pub(crate) fn receive(
        &mut self,
        queue: QueueName,
        now: Duration,
        max: usize,
        visibility: Duration,
        receives_max: u32,
        order: Order,
    ) -> Vec<Envelope> {
        let visible = |envelope: &&Envelope| envelope.queue == queue && envelope.visible_at <= now;
        let fair = matches!(order, Order::Fair);
        // Each with how many of its group are in flight, where that matters.
        let mut candidates: Vec<_> = self
            .waiting
            .values()
            .filter(visible)
            .map(|envelope| {
                let group = (queue, envelope.group.clone());
                let busy = if fair {
                    self.in_flight.get(&group)
                } else {
                    None
                };
                (envelope.id, busy.copied().unwrap_or_default(), group.1)
            })
            .collect();
        if let Order::Any(mut random) = order {
            random.shuffle(&mut candidates);
        }
        let mut received = Vec::new();
        while received.len() < max && !candidates.is_empty() {
            let order = candidates.iter().enumerate();
            let next = order.min_by_key(|(place, (_, busy, _))| (*busy, *place));
            let Some((place, _)) = next else { break };
            let (id, _, group) = candidates.remove(place);
            let Some(envelope) = self.waiting.get_mut(&id) else {
                continue;
            };
            envelope.receives += 1;
            if envelope.receives > receives_max {
                self.dead.extend(self.waiting.remove(&id));
                continue;
            }
            envelope.visible_at = now + visibility;
            received.push(envelope.clone());
            let of_group = candidates.iter_mut().filter(|(.., other)| *other == group);
            if fair {
                of_group.for_each(|(_, busy, _)| *busy += 1);
            }
            *self.in_flight.entry((queue, group)).or_default() += 1;
        }
        received
    }

    /// Ends the work on a message: it is deleted, or comes again at the given time at the latest.
    pub(crate) fn settle(&mut self, envelope: &Envelope, again_at: Option<Duration>) {
        let group = (envelope.queue, envelope.group.clone());
        if let Some(busy) = self.in_flight.get_mut(&group) {
            *busy = busy.saturating_sub(1);
        }
        match again_at {
            None => {
                self.waiting.remove(&envelope.id);
            }
            Some(at) => {
                if let Some(waiting) = self.waiting.get_mut(&envelope.id) {
                    waiting.visible_at = waiting.visible_at.min(at);
                }
            }
        }
    }

    /// When the next message of a queue can be seen.
    #[must_use]
    pub(crate) fn next_of(&self, queue: QueueName) -> Option<Duration> {
        let of_queue = self.waiting.values().filter(|it| it.queue == queue);
        of_queue.map(|envelope| envelope.visible_at).min()
    }

    /// When the next message can be seen.
    #[must_use]
    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.waiting
            .values()
            .map(|envelope| envelope.visible_at)
            .min()
    }
}
