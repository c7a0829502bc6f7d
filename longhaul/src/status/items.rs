//! A page of a task's items: what is on it, and where the next one is.

use std::collections::VecDeque;
use std::time::Duration;

use http::header;
use lambda_http::{Body, Request, Response};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::StatusReader;
use super::formats::{Columns, Format, Writer};
use crate::api::{self, ApiError};
use crate::cursor::seal;
use crate::listing::Listing;
use crate::store::{ItemOutcome, ItemRow, Page, StoreError};
use crate::task::Task;

/// How many items a page has that does not say it.
pub(crate) const ITEMS_DEFAULT: u16 = 100;
/// How many it may ask for.
pub(crate) const ITEMS_MAX: u16 = 1000;

/// How long after its request a page still goes on to the next chunk…
const ITEMS_SECONDS_MAX: Duration = Duration::from_secs(3);

/// …and how long with their inputs: those of a chunk take a call of their own.
const INPUTS_SECONDS_MAX: Duration = Duration::from_secs(6);

/// The parameters that say what is listed, and how; the cursor says where.
const PARAMETERS: [&str; 4] = ["format", "outcome", "include", "limit"];

impl StatusReader {
    pub(super) async fn items(
        &self,
        request: &Request,
        task: &Task,
    ) -> Result<Response<Body>, ApiError> {
        let limit = api::limit(request, ITEMS_DEFAULT, ITEMS_MAX)?;
        let format = Format::of(request)?;
        let outcome = api::choice(
            request,
            "outcome",
            &[("done", ItemOutcome::Done), ("failed", ItemOutcome::Failed)],
        )?;
        let with_input = api::choice(request, "include", &[("input", ())])?.is_some();
        let name = outcome.map_or("all", ItemOutcome::as_str);
        let name = format!("{name} items of {}", task.task_id);
        let began = api::cursor(request, &name)?;
        let from = began.unwrap_or_default();
        let listing = Listing { task, outcome };
        let arrived = Instant::now();
        let until = arrived + ITEMS_SECONDS_MAX;
        let page = self.store.items(&listing, from, limit.into(), until);
        let Page { entries, mut next } = page.await?;

        let mut inputs = VecDeque::new();
        if with_input {
            let until = arrived + INPUTS_SECONDS_MAX;
            inputs = self.inputs(task, &entries, until).await?;
        }
        let descriptions = &self.catalogue().descriptions;
        let job = descriptions.iter().find(|job| job.name == task.job);
        let columns = Columns::of(job, with_input);
        let mut writer = Writer::new(format, columns, began.is_none());
        let mut shown = 0;
        for row in &entries {
            let input = inputs.pop_front();
            let is_late = with_input && input.is_none();
            if is_late || !writer.push(row, input)? {
                break;
            }
            shown += 1;
        }
        let (shown, rest) = entries.split_at(shown);
        if let Some(last) = shown.last().filter(|_| !rest.is_empty()) {
            next = listing.behind(from, shown, last.position);
        }
        let next = next.map(|cursor| seal(&name, cursor));
        let mut response = writer.finish(next.as_deref())?;
        if let Some(cursor) = next {
            api::set(&mut response, header::LINK, &link(request, &cursor));
        }
        Ok(response)
    }

    /// The inputs of these items, in their order, as many as can be had until then; `null` where there are none.
    async fn inputs(
        &self,
        task: &Task,
        rows: &[ItemRow],
        until: Instant,
    ) -> Result<VecDeque<Box<RawValue>>, StoreError> {
        if !task.has_inputs {
            return Ok(rows.iter().map(|_| RawValue::NULL.to_owned()).collect());
        }
        let mut inputs = VecDeque::new();
        let plan = task.plan();
        let chunk_of = |row: &ItemRow| plan.chunk_of(row.position);
        for rows in rows.chunk_by(|one, next| chunk_of(one) == chunk_of(next)) {
            let [first, last] =
                [rows.first(), rows.last()].map(|row| row.map_or(0, |row| row.position));
            let chunk = plan.chunk_of(first);
            let part = self.store.given(task, chunk, first, last + 1).await?;
            let part = part
                .ok_or_else(|| StoreError::Corrupt("inputs of settled items are missing".into()))?;
            for row in rows {
                let at = usize::try_from(row.position - first).unwrap_or(usize::MAX);
                inputs.extend(part.get(at).and_then(|given| given.input.clone()));
            }
            if Instant::now() >= until {
                break;
            }
        }
        Ok(inputs)
    }
}

/// Where the next page is (RFC 8288), relative to the URL that this one was asked for at.
fn link(request: &Request, cursor: &str) -> String {
    // Each of them was understood, so it is a word or a number.
    let given = |name: &str| api::query(request, name).map(|value| format!("{name}={value}&"));
    let query: String = PARAMETERS.into_iter().filter_map(given).collect();
    format!("<?{query}cursor={cursor}>; rel=\"next\"")
}
