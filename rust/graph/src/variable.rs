//! Variables: named memory that keeps its dtype and shape while its content changes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::value::fresh_id;
use crate::{DType, Result, Spec, Tensor, Value, tape, trace, type_error, value_error};

/// A variable. Cloning shares it.
#[derive(Clone)]
pub struct Variable(Arc<Inner>);

struct Inner {
    id: u64,
    spec: Spec,
    version: AtomicU64,
    trainable: AtomicBool,
    /// `None` while a run updates the variable.
    content: Mutex<Option<Tensor>>,
    returned: Condvar,
}

impl Variable {
    /// A variable that starts with this content.
    pub fn new(tensor: Tensor) -> Variable {
        Variable(Arc::new(Inner {
            id: fresh_id(),
            spec: tensor.spec(),
            version: AtomicU64::new(0),
            trainable: AtomicBool::new(true),
            content: Mutex::new(Some(tensor)),
            returned: Condvar::new(),
        }))
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

    /// How often the content was replaced; prepacked copies are keyed by it.
    pub fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// Whether tapes watch reads of this variable by themselves.
    pub fn trainable(&self) -> bool {
        self.0.trainable.load(Ordering::Relaxed)
    }

    /// Sets whether tapes watch reads of this variable by themselves.
    pub fn set_trainable(&self, trainable: bool) {
        self.0.trainable.store(trainable, Ordering::Relaxed);
    }

    /// The content now. Waits while a run updates the variable.
    pub fn tensor(&self) -> Tensor {
        let mut content = self
            .0
            .content
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*content {
                Some(tensor) => return tensor.clone(),
                None => {
                    content = self
                        .0
                        .returned
                        .wait(content)
                        .unwrap_or_else(PoisonError::into_inner)
                }
            }
        }
    }

    /// Takes the content for an update in place; every other reader waits until `put`.
    pub(crate) fn take(&self) -> Tensor {
        let mut content = self
            .0
            .content
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            match content.take() {
                Some(tensor) => return tensor,
                None => {
                    content = self
                        .0
                        .returned
                        .wait(content)
                        .unwrap_or_else(PoisonError::into_inner)
                }
            }
        }
    }

    /// Gives the content back after `take`.
    pub(crate) fn put(&self, tensor: Tensor) {
        *self
            .0
            .content
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(tensor);
        self.0.version.fetch_add(1, Ordering::Release);
        self.0.returned.notify_all();
    }

    fn set(&self, tensor: Tensor) {
        self.take();
        self.put(tensor);
    }

    /// The value as a computation sees it: the running trace's, else the content. Tapes are told.
    pub fn read(&self) -> Value {
        let value = trace::read_variable(self)
            .or_else(|| tape::assigned(self))
            .unwrap_or_else(|| Value::concrete(self.tensor()));
        tape::note_read(self, &value);
        value
    }

    /// Replaces the content, or records that the running trace does.
    ///
    /// # Errors
    /// `Error::Value` or `Error::Type` when the shape or dtype is another.
    pub fn assign(&self, value: &Value) -> Result<()> {
        if value.dtype() != self.dtype() {
            return type_error!(
                "a variable of dtype {} cannot take a value of dtype {}",
                self.dtype(),
                value.dtype()
            );
        }
        if value.rank() != self.spec().shape.rank()
            || value
                .shape()
                .iter()
                .zip(self.spec().shape.iter())
                .any(|(a, b)| a.never_equals(b))
        {
            return value_error!(
                "The shape of the target variable and the shape of the target value in `variable.assign(value)` must \
                 match. variable.shape={}, Received: value.shape={}.",
                self.spec().shape,
                value.shape()
            );
        }
        if trace::write_variable(self, value)? {
            return Ok(());
        }
        self.set(value.require()?.clone());
        tape::note_assign(self, value);
        Ok(())
    }
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Variable({})", self.spec())
    }
}
