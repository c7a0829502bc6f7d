//! The forms in which items can be had: the contract's JSON, JSON Lines for programs, and CSV for spreadsheets.
//!
//! The columns of CSV come from the job's schemas, so that they are the same on every page and for every task. The first
//! page begins with their names; one after the other, the pages are one file.

use std::borrow::Cow;

use csv::{QuoteStyle, Terminator, WriterBuilder};
use http::{StatusCode, header};
use lambda_http::{Body, Request, Response};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::api::{self, ApiError};
use crate::chunk::ItemIndex;
use crate::describe::Description;
use crate::store::{ItemRow, StoreError};

/// A page has at most so many bytes, unless a single item has more: a function may answer with 6 MB (AWS Lambda quotas),
/// in which the body is a string of JSON.
const PAGE_BYTES_MAX: usize = 5_000_000;

/// How a page of items is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    JsonLines,
    Csv,
}

impl Format {
    /// What the request asks for: by a parameter, or else by the media type that it would rather have.
    pub(super) fn of(request: &Request) -> Result<Self, ApiError> {
        let choices = [
            ("json", Self::Json),
            ("jsonl", Self::JsonLines),
            ("csv", Self::Csv),
        ];
        if let Some(chosen) = api::choice(request, "format", &choices)? {
            return Ok(chosen);
        }
        let accepted = request.headers().get_all(header::ACCEPT).iter();
        let accepted = accepted.filter_map(|value| value.to_str().ok());
        let mut best = (0.0, Self::Json);
        for range in accepted.flat_map(|ranges| ranges.split(',')) {
            let (media_type, parameters) = range.split_once(';').unwrap_or((range, ""));
            let format = match media_type.trim().to_ascii_lowercase().as_str() {
                "application/json" | "application/*" | "*/*" => Self::Json,
                "application/x-ndjson" | "application/jsonl" => Self::JsonLines,
                "text/csv" | "text/*" => Self::Csv,
                _ => continue,
            };
            let weight = weight_of(parameters);
            if weight > best.0 {
                best = (weight, format);
            }
        }
        Ok(best.1)
    }

    fn media_type(self, has_header: bool) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLines => "application/x-ndjson",
            // RFC 4180, section 3.
            Self::Csv if has_header => "text/csv; charset=utf-8; header=present",
            Self::Csv => "text/csv; charset=utf-8; header=absent",
        }
    }
}

/// How much a media type is wanted (RFC 9110, section 12.4.2).
fn weight_of(parameters: &str) -> f32 {
    let mut parameters = parameters.split(';').map(str::trim);
    let weight = parameters.find_map(|parameter| parameter.strip_prefix("q="));
    weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0))
}

/// The columns of a job's items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    input: Option<Fields>,
    output: Fields,
}

/// The columns of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fields {
    /// It is always `null`.
    None,
    /// It has one, for it is no flat object, or nobody knows what it is.
    Whole,
    /// It has one for each of its fields.
    Named(Vec<String>),
}

impl Columns {
    /// The columns for the items of this job.
    pub(super) fn of(job: Option<&Description>, with_input: bool) -> Self {
        let fields = |schema: fn(&Description) -> &Value| {
            job.map_or(Fields::Whole, |job| Fields::of(schema(job)))
        };
        Self {
            input: with_input.then(|| fields(|job| &job.input)),
            output: fields(|job| &job.output),
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names = ["index", "name", "outcome"].map(String::from).to_vec();
        if let Some(input) = &self.input {
            names.extend(input.names("input"));
        }
        names.extend(self.output.names("output"));
        names.push("error".into());
        names
    }

    fn cells(&self, item: &Item<'_>) -> Result<Vec<String>, StoreError> {
        let mut cells = vec![
            item.index.to_string(),
            harmless(item.name).into_owned(),
            item.outcome.into(),
        ];
        if let Some(input) = &self.input {
            cells.extend(input.cells(item.input.as_deref())?);
        }
        cells.extend(self.output.cells(item.output.as_deref())?);
        cells.push(harmless(item.error.unwrap_or_default()).into_owned());
        Ok(cells)
    }
}

impl Fields {
    fn of(schema: &Value) -> Self {
        if schema["type"] == "null" {
            return Self::None;
        }
        let properties = schema["properties"].as_object();
        let is_open = [
            "additionalProperties",
            "patternProperties",
            "oneOf",
            "anyOf",
            "allOf",
        ]
        .iter()
        .any(|keyword| schema.get(keyword).is_some_and(|value| *value != false));
        match properties {
            Some(fields)
                if !fields.is_empty() && !is_open && fields.values().all(fits_into_a_cell) =>
            {
                Self::Named(fields.keys().cloned().collect())
            }
            _ => Self::Whole,
        }
    }

