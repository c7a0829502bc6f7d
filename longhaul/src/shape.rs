//! Reads a JSON value as a value of a job's type, and says what is wrong with it in the words of Django REST Framework.
//!
//! The API began as a Django application, and its clients show these messages to people. What is accepted and what is
//! said are therefore what that framework's fields accept and say, down to `"5"`, `5.0` and `1e2` being integers and
//! `true` not being one. But what only Python takes for a number, as `"1_000"` and digits of other scripts, is none
//! here, and nothing but numbers is read from text.
//!
//! It is a [`Deserializer`] of its own, and not `serde_json`'s, because the words depend on what was asked for and on
//! what was found, and `serde_json` tells that only in text. It looks at a value only when a type asks for it: unknown
//! fields are skipped unread, however deep they are.
//!
//! The first value that is not of its type ends it. A number or a length out of bounds does not, so that all of them
//! are told at once.

use std::cell::RefCell;
use std::collections::{BTreeMap, btree_map};
use std::fmt;

use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::invalid::Invalid;
use crate::rules::{Rules, at_least, at_most};

/// Values may be nested so deep, where a type takes any.
const DEPTH_MAX: u32 = 64;

/// What is nested is skimmed once for each level around it that is read. So often may that be, on average over the
/// body, or else one that is deep and large would take seconds.
const SKIMMED_TIMES_MAX: usize = 16;

/// A body of any depth may be skimmed for so many bytes.
const SKIMMED_BYTES: usize = 1024 * 1024;

/// A number may be written as text of so many characters.
const NUMBER_LENGTH_MAX: usize = 1000;

/// So much of what a client sent is quoted in a message or a path.
const QUOTED_CHARACTERS_MAX: usize = 100;

const REQUIRED: &str = "This field is required.";
const NOT_NULL: &str = "This field may not be null.";
const NOT_A_STRING: &str = "Not a valid string.";
const NOT_AN_INTEGER: &str = "A valid integer is required.";
const NOT_A_NUMBER: &str = "A valid number is required.";

/// A value of the asked type.
pub(crate) struct Shaped<T> {
    pub(crate) value: T,
    /// Numbers that are too large or too small for their type, though their schema says no bounds. The value has the
    /// nearest number that there is. It must not be accepted, but whoever looks at it may know a better bound.
    pub(crate) overflows: Vec<(String, String)>,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum Misshapen {
    /// It is not JSON.
    Malformed(serde_json::Error),
    /// It is not of the type, or out of its bounds.
    Invalid(Invalid),
}

/// Reads `text`, which is to be of the type that `schema` describes.
pub(crate) fn read<T: DeserializeOwned>(
    text: &str,
    schema: &Value,
) -> Result<Shaped<T>, Misshapen> {
    let whole: &RawValue = serde_json::from_str(text).map_err(Misshapen::Malformed)?;
    let found = RefCell::new(Found {
        bytes_left: SKIMMED_BYTES.max(SKIMMED_TIMES_MAX * text.len()),
        ..Found::default()
    });
    let reader = Reader {
        json: whole.get(),
        rules: Rules::new(schema),
        path: &Path::Whole,
        depth: 0,
        found: &found,
    };
    let value = T::deserialize(reader).map_err(|fault| fault.at(&Path::Whole));
    let Found {
        mut broken,
        overflows,
        ..
    } = found.into_inner();
    let value = match value {
        Ok(value) => Some(value),
        Err(Fault::Malformed(error)) => return Err(Misshapen::Malformed(error)),
        Err(Fault::At { path, message }) if broken.at(&path).is_empty() => {
            broken.add(path, message);
            None
        }
        // It broke a bound of the schema, too, and that says more.
        Err(_) => None,
    };
    match value {
        Some(value) if broken.is_empty() => Ok(Shaped { value, overflows }),
        _ => Err(Misshapen::Invalid(broken)),
    }
}

/// What was out of bounds so far, and what it has cost.
#[derive(Default)]
struct Found {
    /// Bounds of the schema.
    broken: Invalid,
    /// Bounds of the type.
    overflows: Vec<(String, String)>,
    /// How much may still be skimmed.
    bytes_left: usize,
}

/// Where a value stands in the request.
enum Path<'p> {
    Whole,
    Field(&'p Path<'p>, &'p str),
    Element(&'p Path<'p>, usize),
}

/// `contacts.3.email`, and what stands for the whole.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str(Invalid::WHOLE),
            Self::Field(Self::Whole, name) => f.write_str(&quoted(name)),
            Self::Element(Self::Whole, index) => write!(f, "{index}"),
            Self::Field(parent, name) => write!(f, "{parent}.{}", quoted(name)),
            Self::Element(parent, index) => write!(f, "{parent}.{index}"),
        }
    }
}

