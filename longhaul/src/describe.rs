//! What a deployment can do, as `GET /api/` lists it: for each job its names, and the JSON Schemas of what goes in and
//! what comes out.
//!
//! The schemas are those of JSON Schema 2020-12, without references but in types that contain themselves, so that a
//! page can make a form of one by walking it.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use crate::job::Job;
use crate::list::{JobList, Visitor};

/// One job as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Description {
    /// Its name in paths.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it does; may be empty.
    pub description: &'static str,
    /// The schema of a request's body.
    pub request: Value,
    /// The schema of an item's input, as items are listed with it.
    pub input: Value,
    /// The schema of an item's output.
    pub output: Value,
}

/// Describes all jobs of a list, in its order.
#[must_use]
pub fn describe<Jobs: JobList>() -> Vec<Description> {
    Jobs::each(Describe)
}

#[derive(Clone, Copy)]
struct Describe;

impl Visitor for Describe {
    type Output = Description;

    fn visit<J: Job>(self) -> Description {
        Description {
            name: J::NAME,
            title: J::TITLE,
            description: J::DESCRIPTION,
            request: schema_of_request::<J>(),
            input: schema::<J::Input>(settings().for_serialize()),
            output: schema::<J::Output>(settings().for_serialize()),
        }
    }
}

/// The schema of what a client may send.
pub(crate) fn schema_of_request<J: Job>() -> Value {
    schema::<J::Request>(settings().for_deserialize())
}

pub(crate) fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        // The listing says once what they are, not in each.
        settings.meta_schema = None;
    })
}

/// The type's schema, without the type's name: that is for programmers, and it would change the listing if it did.
pub(crate) fn schema<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    schema.to_value()
}