    fn names(&self, of: &str) -> Vec<String> {
        match self {
            Self::None => vec![],
            Self::Whole => vec![of.into()],
            Self::Named(fields) => fields.iter().map(|field| format!("{of}.{field}")).collect(),
        }
    }

    fn cells(&self, value: Option<&RawValue>) -> Result<Vec<String>, StoreError> {
        let json = value.map_or("null", RawValue::get);
        let value: Value =
            serde_json::from_str(json).map_err(|error| StoreError::Corrupt(error.into()))?;
        Ok(match self {
            Self::None => vec![],
            Self::Whole => vec![cell(&value)],
            Self::Named(fields) => fields.iter().map(|field| cell(&value[field])).collect(),
        })
    }
}

/// Whether all that the schema allows is a text, a number, yes or no, or nothing.
fn fits_into_a_cell(schema: &Value) -> bool {
    if schema.get("enum").is_some() || schema.get("const").is_some() {
        return true;
    }
    if let Some(branches) = schema.get("anyOf").or_else(|| schema.get("oneOf")) {
        let branches = branches.as_array();
        return branches.is_some_and(|branches| branches.iter().all(fits_into_a_cell));
    }
    let is_plain = |kind: &Value| {
        let plain = ["string", "number", "integer", "boolean", "null"];
        plain.iter().any(|plain| kind == plain)
    };
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().all(is_plain),
        kind => is_plain(kind),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text).into_owned(),
        // What is no text cannot be a formula, a negative number neither.
        other => other.to_string(),
    }
}

/// The text as a spreadsheet may see it. One that begins as a formula does (OWASP, "CSV injection") gets an apostrophe
/// before it, and so does one that has apostrophes there already: whoever takes one away where a formula follows has
/// what it was.
fn harmless(text: &str) -> Cow<'_, str> {
    let begins = text.trim_start_matches('\'');
    if begins.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        return format!("'{text}").into();
    }
    text.into()
}

/// An item as the contract shows it.
#[derive(Serialize)]
struct Item<'a> {
    index: ItemIndex,
    name: &'a str,
    outcome: &'static str,
    /// Only for who asks for it; `null` if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
    output: Option<Box<RawValue>>,
    error: Option<&'a str>,
}

impl<'a> Item<'a> {
    fn new(row: &'a ItemRow, input: Option<Box<RawValue>>) -> Result<Self, StoreError> {
        let output = row.output.clone().map(RawValue::from_string).transpose();
        Ok(Self {
            index: row.index,
            name: &row.name,
            outcome: row.outcome.as_str(),
            input,
            output: output.map_err(|error| StoreError::Corrupt(error.into()))?,
            error: row.error.as_deref(),
        })
    }
}

/// A page as it is written.
pub(super) struct Writer {
    format: Format,
    columns: Columns,
    /// Whether it begins with the names of the columns.
    is_first: bool,
    items: Vec<String>,
    bytes: usize,
}

impl Writer {
    pub(super) fn new(format: Format, columns: Columns, is_first: bool) -> Self {
        Self {
            format,
            columns,
            is_first,
            items: vec![],
            bytes: 0,
        }
    }