/// The beginning of what a client sent.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The first value that is not of its type.
#[derive(Debug)]
enum Fault {
    /// The JSON of a text or a key is wrong; nobody looks at it before it is needed.
    Malformed(serde_json::Error),
    /// Of the value that is being read: what the code of types says, which does not know where it is.
    OfValue(String),
    /// Of a field of the value that is being read.
    OfField { name: String, message: String },
    /// Of the value at this path.
    At { path: String, message: String },
}

impl Fault {
    /// The fault if the value that is being read is the one at `path`.
    fn at(self, path: &Path) -> Self {
        match self {
            Self::OfValue(message) => Self::At {
                path: path.to_string(),
                message,
            },
            Self::OfField { name, message } => Self::At {
                path: Path::Field(path, &name).to_string(),
                message,
            },
            located => located,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::OfValue(message) | Self::OfField { message, .. } | Self::At { message, .. } => {
                f.write_str(message)
            }
        }
    }
}

impl std::error::Error for Fault {}

/// What the code of types has to say.
impl Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::OfValue(quoted(&message.to_string()))
    }

    fn invalid_type(_: Unexpected, expected: &dyn Expected) -> Self {
        Self::OfValue(format!("Invalid value: expected {expected}."))
    }

    fn invalid_value(_: Unexpected, expected: &dyn Expected) -> Self {
        Self::OfValue(format!("Invalid value: expected {expected}."))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::OfValue(format!("Invalid value: expected {expected}."))
    }

    fn unknown_variant(variant: &str, _: &'static [&'static str]) -> Self {
        Self::OfValue(not_a_choice(variant))
    }

    fn unknown_field(name: &str, _: &'static [&'static str]) -> Self {
        Self::OfField {
            name: name.to_owned(),
            message: "There is no such field.".into(),
        }
    }

    fn missing_field(name: &'static str) -> Self {
        Self::OfField {
            name: name.to_owned(),
            message: REQUIRED.into(),
        }
    }
}

fn not_a_choice(input: &str) -> String {
    format!("\"{}\" is not a valid choice.", quoted(input))
}

/// The kinds of JSON values, by the names that Python has for their types.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dict,
    List,
    Str,
    Bool,
    Null,
    Float,
    Int,
}

impl Kind {
    fn of(json: &str) -> Self {
        match json.as_bytes().first() {
            Some(b'{') => Self::Dict,
            Some(b'[') => Self::List,
            Some(b'"') => Self::Str,
            Some(b't' | b'f') => Self::Bool,
            Some(b'n') => Self::Null,
            _ if json.contains(['.', 'e', 'E']) => Self::Float,
            _ => Self::Int,
        }
    }

    fn python_type(self) -> &'static str {
        match self {
            Self::Dict => "dict",
            Self::List => "list",
            Self::Str => "str",
            Self::Bool => "bool",
            Self::Null => "NoneType",
            Self::Float => "float",
            Self::Int => "int",
        }
    }
}

/// One value of the request, to be read as whatever a type asks for.
#[derive(Clone, Copy)]
struct Reader<'a> {
    /// The value without space around it; known to be JSON, but for what texts may hold.
    json: &'a str,
    rules: Rules<'a>,
    path: &'a Path<'a>,
    depth: u32,
    found: &'a RefCell<Found>,
}

impl<'a> Reader<'a> {
    fn kind(self) -> Kind {
        Kind::of(self.json)
    }

    /// Says what is wrong with this value.
    fn fault(self, message: impl Into<String>) -> Fault {
        let message = match (self.kind(), self.path) {
            (Kind::Null, Path::Whole) => "No data provided".into(),
            (Kind::Null, _) => NOT_NULL.into(),
            _ => message.into(),
        };
        Fault::OfValue(message).at(self.path)
    }

    /// Remembers a bound of the schema that is broken, and goes on.
    fn note(self, broken: Option<String>) -> bool {
        if let Some(message) = broken {
            self.found.borrow_mut().broken.add(self.path, message);
            return true;
        }
        false
    }

    fn text(self) -> Result<String, Fault> {
        if self.kind() != Kind::Str {
            return Err(self.fault(NOT_A_STRING));
        }
        let text: String = serde_json::from_str(self.json).map_err(Fault::Malformed)?;
        if text.contains('\0') {
            return Err(self.fault("Null characters are not allowed."));
        }
        self.note(self.rules.break_of_text(&text));
        Ok(text)
    }

