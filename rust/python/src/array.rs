//! numpy arrays: borrowed for a run, copied into tensors, made for results.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

use graph::tensor::{Sizes, TensorMut, TensorRef};
use graph::{DType, Tensor};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use crate::errors::OrRaise;

/// A contiguous buffer of a Python object, held until dropped.
pub struct Borrowed {
    view: Box<ffi::Py_buffer>,
    /// The element type.
    pub dtype: DType,
    /// The sizes of the axes.
    pub shape: Sizes,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // SAFETY: `view` was filled by `PyObject_GetBuffer` and is released once, with the interpreter attached.
        Python::attach(|_| unsafe { ffi::PyBuffer_Release(self.view.as_mut()) });
    }
}

// SAFETY: the buffer's memory stays valid while `view` is held; releasing attaches to the interpreter.
unsafe impl Send for Borrowed {}
// SAFETY: as above; sharing only reads.
unsafe impl Sync for Borrowed {}

fn dtype_of_format(format: &CStr) -> Option<DType> {
    let long = size_of::<std::ffi::c_long>() == 8;
    Some(match format.to_bytes() {
        b"?" => DType::Bool,
        b"b" => DType::Int8,
        b"h" => DType::Int16,
        b"i" => DType::Int32,
        b"l" => {
            if long {
                DType::Int64
            } else {
                DType::Int32
            }
        }
        b"q" => DType::Int64,
        b"B" => DType::UInt8,
        b"H" => DType::UInt16,
        b"I" => DType::UInt32,
        b"L" => {
            if long {
                DType::UInt64
            } else {
                DType::UInt32
            }
        }
        b"Q" => DType::UInt64,
        b"e" => DType::Float16,
        b"f" => DType::Float32,
        b"d" => DType::Float64,
        b"Zf" => DType::Complex64,
        b"Zd" => DType::Complex128,
        _ => return None,
    })
}

