//! What a computation is: tensors, ops with their gradient rules, traces, passes and plans.
//!
//! An op is defined once (`op`): attributes, inference with unknown dimensions, kernel call and gradient rule stand
//! together. `emit::apply` is the one dispatch: it computes at once, or records into the running trace, and tells the
//! tapes. A finished trace is a `Graph`; passes turn it into a `Plan`, a flat list of kernel calls over one arena.

pub mod buffer;
pub mod dim;
pub mod emit;
pub mod error;
pub mod graph;
pub mod op;
pub mod passes;
pub mod plan;
pub mod promotion;
pub mod spec;
pub mod tape;
pub mod tensor;
pub mod trace;
pub mod value;
pub mod variable;

pub use dim::{Bindings, Dim, Symbol};
pub use emit::{Emitter, apply};
pub use error::{Error, Result};
pub use graph::Graph;
pub use kernels::{DType, Element};
pub use op::{Attrs, Op};
pub use plan::Plan;
pub use spec::{Shape, Spec, Specs};
pub use tape::Tape;
pub use tensor::Tensor;
pub use value::{Value, Values};
pub use variable::Variable;
