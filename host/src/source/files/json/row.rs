//! Reads one JSON object into columns.

use std::fmt;

use hashbrown::HashMap;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

use super::column::{Column, Misfit};

/// Sets row `row` of those columns whose keys the object has.
pub(super) fn read(
    text: &str,
    index: &HashMap<String, usize>,
    columns: &mut [Column],
    row: usize,
) -> Result<(), String> {
    let mut json = sonic_rs::Deserializer::from_str(text);
    (&mut json).deserialize_any(RowVisitor { index, columns, row }).and_then(|()| json.end()).map_err(in_one_line)
}

/// Sets row `row` of a column to the value that the text is.
pub(super) fn read_value(text: &str, column: &mut Column, row: usize) -> Result<(), String> {
    let mut json = sonic_rs::Deserializer::from_str(text);
    Value { column, row }.deserialize(&mut json).and_then(|()| json.end()).map_err(in_one_line)
}

/// Checks that the text is a value, one that an object may have.
pub(super) fn skip_value(text: &str) -> Result<(), String> {
    let mut json = sonic_rs::Deserializer::from_str(text);
    Skip { depth: 1 }.deserialize(&mut json).and_then(|()| json.end()).map_err(in_one_line)
}

/// The parser's message without the excerpt it draws below it. Its line is always 1.
fn in_one_line(error: sonic_rs::Error) -> String {
    let message = error.to_string();
    let first = message.lines().next().unwrap_or_default();
    first.replacen(" at line 1 column ", " at column ", 1)
}

struct RowVisitor<'a> {
    index: &'a HashMap<String, usize>,
    columns: &'a mut [Column],
    row: usize,
}

impl<'de> Visitor<'de> for RowVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        // Most lines have their keys in the order of the columns.
        let mut next = 0;
        while let Some(key) = map.next_key_seed(Key { index: self.index, columns: self.columns, next })? {
            match key {
                Some(at) => {
                    next = at + 1;
                    map.next_value_seed(Value { column: &mut self.columns[at], row: self.row })?;
                }
                None => map.next_value_seed(Skip { depth: 1 })?,
            }
        }
        Ok(())
    }
}

/// A key: the place of its column, or none when nobody wants it.
struct Key<'a> {
    index: &'a HashMap<String, usize>,
    columns: &'a [Column],
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Option<usize>, E> {
        if self.columns.get(self.next).is_some_and(|column| column.name() == key) {
            return Ok(Some(self.next));
        }
        Ok(self.index.get(key).copied())
    }
}

/// A value for a column.
struct Value<'a> {
    column: &'a mut Column,
    row: usize,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        // Of a key that stands twice the last counts.
        self.column.set_len(self.row);
        deserializer.deserialize_any(self)
    }
}

impl Value<'_> {
    fn fit<E: Error>(&self, set: Result<(), Misfit>, value: impl fmt::Display) -> Result<(), E> {
        set.map_err(|Misfit(reason)| E::custom(format_args!("column `{}`: {value} {reason}", self.column.name())))
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for column `{}`", self.column.data_type().name(), self.column.name())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.column.set_len(self.row + 1);
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        let set = self.column.push_bool(value);
        self.fit(set, value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        let set = self.column.push_integer(value.into());
        self.fit(set, value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        let set = self.column.push_integer(value.into());
        self.fit(set, value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        let set = self.column.push_float(value);
        self.fit(set, value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        let set = self.column.push_str(value);
        self.fit(set, format_args!("{:?}", Shortened(value)))
    }
}

/// A string in a message, which must not be as long as the string.
struct Shortened<'a>(&'a str);

impl fmt::Debug for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(40) {
            None => self.0.fmt(f),
            Some((cut, _)) => write!(f, "{:?}...", &self.0[..cut]),
        }
    }
}

/// How deep a row may be nested. Going down takes stack, and real rows are far from this deep.
const DEEPEST: u8 = 64;

/// Passes over a value of any kind, this deep within the row. The parser's own way of skipping goes down as deep as the
/// value does, so a line of a million brackets would end the process.
#[derive(Clone, Copy)]
struct Skip {
    depth: u8,
}

impl Skip {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEEPEST {
            return Err(E::custom(format_args!("nested deeper than {DEEPEST} levels")));
        }
        Ok(Skip { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Skip {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> Result<(), S::Error> {
        let element = self.deeper()?;
        while elements.next_element_seed(element)?.is_some() {}
        Ok(())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut entries: M) -> Result<(), M::Error> {
        let entry = self.deeper()?;
        while entries.next_key_seed(entry)?.is_some() {
            entries.next_value_seed(entry)?;
        }
        Ok(())
    }
}