    /// Adds an item, unless the page is full.
    pub(super) fn push(
        &mut self,
        row: &ItemRow,
        input: Option<Box<RawValue>>,
    ) -> Result<bool, ApiError> {
        let item = Item::new(row, input)?;
        let item = match self.format {
            Format::Csv => record(&self.columns.cells(&item)?)?,
            Format::Json => json(&item)?,
            Format::JsonLines => json(&item)? + "\n",
        };
        self.bytes += bytes_in_a_string(&item);
        if self.bytes > PAGE_BYTES_MAX && !self.items.is_empty() {
            return Ok(false);
        }
        self.items.push(item);
        Ok(true)
    }

    /// The answer, with where the next page begins.
    pub(super) fn finish(self, next_cursor: Option<&str>) -> Result<Response<Body>, ApiError> {
        let head = match self.format {
            Format::Json => {
                let items = self.items.into_iter().map(RawValue::from_string);
                let items: Result<Vec<_>, _> = items.collect();
                return Ok(api::success(Items {
                    items: items.map_err(|_| ApiError::Internal)?,
                    next_cursor,
                }));
            }
            Format::Csv if self.is_first => record(&self.columns.names())?,
            Format::Csv | Format::JsonLines => String::new(),
        };
        let media_type = self.format.media_type(self.is_first);
        Ok(api::text(
            StatusCode::OK,
            media_type,
            head + &self.items.concat(),
        ))
    }
}

/// A page of items as the contract shows it.
#[derive(Serialize)]
struct Items<'a> {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<&'a str>,
}

fn json(item: &Item<'_>) -> Result<String, ApiError> {
    let json = to_raw_value(item).map_err(|_| ApiError::Internal)?;
    Ok(json.get().to_owned())
}

/// A line of CSV (RFC 4180).
fn record(cells: &[String]) -> Result<String, ApiError> {
    let mut writer = WriterBuilder::new();
    writer
        .terminator(Terminator::CRLF)
        .quote_style(QuoteStyle::Necessary);
    let mut writer = writer.buffer_capacity(256).from_writer(vec![]);
    // It is written to memory, from texts.
    writer.write_record(cells).map_err(|_| ApiError::Internal)?;
    let line = writer.into_inner().map_err(|_| ApiError::Internal)?;
    String::from_utf8(line).map_err(|_| ApiError::Internal)
}

/// The size of a text once it is a string in JSON.
fn bytes_in_a_string(text: &str) -> usize {
    let more = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
        ..0x20 => 5,
        _ => 0,
    };
    text.len() + text.bytes().map(more).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_an_object_whose_fields_are_all_known_and_flat_has_a_column_for_each() {
        let text = json!({"type": "string"});
        let object = |properties: Value| json!({"type": "object", "properties": properties});
        let flat = object(json!({
            "b": {"type": ["integer", "null"]}, "a": text, "c": {"enum": ["x"]},
            "d": {"anyOf": [{"const": 1}, {"type": "null"}]},
        }));
        let named = ["b", "a", "c", "d"].map(String::from).to_vec();
        assert_eq!(Fields::of(&flat), Fields::Named(named));
        for (keyword, value) in [
            ("additionalProperties", json!({"type": "string"})),
            ("patternProperties", json!({"x": text})),
            ("oneOf", json!([object(json!({"e": text}))])),
        ] {
            let mut open = flat.clone();
            open[keyword] = value;
            assert_eq!(Fields::of(&open), Fields::Whole, "{keyword}");
        }
        let mut closed = flat;
        closed["additionalProperties"] = json!(false);
        assert!(matches!(Fields::of(&closed), Fields::Named(_)));
        for other in [
            json!({}),
            json!(true),
            text.clone(),
            object(json!({})),
            object(json!({"a": text, "b": {"type": "array", "items": text}})),
            object(json!({"a": {"anyOf": [text, {"type": "object"}]}})),
        ] {
            assert_eq!(Fields::of(&other), Fields::Whole, "{other}");
        }
        assert_eq!(Fields::of(&json!({"type": "null"})), Fields::None);
    }
}
