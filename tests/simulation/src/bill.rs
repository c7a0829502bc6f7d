//! What AWS bills, in its own units, and what that is in dollars.

use std::ops::{AddAssign, Div, Sub};

use crate::prices::{
    EVENT, GIGABYTE_SECOND, HTTP_REQUEST, INVOCATION, QUEUE_REQUEST, READ_UNIT, SOCKET_MESSAGE,
    SOCKET_MINUTE, WRITE_UNIT,
};

/// How much of each thing that has a price.
///
/// Not in it, for they come with a deployment and not with a task: storage and backups, logs, alarms, starts of functions,
/// and the requests with which event source mappings find that a queue is empty ([`idle_queue_dollars`]).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bill {
    /// Requests to the HTTP API.
    pub http_requests: f64,
    /// Invocations of functions.
    pub invocations: f64,
    /// Their time, by their memory.
    pub gigabyte_seconds: f64,
    /// Write request units.
    pub write_units: f64,
    /// Read request units.
    pub read_units: f64,
    /// Requests to queues.
    pub queue_requests: f64,
    /// Messages over connections.
    pub socket_messages: f64,
    /// Minutes for which connections are open.
    pub socket_minutes: f64,
    /// Events.
    pub events: f64,
}

impl Bill {
    /// Its parts in dollars.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, f64); 9] {
        [
            ("HTTP requests", self.http_requests * HTTP_REQUEST),
            ("invocations", self.invocations * INVOCATION),
            ("GB-seconds", self.gigabyte_seconds * GIGABYTE_SECOND),
            ("write units", self.write_units * WRITE_UNIT),
            ("read units", self.read_units * READ_UNIT),
            ("queue requests", self.queue_requests * QUEUE_REQUEST),
            ("messages", self.socket_messages * SOCKET_MESSAGE),
            ("minutes", self.socket_minutes * SOCKET_MINUTE),
            ("events", self.events * EVENT),
        ]
    }

    /// All of it in dollars.
    #[must_use]
    pub fn dollars(&self) -> f64 {
        self.parts().iter().map(|(_, dollars)| dollars).sum()
    }

    /// The fields, to reckon with.
    fn fields(&mut self) -> [&mut f64; 9] {
        [
            &mut self.http_requests,
            &mut self.invocations,
            &mut self.gigabyte_seconds,
            &mut self.write_units,
            &mut self.read_units,
            &mut self.queue_requests,
            &mut self.socket_messages,
            &mut self.socket_minutes,
            &mut self.events,
        ]
    }
}

/// What a month of an empty queue costs: five long polls of 20 s at a time (AWS Lambda Developer Guide, "Configuring
/// scaling behavior for SQS event source mappings": with a maximum concurrency it goes no lower than five).
#[must_use]
pub fn idle_queue_dollars() -> f64 {
    5.0 * 3.0 * 60.0 * 24.0 * 30.0 * QUEUE_REQUEST
}

impl AddAssign for Bill {
    fn add_assign(&mut self, mut more: Self) {
        let fields = self.fields().into_iter().zip(more.fields());
        fields.for_each(|(field, more)| *field += *more);
    }
}

impl Sub for Bill {
    type Output = Self;

    fn sub(mut self, mut less: Self) -> Self {
        let fields = self.fields().into_iter().zip(less.fields());
        fields.for_each(|(field, less)| *field -= *less);
        self
    }
}

impl Div<f64> for Bill {
    type Output = Self;

    fn div(mut self, by: f64) -> Self {
        self.fields().into_iter().for_each(|field| *field /= by);
        self
    }
}
