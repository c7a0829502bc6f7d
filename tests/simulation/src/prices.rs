//! What AWS asks for, in dollars: list prices of us-east-1, without free tiers, as of November 2026.

/// A request to the HTTP API, of the first 300 million a month (Amazon API Gateway pricing, "HTTP APIs").
pub const HTTP_REQUEST: f64 = 1.00 / MILLION;

/// A message over a connection, of 32 KB begun (Amazon API Gateway pricing, "WebSocket APIs").
pub const SOCKET_MESSAGE: f64 = 1.00 / MILLION;

/// A minute that a connection is open (Amazon API Gateway pricing, "WebSocket APIs").
pub const SOCKET_MINUTE: f64 = 0.25 / MILLION;

/// An invocation (AWS Lambda pricing).
pub const INVOCATION: f64 = 0.20 / MILLION;

/// A gigabyte for a second, on arm64 (AWS Lambda pricing).
pub const GIGABYTE_SECOND: f64 = 0.000_013_333_4;

/// A write request unit, on demand (Amazon `DynamoDB` pricing, "On-Demand Capacity").
pub const WRITE_UNIT: f64 = 0.625 / MILLION;

/// A read request unit, on demand (Amazon `DynamoDB` pricing, "On-Demand Capacity"). What Lambda reads of a stream is free.
pub const READ_UNIT: f64 = 0.125 / MILLION;

/// A request to a standard queue (Amazon SQS pricing).
pub const QUEUE_REQUEST: f64 = 0.40 / MILLION;

/// An event of one's own, of 64 KB begun (Amazon `EventBridge` pricing).
pub const EVENT: f64 = 1.00 / MILLION;

/// The memory of all functions in gigabytes, as the template has it.
pub const GIGABYTES: f64 = 0.25;

/// What an invocation of the API's functions, of `notify` and of `ended` takes: they wait for a call or two. Of a worker it
/// is measured.
pub const GIGABYTE_SECONDS_OF_INVOCATION: f64 = GIGABYTES * 0.020;

/// When these were the prices.
pub const AS_OF: &str = "November 2026";

const MILLION: f64 = 1e6;
