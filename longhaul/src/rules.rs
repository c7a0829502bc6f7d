//! What a JSON Schema says that a type does not: how large a number, and how long a text or a list may be.
//!
//! An adopter says it once, with `#[schemars(range(min = 1))]` or `#[schemars(length(max = 100))]`, and it holds for
//! the form and for the API. Held are `minimum`, `maximum`, `minLength`, `maxLength`, `minItems` and `maxItems`,
//! wherever they can be reached through fields, elements, references and options. Not held are patterns and formats,
//! and what is said of the variants of an enum with data: there a job's `items` has to look.

use serde_json::Value;

/// So many references are followed to find what a schema says of one value; a schema may refer to itself.
const HOPS_MAX: u32 = 8;

/// What a schema says of one value.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'s> {
    root: &'s Value,
    node: Option<&'s Value>,
}

impl<'s> Rules<'s> {
    /// What the schema says of the whole value.
    pub(crate) fn new(schema: &'s Value) -> Self {
        Self {
            root: schema,
            node: Some(schema),
        }
    }

    /// What it says of a field.
    pub(crate) fn field(self, name: &str) -> Self {
        let node = self.find(|node| {
            let properties = node.get("properties");
            let property = properties.and_then(|properties| properties.get(name));
            property.or_else(|| node.get("additionalProperties"))
        });
        Self { node, ..self }
    }

    /// What it says of an element of a list.
    pub(crate) fn element(self) -> Self {
        let node = self.find(|node| node.get("items"));
        Self { node, ..self }
    }

    /// What is wrong with an integer.
    pub(crate) fn break_of_integer(self, number: i128) -> Option<String> {
        let integer = |bound: &Value| {
            bound
                .as_i64()
                .map(i128::from)
                .or(bound.as_u64().map(i128::from))
        };
        #[expect(clippy::cast_precision_loss, reason = "a bound that is no integer")]
        let as_float = number as f64;
        let is_below = |bound: &Value| match integer(bound) {
            Some(bound) => number < bound,
            None => bound.as_f64().is_some_and(|bound| as_float < bound),
        };
        let is_above = |bound: &Value| match integer(bound) {
            Some(bound) => number > bound,
            None => bound.as_f64().is_some_and(|bound| as_float > bound),
        };
        self.break_of_bounds(is_below, is_above)
    }

    /// What is wrong with a number.
    pub(crate) fn break_of_number(self, number: f64) -> Option<String> {
        let is_below = |bound: &Value| bound.as_f64().is_some_and(|bound| number < bound);
        let is_above = |bound: &Value| bound.as_f64().is_some_and(|bound| number > bound);
        self.break_of_bounds(is_below, is_above)
    }

    fn break_of_bounds(
        self,
        is_below: impl Fn(&Value) -> bool,
        is_above: impl Fn(&Value) -> bool,
    ) -> Option<String> {
        if let Some(minimum) = self.keyword("minimum").filter(|bound| is_below(bound)) {
            return Some(at_least(minimum));
        }
        let maximum = self.keyword("maximum").filter(|bound| is_above(bound));
        maximum.map(at_most)
    }

    /// What is wrong with a text.
    pub(crate) fn break_of_text(self, text: &str) -> Option<String> {
        let length = text.chars().count() as u64;
        match (self.length("minLength"), self.length("maxLength")) {
            (Some(1..), _) if length == 0 => Some("This field may not be blank.".into()),
            (Some(minimum), _) if length < minimum => Some(format!(
                "Ensure this field has at least {minimum} characters."
            )),
            (_, Some(maximum)) if length > maximum => Some(format!(
                "Ensure this field has no more than {maximum} characters."
            )),
            _ => None,
        }
    }

    /// What is wrong with a list of so many elements.
    pub(crate) fn break_of_list(self, length: usize) -> Option<String> {
        let length = length as u64;
        match (self.length("minItems"), self.length("maxItems")) {
            (Some(1..), _) if length == 0 => Some("This list may not be empty.".into()),
            (Some(minimum), _) if length < minimum => Some(format!(
                "Ensure this field has at least {minimum} elements."
            )),
            (_, Some(maximum)) if length > maximum => Some(format!(
                "Ensure this field has no more than {maximum} elements."
            )),
            _ => None,
        }
    }

    fn length(self, keyword: &str) -> Option<u64> {
        self.keyword(keyword)?.as_u64()
    }

    fn keyword(self, name: &str) -> Option<&'s Value> {
        self.find(|node| node.get(name))
    }

    /// The first that `look` finds in the schema of this value, or in what that stands for.
    fn find(self, look: impl Fn(&'s Value) -> Option<&'s Value>) -> Option<&'s Value> {
        let mut node = self.node?;
        for _ in 0..HOPS_MAX {
            if let Some(found) = look(node) {
                return Some(found);
            }
            node = self.referred(node).or_else(|| wrapped(node))?;
        }
        None
    }

    fn referred(self, node: &Value) -> Option<&'s Value> {
        let reference = node.get("$ref")?.as_str()?;
        self.root.pointer(reference.strip_prefix('#')?)
    }
}

/// The schema of a value that may also be null.
fn wrapped(node: &Value) -> Option<&Value> {
    let alternatives = node.get("anyOf")?.as_array()?;
    let is_null = |node: &&Value| node.get("type").is_some_and(|kind| kind == "null");
    match alternatives.iter().collect::<Vec<_>>()[..] {
        [node, null] if is_null(&null) => Some(node),
        _ => None,
    }
}

/// What is said of a number that is too small.
pub(crate) fn at_least(minimum: impl std::fmt::Display) -> String {
    format!("Ensure this value is greater than or equal to {minimum}.")
}

/// What is said of a number that is too large.
pub(crate) fn at_most(maximum: impl std::fmt::Display) -> String {
    format!("Ensure this value is less than or equal to {maximum}.")
}
