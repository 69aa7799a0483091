//! The errors of this crate; each maps to one Python exception.

use std::fmt;

/// What can go wrong when an op is inferred, run or differentiated.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// Wrong shapes, attributes or values (`ValueError`).
    Value(String),
    /// Wrong dtypes or kinds of arguments (`TypeError`).
    Type(String),
    /// An index outside its range (`IndexError`).
    Index(String),
    /// More memory than there is (`MemoryError`).
    Memory(String),
    /// Something that is not there yet for this dtype or shape (`NotImplementedError`).
    Unsupported(String),
    /// The value, or the concrete size, of something traced was asked for (`TraceError`).
    Traced(String),
    /// A symbolic size must become a real integer: the trace starts again with it known.
    Specialize(crate::Symbol),
    /// An error raised by code outside this crate (a host op, a custom gradient), kept by its caller.
    Foreign(String),
    /// An invariant of ours was broken (`RuntimeError`).
    Internal(String),
}

/// The result of everything that can fail here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The same error with the op's name in front of its message.
    pub fn in_op(self, op: &str) -> Error {
        let tag = |message: String| {
            if message.starts_with('`') {
                message
            } else {
                format!("`{op}`: {message}")
            }
        };
        match self {
            Error::Value(m) => Error::Value(tag(m)),
            Error::Type(m) => Error::Type(tag(m)),
            Error::Index(m) => Error::Index(tag(m)),
            Error::Memory(m) => Error::Memory(tag(m)),
            Error::Unsupported(m) => Error::Unsupported(tag(m)),
            other => other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Value(m)
            | Error::Type(m)
            | Error::Index(m)
            | Error::Memory(m)
            | Error::Unsupported(m)
            | Error::Traced(m)
            | Error::Foreign(m)
            | Error::Internal(m) => f.write_str(m),
            Error::Specialize(symbol) => write!(f, "the size {symbol} must be known"),
        }
    }
}

impl std::error::Error for Error {}

/// `Err(Error::Value(format!(...)))`.
#[macro_export]
macro_rules! value_error {
    ($($arg:tt)*) => { Err($crate::Error::Value(format!($($arg)*))) };
}

/// `Err(Error::Type(format!(...)))`.
#[macro_export]
macro_rules! type_error {
    ($($arg:tt)*) => { Err($crate::Error::Type(format!($($arg)*))) };
}

/// `Err(Error::Unsupported(format!(...)))`.
#[macro_export]
macro_rules! unsupported {
    ($($arg:tt)*) => { Err($crate::Error::Unsupported(format!($($arg)*))) };
}
