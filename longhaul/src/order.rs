//! A request as it is stored: the items that it means, in one canonical form, and what stands for them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::chunk::ItemIndex;
use crate::invalid::Invalid;
use crate::items::{Items, Limits, Listed};
use crate::job::Job;
use crate::request::BadRequest;
use crate::rules::{at_least, at_most};
use crate::task::RequestDigest;

/// What a client asked for, validated. It knows the job by its name only.
#[derive(Clone, Debug, Serialize)]
pub struct Order {
    /// The job's [`NAME`](Job::NAME).
    pub job: &'static str,
    /// The job's [`VERSION`](Job::VERSION), in which inputs and shared value are stored.
    pub version: u32,
    /// How many items there are, at least 1.
    pub number_of_items: u64,
    /// The items' inputs, or nothing if they are only numbered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Box<RawValue>>,
    /// The items' indexes, or nothing if they are their positions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<ItemIndex>,
    /// What they share, unless it is `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<Box<RawValue>>,
    /// Stands for the request wherever two have to be compared: requests for the same items of the same job have equal
    /// digests, however they are written.
    #[serde(skip)]
    pub digest: RequestDigest,
}

impl Order {
    /// An order of so many items that share nothing.
    #[must_use]
    pub fn numbered(job: &'static str, number_of_items: u64) -> Self {
        Self {
            job,
            version: 1,
            number_of_items,
            inputs: vec![],
            indexes: vec![],
            shared: None,
            digest: digest(job, number_of_items, "null", &[]),
        }
    }

    /// The order of these items.
    pub(crate) fn new<J: Job>(
        items: Items<J::Input, J::Shared>,
        limits: &Limits,
    ) -> Result<Self, BadRequest> {
        items.invalid.check().map_err(BadRequest::Invalid)?;
        let field = items.field.unwrap_or(Invalid::WHOLE);
        let invalid = |message: String| BadRequest::Invalid(Invalid::field(field, message));
        let number_of_items = number_of(&items.listed, limits).map_err(invalid)?;

        let shared = canonical(&items.shared).map_err(BadRequest::NotJson)?;
        let bytes = shared.get().len();
        if bytes > Limits::SHARED_BYTES_MAX {
            let what = "What all items share";
            return Err(invalid(too_large(what, bytes, Limits::SHARED_BYTES_MAX)));
        }
        let inputs = match items.listed {
            Listed::Numbered(_) => vec![],
            Listed::Inputs(inputs) => stored::<J>(&inputs, items.field)?,
        };
        Ok(Self {
            job: J::NAME,
            version: J::VERSION,
            number_of_items,
            digest: digest(J::NAME, number_of_items, shared.get(), &inputs),
            inputs,
            indexes: vec![],
            shared: Some(shared).filter(|shared| shared.get() != "null"),
        })
    }
}

fn digest(
    job: &str,
    number_of_items: u64,
    shared: &str,
    inputs: &[Box<RawValue>],
) -> RequestDigest {
    // Neither a name nor JSON without space has an end of line in it, so no two orders are the same text.
    let mut text = format!("{job}\n{number_of_items}\n{shared}\n");
    for input in inputs {
        text.push_str(input.get());
        text.push('\n');
    }
    RequestDigest::of(&text)
}

fn number_of<Input>(listed: &Listed<Input>, limits: &Limits) -> Result<u64, String> {
    let maximum = limits.items_max;
    match listed {
        Listed::Numbered(0) => Err(at_least(1)),
        Listed::Numbered(number) if *number > maximum => Err(at_most(maximum)),
        Listed::Numbered(number) => Ok(*number),
        Listed::Inputs(inputs) => match inputs.len() as u64 {
            0 => Err("This list may not be empty.".into()),
            number if number > maximum => Err(format!(
                "Ensure this field has no more than {maximum} elements."
            )),
            number => Ok(number),
        },
    }
}

/// The inputs as they are stored, if each and all of them are small enough.
fn stored<J: Job>(
    inputs: &[J::Input],
    field: Option<&'static str>,
) -> Result<Vec<Box<RawValue>>, BadRequest> {
    let mut invalid = Invalid::default();
    let mut bytes_of_all = 0;
    let mut stored = Vec::with_capacity(inputs.len());
    for (index, input) in inputs.iter().enumerate() {
        let json = canonical(input).map_err(BadRequest::NotJson)?;
        let bytes = json.get().len();
        bytes_of_all += bytes;
        if bytes > Limits::INPUT_BYTES_MAX {
            let message = too_large(
                &name_of::<J>(index as u64, input),
                bytes,
                Limits::INPUT_BYTES_MAX,
            );
            match field {
                Some(field) => invalid.add(format_args!("{field}.{index}"), message),
                None => invalid.add(Invalid::WHOLE, message),
            }
        }
        stored.push(json);
    }
    if invalid.is_empty() && bytes_of_all > Limits::INPUTS_BYTES_MAX {
        let message = too_large(
            "What is to be stored of it",
            bytes_of_all,
            Limits::INPUTS_BYTES_MAX,
        );
        invalid.add(field.unwrap_or(Invalid::WHOLE), message);
    }
    invalid.check().map_err(BadRequest::Invalid)?;
    Ok(stored)
}

/// What an item is called, cut to what is stored.
pub(crate) fn name_of<J: Job>(index: ItemIndex, input: &J::Input) -> String {
    const NAME_BYTES_MAX: usize = 200;
    let mut name = J::item_name(index, input);
    if name.len() > NAME_BYTES_MAX {
        name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
        name.push('…');
    }
    name
}

fn too_large(what: &str, bytes: usize, bytes_max: usize) -> String {
    format!("{what} is too large: {bytes} bytes, where {bytes_max} are allowed.")
}

/// The JSON of a value whose objects have their fields in alphabetical order, without any space.
fn canonical(value: &impl Serialize) -> Result<Box<RawValue>, serde_json::Error> {
    let sorted = sorted(serde_json::to_value(value)?);
    serde_json::value::to_raw_value(&sorted)
}

/// A JSON value whose objects have their fields in alphabetical order, whatever features `serde_json` is built with.
#[derive(Serialize)]
#[serde(untagged)]
enum Sorted {
    Object(BTreeMap<String, Sorted>),
    List(Vec<Sorted>),
    Plain(Value),
}

fn sorted(value: Value) -> Sorted {
    match value {
        Value::Object(fields) => Sorted::Object(
            fields
                .into_iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect(),
        ),
        Value::Array(values) => Sorted::List(values.into_iter().map(sorted).collect()),
        plain => Sorted::Plain(plain),
    }
}