impl Borrowed {
    /// Borrows an object's buffer; `None` when it has none, or none that is contiguous and of a known dtype.
    pub fn get(object: &Bound<'_, PyAny>, writable: bool) -> Option<Borrowed> {
        // SAFETY: the object is valid; asking is cheaper than the exception of one that has no buffer.
        if unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } == 0 {
            return None;
        }
        let mut view = Box::new(MaybeUninit::<ffi::Py_buffer>::uninit());
        let flags = ffi::PyBUF_C_CONTIGUOUS
            | ffi::PyBUF_FORMAT
            | if writable { ffi::PyBUF_WRITABLE } else { 0 };
        // SAFETY: `view` is valid for writes; on success it is initialised.
        let status = unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), view.as_mut_ptr(), flags) };
        if status != 0 {
            PyErr::take(object.py());
            return None;
        }
        // SAFETY: initialised by the successful call; a moved box keeps its address.
        let view = unsafe { Box::from_raw(Box::into_raw(view).cast::<ffi::Py_buffer>()) };
        let mut borrowed = Borrowed {
            view,
            dtype: DType::UInt8,
            shape: Sizes::new(),
        };
        let format: *const c_char = borrowed.view.format;
        if !format.is_null() {
            // SAFETY: a non-null format is a C string that lives as long as the view.
            borrowed.dtype = dtype_of_format(unsafe { CStr::from_ptr(format) })?;
        }
        for axis in 0..borrowed.view.ndim as usize {
            // SAFETY: `shape` holds `ndim` entries, as PyBUF_ND is part of the request.
            borrowed
                .shape
                .push(unsafe { *borrowed.view.shape.add(axis) } as usize);
        }
        Some(borrowed)
    }

    /// Borrows an array-like object, through `numpy.ascontiguousarray` where its own buffer will not do.
    pub fn array(object: &Bound<'_, PyAny>) -> PyResult<Borrowed> {
        if let Some(borrowed) = Borrowed::get(object, false) {
            return Ok(borrowed);
        }
        let py = object.py();
        let array = numpy(py)?.call_method1("ascontiguousarray", (object,))?;
        let shape: Vec<usize> = object
            .getattr("shape")
            .and_then(|shape| shape.extract())
            .unwrap_or_else(|_| {
                array
                    .getattr("shape")
                    .and_then(|shape| shape.extract())
                    .unwrap_or_default()
            });
        let dtype = array.getattr("dtype")?;
        let name: String = dtype.getattr("name")?.extract()?;
        let Some(known) = DType::from_name(&name) else {
            return Err(PyTypeError::new_err(format!(
                "a tensor cannot be made of an array of dtype {name}"
            )));
        };
        let array = if known == DType::BFloat16 {
            array.call_method1("view", ("uint16",))?
        } else {
            // A foreign byte order has a name too: give the data the machine's.
            array.call_method1("astype", (name,))?
        };
        let Some(mut borrowed) = Borrowed::get(&array, false) else {
            return Err(PyTypeError::new_err(format!(
                "the array gives no buffer of dtype {known}"
            )));
        };
        borrowed.dtype = known;
        // `ascontiguousarray` makes a scalar an array of one.
        borrowed.shape = shape.into();
        Ok(borrowed)
    }

    /// A view to read.
    pub fn view(&self) -> TensorRef<'_> {
        // SAFETY: the buffer is held, contiguous, and numpy aligns arrays for their elements.
        unsafe { TensorRef::new(self.dtype, &self.shape, self.view.buf.cast::<u8>()) }
    }

    /// A view to write; the buffer must have been asked for as writable.
    pub fn view_mut(&mut self) -> TensorMut<'_> {
        // SAFETY: as `view`; the caller holds the only use of the memory during the run.
        unsafe { TensorMut::new(self.dtype, &self.shape, self.view.buf.cast::<u8>()) }
    }

    /// A tensor with a copy of the data.
    pub fn to_tensor(&self) -> PyResult<Tensor> {
        let tensor = Tensor::empty(self.dtype, &self.shape).or_raise()?;
        let bytes = self.view().bytes();
        // SAFETY: a new tensor of as many bytes.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), tensor.buffer().as_mut_ptr(), bytes.len())
        };
        Ok(tensor)
    }
}

/// The module numpy.
pub fn numpy(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static NUMPY: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    NUMPY
        .get_or_try_init(py, || py.import("numpy").map(Bound::unbind))
        .map(|module| module.bind(py))
}

/// A new numpy array and its writable buffer.
pub fn new_array<'py>(
    py: Python<'py>,
    dtype: DType,
    shape: &[usize],
) -> PyResult<(Bound<'py, PyAny>, Borrowed)> {
    static EMPTY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let empty = EMPTY.get_or_try_init(py, || numpy(py)?.getattr("empty").map(Bound::unbind))?;
    let held = if dtype == DType::BFloat16 {
        DType::UInt16
    } else {
        dtype
    };
    let array = empty
        .bind(py)
        .call1((PyTuple::new(py, shape)?, held.name()))?;
    let Some(mut borrowed) = Borrowed::get(&array, true) else {
        return Err(PyValueError::new_err(
            "numpy gave an array without a buffer",
        ));
    };
    borrowed.dtype = dtype;
    let array = if dtype == DType::BFloat16 {
        array.call_method1("view", (py.import("ml_dtypes")?.getattr("bfloat16")?,))?
    } else {
        array
    };
    Ok((array, borrowed))
}

/// A numpy array with a copy of a tensor's data.
pub fn to_numpy<'py>(py: Python<'py>, tensor: &TensorRef<'_>) -> PyResult<Bound<'py, PyAny>> {
    let (array, mut borrowed) = new_array(py, tensor.dtype, tensor.shape)?;
    borrowed
        .view_mut()
        .bytes_mut()
        .copy_from_slice(tensor.bytes());
    Ok(array)
}