    /// The number's text, if a number may be written so.
    fn number_text(self) -> Result<String, Fault> {
        let text: String = serde_json::from_str(self.json).unwrap_or_default();
        if text.chars().count() > NUMBER_LENGTH_MAX {
            return Err(self.fault("String value too large."));
        }
        Ok(text.trim().to_owned())
    }

    /// An integer within the bounds of its type.
    fn integer(self, minimum: i128, maximum: i128) -> Result<i128, Fault> {
        let integer = match self.kind() {
            Kind::Int => Integer::parse(self.json),
            Kind::Float => whole(self.json).and_then(|digits| Integer::parse(&digits)),
            Kind::Str => {
                let text = self.number_text()?;
                Integer::parse(without_zero_decimals(&text))
            }
            _ => None,
        };
        let (number, overflow) = match integer.ok_or_else(|| self.fault(NOT_AN_INTEGER))? {
            Integer::Number(number) if number < minimum => (number, Some(at_least(minimum))),
            Integer::Number(number) if number > maximum => (number, Some(at_most(maximum))),
            Integer::Number(number) => (number, None),
            // So far out that it is beyond the bounds of any schema, too.
            Integer::TooSmall => (i128::MIN, Some(at_least(minimum))),
            Integer::TooLarge => (i128::MAX, Some(at_most(maximum))),
        };
        if !self.note(self.rules.break_of_integer(number)) {
            self.note_overflow(overflow);
        }
        Ok(number.clamp(minimum, maximum))
    }

    fn note_overflow(self, message: Option<String>) {
        let overflows = &mut self.found.borrow_mut().overflows;
        if overflows.len() < Invalid::MESSAGES_MAX {
            overflows.extend(message.map(|message| (self.path.to_string(), message)));
        }
    }

    fn number(self) -> Result<f64, Fault> {
        let number = match self.kind() {
            Kind::Int | Kind::Float => self.json.parse().ok(),
            Kind::Str => decimal(&self.number_text()?),
            _ => None,
        };
        let number: Option<f64> = number.filter(|number: &f64| number.is_finite());
        let number = number.ok_or_else(|| self.fault(NOT_A_NUMBER))?;
        self.note(self.rules.break_of_number(number));
        Ok(number)
    }

    /// The depth of what is in this value, if there is to be something.
    fn deeper(self) -> Result<u32, Fault> {
        let mut found = self.found.borrow_mut();
        let left = found.bytes_left.checked_sub(self.json.len());
        found.bytes_left = left.unwrap_or_default();
        if left.is_none() || self.depth == DEPTH_MAX {
            return Err(self.fault("This value is nested too deeply."));
        }
        Ok(self.depth + 1)
    }

    fn elements(self) -> Result<Elements<'a>, Fault> {
        if self.kind() != Kind::List {
            let kind = self.kind().python_type();
            let message = format!("Expected a list of items but got type \"{kind}\".");
            return Err(self.fault(message));
        }
        let depth = self.deeper()?;
        let values: Vec<&RawValue> = serde_json::from_str(self.json).map_err(Fault::Malformed)?;
        self.note(self.rules.break_of_list(values.len()));
        Ok(Elements {
            list: self,
            depth,
            values: values.into_iter().enumerate(),
        })
    }

    fn fields(self) -> Result<Fields<'a>, Fault> {
        if self.kind() != Kind::Dict {
            let kind = self.kind().python_type();
            let message = format!("Invalid data. Expected a dictionary, but got {kind}.");
            return Err(self.fault(message));
        }
        let depth = self.deeper()?;
        // Of a field that is given twice the last one counts.
        let values: BTreeMap<String, &RawValue> =
            serde_json::from_str(self.json).map_err(Fault::Malformed)?;
        Ok(Fields {
            dict: self,
            depth,
            values: values.into_iter(),
            value: None,
        })
    }

    fn visit_list<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let mut elements = self.elements()?;
        let value = visitor.visit_seq(&mut elements)?;
        match elements.values.next() {
            None => Ok(value),
            Some((length, _)) => Err(self.fault(format!(
                "Ensure this field has no more than {length} elements."
            ))),
        }
    }
}

/// The elements of a list, each read as it is asked for.
struct Elements<'a> {
    list: Reader<'a>,
    depth: u32,
    values: std::iter::Enumerate<std::vec::IntoIter<&'a RawValue>>,
}

