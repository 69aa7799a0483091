//! Attributes as a caller gives them, read by name and kind.

use smallvec::SmallVec;

use crate::{DType, Dim, Result, type_error, value_error};

/// One attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Attr<'a> {
    /// Nothing: the default, where there is one.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer or a size.
    Int(Dim),
    /// A number.
    Float(f64),
    /// A name.
    Str(&'a str),
    /// A sequence.
    List(Vec<Attr<'a>>),
}

/// The attributes of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attrs<'a>(pub SmallVec<[(&'a str, Attr<'a>); 4]>);

impl<'a> Attrs<'a> {
    /// The attribute of that name; `Attr::None` when it is not given.
    pub fn get(&self, name: &str) -> &Attr<'a> {
        self.0
            .iter()
            .find(|(key, _)| *key == name)
            .map_or(&Attr::None, |(_, value)| value)
    }

    /// Whether the attribute is given and not none.
    pub fn has(&self, name: &str) -> bool {
        *self.get(name) != Attr::None
    }

    /// An integer or size.
    ///
    /// # Errors
    /// `Error::Type` when it is something else or missing.
    pub fn dim(&self, name: &str) -> Result<Dim> {
        as_dim(name, self.get(name))
    }

    /// An integer.
    ///
    /// # Errors
    /// As `dim`; `Error::Specialize` when it is a symbolic size.
    pub fn int(&self, name: &str) -> Result<i64> {
        self.dim(name)?.require()
    }

    /// An integer, or a default.
    ///
    /// # Errors
    /// As `int`.
    pub fn int_or(&self, name: &str, default: i64) -> Result<i64> {
        if self.has(name) {
            self.int(name)
        } else {
            Ok(default)
        }
    }

    /// A truth value, or a default.
    ///
    /// # Errors
    /// `Error::Type` when it is something else.
    pub fn bool_or(&self, name: &str, default: bool) -> Result<bool> {
        match self.get(name) {
            Attr::None => Ok(default),
            Attr::Bool(value) => Ok(*value),
            Attr::Int(Dim::Known(value)) => Ok(*value != 0),
            other => type_error!("`{name}` must be a bool, got {other:?}"),
        }
    }

    /// A number.
    ///
    /// # Errors
    /// `Error::Type` when it is something else or missing.
    pub fn float(&self, name: &str) -> Result<f64> {
        match self.get(name) {
            Attr::Float(value) => Ok(*value),
            Attr::Int(Dim::Known(value)) => Ok(*value as f64),
            Attr::Bool(value) => Ok(f64::from(u8::from(*value))),
            other => type_error!("`{name}` must be a number, got {other:?}"),
        }
    }

    /// A number, or a default.
    ///
    /// # Errors
    /// As `float`.
    pub fn float_or(&self, name: &str, default: f64) -> Result<f64> {
        if self.has(name) {
            self.float(name)
        } else {
            Ok(default)
        }
    }

    /// A name.
    ///
    /// # Errors
    /// `Error::Type` when it is something else or missing.
    pub fn str(&self, name: &str) -> Result<&'a str> {
        match self.get(name) {
            Attr::Str(value) => Ok(value),
            other => type_error!("`{name}` must be a string, got {other:?}"),
        }
    }

    /// A name, or a default.
    ///
    /// # Errors
    /// As `str`.
    pub fn str_or(&self, name: &str, default: &'static str) -> Result<&'a str> {
        if self.has(name) {
            self.str(name)
        } else {
            Ok(default)
        }
    }

    /// A dtype, by its name.
    ///
    /// # Errors
    /// `Error::Value` when there is no such dtype.
    pub fn dtype(&self, name: &str) -> Result<DType> {
        let text = self.str(name)?;
        match DType::from_name(text) {
            Some(dtype) => Ok(dtype),
            None => value_error!("Invalid dtype: {text}"),
        }
    }

    /// A sequence of sizes; a single one stands for a sequence of one.
    ///
    /// # Errors
    /// `Error::Type` when it is something else or missing.
    pub fn dims(&self, name: &str) -> Result<SmallVec<[Dim; 4]>> {
        match self.get(name) {
            Attr::List(items) => items.iter().map(|item| as_dim(name, item)).collect(),
            single => Ok(std::iter::once(as_dim(name, single)?).collect()),
        }
    }

    /// A sequence of integers.
    ///
    /// # Errors
    /// As `dims`; `Error::Specialize` when one is a symbolic size.
    pub fn ints(&self, name: &str) -> Result<SmallVec<[i64; 4]>> {
        self.dims(name)?.iter().map(Dim::require).collect()
    }

    /// A sequence of integers, or none.
    ///
    /// # Errors
    /// As `ints`.
    pub fn ints_or_none(&self, name: &str) -> Result<Option<SmallVec<[i64; 4]>>> {
        if self.has(name) {
            self.ints(name).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A sequence of pairs of integers.
    ///
    /// # Errors
    /// `Error::Type` when it is something else or missing.
    pub fn pairs(&self, name: &str) -> Result<SmallVec<[(i64, i64); 4]>> {
        let Attr::List(items) = self.get(name) else {
            return type_error!(
                "`{name}` must be a sequence of pairs, got {:?}",
                self.get(name)
            );
        };
        items
            .iter()
            .map(|item| match item {
                Attr::List(pair) if pair.len() == 2 => Ok((
                    as_dim(name, &pair[0])?.require()?,
                    as_dim(name, &pair[1])?.require()?,
                )),
                other => type_error!("`{name}` must be a sequence of pairs, got {other:?}"),
            })
            .collect()
    }
}

fn as_dim(name: &str, attr: &Attr<'_>) -> Result<Dim> {
    match attr {
        Attr::Int(dim) => Ok(dim.clone()),
        Attr::Bool(value) => Ok(Dim::Known(i64::from(*value))),
        // What has more digits comes as a float.
        Attr::Float(value) if value.abs() >= i64::MAX as f64 => {
            type_error!("`{name}` must be an integer below 2**63, got {value:e}")
        }
        other => type_error!("`{name}` must be an integer, got {other:?}"),
    }
}
