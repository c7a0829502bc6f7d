//! Reads the body of a submit: bytes, a job's typed request, the items that it means.
//!
//! What can be told without the job's own code is told first: the size, that it is JSON, that it has the shape of the
//! job's request and keeps the bounds of its schema. A type that it does not have ends it with one message; bounds that
//! it breaks, and what [`Job::items`] finds, are told together, up to twenty.

use crate::describe::schema_of_request;
use crate::invalid::Invalid;
use crate::items::Limits;
use crate::job::Job;
use crate::list::{JobList, Visitor};
use crate::order::Order;
use crate::shape::{self, Misshapen};

/// Why a body is no request. The submit function answers with the error of its contract that has the same name.
#[derive(Debug, thiserror::Error)]
pub enum BadRequest {
    /// The body is larger than the job allows.
    #[error("Request body is too large. The limit is {limit_bytes} bytes.")]
    TooLarge {
        /// How large it may be.
        limit_bytes: usize,
    },
    /// The body is not JSON by its own account.
    #[error("Unsupported media type \"{0}\" in request.")]
    UnsupportedMediaType(String),
    /// The body is not JSON; says why.
    #[error("JSON parse error - {0}")]
    Malformed(String),
    /// The request is none that can be accepted.
    #[error("invalid request")]
    Invalid(Invalid),
    /// The job is wrong, not the client: what its items need cannot be written as JSON.
    #[error("the job's inputs have no JSON")]
    NotJson(#[source] serde_json::Error),
}

/// Reads the body of a submit of the job of this name; `None` if the list has no such job.
///
/// # Errors
///
/// As [`read`].
#[must_use]
pub fn read_for<Jobs: JobList>(
    name: &str,
    media_type: &str,
    body: &[u8],
    limits: &Limits,
) -> Option<Result<Order, BadRequest>> {
    let read = Read {
        media_type,
        body,
        limits,
    };
    Jobs::with(name, read)
}

struct Read<'a> {
    media_type: &'a str,
    body: &'a [u8],
    limits: &'a Limits,
}

impl Visitor for Read<'_> {
    type Output = Result<Order, BadRequest>;

    fn visit<J: Job>(self) -> Self::Output {
        read::<J>(self.media_type, self.body, self.limits)
    }
}

/// Reads the body of a submit of `J`, which says of itself that it is of `media_type`.
///
/// # Errors
///
/// What the client did wrong.
pub fn read<J: Job>(media_type: &str, body: &[u8], limits: &Limits) -> Result<Order, BadRequest> {
    if body.len() > J::BODY_BYTES_MAX {
        return Err(BadRequest::TooLarge {
            limit_bytes: J::BODY_BYTES_MAX,
        });
    }
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !body.is_empty() && !essence.eq_ignore_ascii_case("application/json") {
        return Err(BadRequest::UnsupportedMediaType(media_type.to_owned()));
    }
    let malformed = |error: &dyn std::error::Error| BadRequest::Malformed(error.to_string());
    let text = std::str::from_utf8(body).map_err(|error| malformed(&error))?;
    // Without any body it is told what is missing.
    let text = if text.is_empty() { "{}" } else { text };
    let schema = schema_of_request::<J>();
    let shaped = shape::read(text, &schema).map_err(|misshapen| match misshapen {
        Misshapen::Malformed(error) => malformed(&error),
        Misshapen::Invalid(invalid) => BadRequest::Invalid(invalid),
    })?;

    let items = J::items(shaped.value, limits);
    let order = items
        .map_err(BadRequest::Invalid)
        .and_then(|items| Order::new::<J>(items, limits));
    if shaped.overflows.is_empty() {
        return order;
    }
    // A number that its type does not hold is refused, with the message of the job where it has a better one.
    let mut invalid = match order {
        Err(BadRequest::Invalid(invalid)) => invalid,
        _ => Invalid::default(),
    };
    for (path, message) in shaped.overflows {
        if invalid.at(&path).is_empty() {
            invalid.add(path, message);
        }
    }
    Err(BadRequest::Invalid(invalid))
}
