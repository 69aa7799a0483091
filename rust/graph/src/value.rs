//! What ops take and give: a tensor in memory, or a value of a running trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

use crate::{DType, Error, Result, Shape, Spec, Tensor};

/// An operand or result of an op, with an identity of its own. Cloning keeps the identity.
#[derive(Clone)]
pub struct Value(Arc<Inner>);

/// The results of an op.
pub type Values = SmallVec<[Value; 2]>;

struct Inner {
    id: u64,
    spec: Spec,
    kind: Kind,
}

/// Where a value is.
#[derive(Clone)]
pub enum Kind {
    /// In memory.
    Concrete(Tensor),
    /// In a trace: the trace's identity, and the value's place in its graph.
    Traced(u64, usize),
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A number that no other value, variable or trace of this process has.
pub fn fresh_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

impl Value {
    fn new(spec: Spec, kind: Kind) -> Value {
        Value(Arc::new(Inner {
            id: fresh_id(),
            spec,
            kind,
        }))
    }

    /// A value in memory.
    pub fn concrete(tensor: Tensor) -> Value {
        Value::new(tensor.spec(), Kind::Concrete(tensor))
    }

    /// A value in memory, of a spec that is known already.
    pub(crate) fn computed(spec: Spec, tensor: Tensor) -> Value {
        debug_assert!(spec == tensor.spec());
        Value::new(spec, Kind::Concrete(tensor))
    }

    /// A value of a trace.
    pub fn traced(spec: Spec, trace: u64, index: usize) -> Value {
        Value::new(spec, Kind::Traced(trace, index))
    }

    /// The same content under another identity.
    pub fn renamed(&self) -> Value {
        Value::new(self.0.spec.clone(), self.0.kind.clone())
    }

    /// The identity.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// The dtype and shape.
    pub fn spec(&self) -> &Spec {
        &self.0.spec
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.0.spec.dtype
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &Shape {
        &self.0.spec.shape
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.spec.shape.rank()
    }

    /// Where the value is.
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// The tensor in memory, if it is there.
    pub fn tensor(&self) -> Option<&Tensor> {
        match &self.0.kind {
            Kind::Concrete(tensor) => Some(tensor),
            Kind::Traced(..) => None,
        }
    }

    /// The tensor in memory.
    ///
    /// # Errors
    /// `Error::Traced` when the value is in a trace.
    pub fn require(&self) -> Result<&Tensor> {
        self.tensor().ok_or_else(|| {
            Error::Traced(format!(
                "the value of a traced tensor ({}) was asked for; inside a trace only its dtype and shape are known",
                self.spec()
            ))
        })
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.tensor().is_some() {
            "concrete"
        } else {
            "traced"
        };
        write!(f, "Value({kind} {})", self.spec())
    }
}