impl<'de> SeqAccess<'de> for &mut Elements<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((index, value)) = self.values.next() else {
            return Ok(None);
        };
        let path = Path::Element(self.list.path, index);
        let reader = Reader {
            json: value.get(),
            rules: self.list.rules.element(),
            path: &path,
            depth: self.depth,
            found: self.list.found,
        };
        let element = seed.deserialize(reader);
        element.map(Some).map_err(|fault| fault.at(&path))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}

/// The fields of an object, in alphabetical order, each read as it is asked for.
struct Fields<'a> {
    dict: Reader<'a>,
    depth: u32,
    values: btree_map::IntoIter<String, &'a RawValue>,
    value: Option<(String, &'a RawValue)>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((name, value)) = self.values.next() else {
            return Ok(None);
        };
        let key: StringDeserializer<Fault> = name.clone().into_deserializer();
        let key = seed.deserialize(key);
        let path = Path::Field(self.dict.path, &name);
        let key = key.map_err(|fault| fault.at(&path))?;
        self.value = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let Some((name, value)) = self.value.take() else {
            return Err(Fault::custom("a value was asked for before its key"));
        };
        let path = Path::Field(self.dict.path, &name);
        let reader = Reader {
            json: value.get(),
            rules: self.dict.rules.field(&name),
            path: &path,
            depth: self.depth,
            found: self.dict.found,
        };
        seed.deserialize(reader).map_err(|fault| fault.at(&path))
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let maximum = i128::try_from(<$type>::MAX).unwrap_or(i128::MAX);
            let minimum = i128::try_from(<$type>::MIN).unwrap_or_default();
            let integer = self.integer(minimum, maximum)?;
            visitor.$visit(<$type>::try_from(integer).unwrap_or_default())
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.kind() {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool => visitor.visit_bool(self.json == "true"),
            Kind::Str => visitor.visit_string(self.text()?),
            Kind::List => self.visit_list(visitor),
            Kind::Dict => visitor.visit_map(self.fields()?),
            Kind::Int | Kind::Float => match Integer::parse(self.json) {
                Some(Integer::Number(number)) => {
                    self.note(self.rules.break_of_integer(number));
                    if let Ok(number) = u64::try_from(number) {
                        visitor.visit_u64(number)
                    } else if let Ok(number) = i64::try_from(number) {
                        visitor.visit_i64(number)
                    } else {
                        visitor.visit_f64(self.number()?)
                    }
                }
                _ => visitor.visit_f64(self.number()?),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.kind() {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.kind() {
            Kind::Bool => visitor.visit_bool(self.json == "true"),
            _ => Err(self.fault("Must be a valid boolean.")),
        }
    }

    integers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_u128 visit_u128 u128
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f64(self.number()?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f64(self.number()?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit_list(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.visit_list(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.visit_list(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(self.fields()?)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_map(self.fields()?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.kind() {
            Kind::Str => {
                let choice: StringDeserializer<Fault> = self.text()?.into_deserializer();
                choice.deserialize_enum(name, variants, visitor)
            }
            Kind::Dict => visitor.visit_enum(MapAccessDeserializer::new(self.fields()?)),
            _ => Err(self.fault(not_a_choice(self.json))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { bytes byte_buf unit unit_struct identifier }
}

/// An integer, as exactly as any type needs it.
enum Integer {
    Number(i128),
    TooSmall,
    TooLarge,
}

impl Integer {
    /// Reads an optional sign and decimal digits, as many as there are.
    fn parse(text: &str) -> Option<Self> {
        let (is_negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(match digits.parse::<i128>() {
            Ok(number) if is_negative => Self::Number(-number),
            Ok(number) => Self::Number(number),
            // All digits, so there can only be too many.
            Err(_) if is_negative => Self::TooSmall,
            Err(_) => Self::TooLarge,
        })
    }
}

/// A float's digits if it is whole. From 10¹⁶ on Python writes floats with an exponent, which its
/// integers do not read.
fn whole(json: &str) -> Option<String> {
    let value: f64 = json.parse().ok()?;
    (value.fract() == 0.0 && value.abs() < 1e16).then(|| format!("{value:.0}"))
}

/// `"5.00"` without its `.00`.
fn without_zero_decimals(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, decimals)) if decimals.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    }
}

/// The number that a text stands for, but for the names of those that are not numbers.
fn decimal(text: &str) -> Option<f64> {
    let is_digits = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse().ok().filter(|_| is_digits)
}
