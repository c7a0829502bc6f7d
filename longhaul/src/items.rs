//! Which items a request means, as [`Job::items`](crate::Job::items) says it, and the limits that it is given.

use std::collections::HashMap;
use std::hash::Hash;

use crate::config::Environment;
use crate::invalid::Invalid;

/// What a deployment and the library allow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most items that a task may have: the deployment's `MaxItems`.
    pub items_max: u64,
}

impl Limits {
    /// The largest input of an item, as JSON, in bytes: several inputs share a row of at most 400 KB (Amazon
    /// `DynamoDB` quotas).
    pub const INPUT_BYTES_MAX: usize = 64 * 1024;

    /// The largest inputs of a task together, as JSON, in bytes: they have to be written before the answer is due.
    pub const INPUTS_BYTES_MAX: usize = 4 * 1024 * 1024;

    /// The largest shared value of a task, as JSON, in bytes: it has a row of its own.
    pub const SHARED_BYTES_MAX: usize = 256 * 1024;

    /// The limits of a deployment whose tasks may have so many items.
    #[must_use]
    pub fn new(items_max: u64) -> Self {
        Self { items_max }
    }

    /// Those of the function's own deployment.
    pub(crate) fn read(environment: &mut Environment) -> Self {
        Self::new(environment.number("MAX_ITEMS", 1..=1_000_000_000))
    }
}

/// The items of a task, and what they share.
///
/// The library sees to it that there is at least one, that there are not more than [`Limits::items_max`], and that none
/// is too large. What it then says stands at the field that [`of_field`](Self::of_field) names.
///
/// ```
/// use longhaul::Items;
///
/// let frames: Items<(), &str> = Items::numbered(500).of_field("frames").sharing("a scene");
/// let contacts: Items<String> = Items::list(vec!["ann@example.com".to_owned()]).of_field("contacts");
/// ```
#[derive(Clone, Debug)]
pub struct Items<Input, Shared = ()> {
    pub(crate) listed: Listed<Input>,
    pub(crate) shared: Shared,
    pub(crate) field: Option<&'static str>,
    /// What is wrong with the inputs.
    pub(crate) invalid: Invalid,
}

/// Where an item's input comes from.
#[derive(Clone, Debug)]
pub(crate) enum Listed<Input> {
    /// From nowhere: there are only so many.
    Numbered(u64),
    /// From this list, by index.
    Inputs(Vec<Input>),
}

impl Items<()> {
    /// So many items that are told apart by their index. They cost no storage.
    #[must_use]
    pub fn numbered(number_of_items: u64) -> Self {
        Self {
            listed: Listed::Numbered(number_of_items),
            shared: (),
            field: None,
            invalid: Invalid::default(),
        }
    }
}

impl<Input> Items<Input> {
    /// An item for each of these inputs, in this order.
    #[must_use]
    pub fn list(inputs: Vec<Input>) -> Self {
        Self {
            listed: Listed::Inputs(inputs),
            shared: (),
            field: None,
            invalid: Invalid::default(),
        }
    }
}

impl<Input, Shared> Items<Input, Shared> {
    /// Names the field of the request that they come from, by its path: the number, or the list, of whose elements each
    /// is one item.
    #[must_use]
    pub fn of_field(self, path: &'static str) -> Self {
        Self {
            field: Some(path),
            ..self
        }
    }

    /// Refuses the request if two of its inputs are the same in what `key` gives of them, and names both. `field` is
    /// where that stands in an element of the list, empty for an element that is no object. Call it after
    /// [`of_field`](Self::of_field).
    ///
    /// ```
    /// use longhaul::Items;
    ///
    /// struct Contact {
    ///     email: String,
    /// }
    ///
    /// # let contacts: Vec<Contact> = vec![];
    /// let contacts = Items::list(contacts).of_field("contacts").unique("email", |contact: &Contact| &contact.email);
    /// // A request with an address twice is answered with
    /// // {"contacts.7.email": ["Rows 3 and 8 have the same value here."]}
    /// ```
    #[must_use]
    pub fn unique<K>(mut self, field: &str, key: impl Fn(&Input) -> &K) -> Self
    where
        K: ?Sized + Eq + Hash,
    {
        let Listed::Inputs(inputs) = &self.listed else {
            return self;
        };
        let list = self.field.unwrap_or_default();
        let mut rows = HashMap::new();
        for (row, input) in inputs.iter().enumerate() {
            if let Some(earlier) = rows.insert(key(input), row) {
                let (one, other) = (earlier + 1, row + 1);
                let row = row.to_string();
                let mut path = vec![list, &row, field];
                path.retain(|name| !name.is_empty());
                let path = path.join(".");
                let message = format!("Rows {one} and {other} have the same value here.");
                self.invalid.add(path, message);
            }
        }
        self
    }

    /// Gives all of them `shared` too. It is stored once, and each item sees it.
    #[must_use]
    pub fn sharing<T>(self, shared: T) -> Items<Input, T> {
        Items {
            listed: self.listed,
            shared,
            field: self.field,
            invalid: self.invalid,
        }
    }
}
