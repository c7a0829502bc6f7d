//! The jobs of the tests: one whose items are only numbered, as the sample's are, and one whose items have inputs.

use longhaul::{Invalid, Items, Job, Limits};
use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) type Jobs = (Numbered, Listed);

pub(crate) struct Numbered;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Count {
    number_of_items: u64,
}

impl Job for Numbered {
    const NAME: &'static str = "tuned-long-running-task";
    const BODY_BYTES_MAX: usize = 16 * 1024;
    type Request = Count;
    type Shared = ();
    type Input = ();
    type Output = String;

    fn items(request: Count, _: &Limits) -> Result<Items<()>, Invalid> {
        Ok(Items::numbered(request.number_of_items).of_field("number_of_items"))
    }
}

pub(crate) struct Listed;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Words {
    pub(crate) words: Vec<String>,
    pub(crate) language: String,
}

impl Job for Listed {
    const NAME: &'static str = "translate";
    type Request = Words;
    type Shared = String;
    type Input = String;
    type Output = String;

    fn items(request: Words, _: &Limits) -> Result<Items<String, String>, Invalid> {
        let words = Items::list(request.words).of_field("words");
        Ok(words.sharing(request.language))
    }
}
