//! Tensors in Python.

use std::ffi::{CString, c_int, c_void};

use graph::emit::Dispatch;
use graph::op::layout::reshape;
use graph::op::slice::slice_axis;
use graph::{DType, Dim, Value};
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyInt, PyString, PyTuple};

use crate::array::to_numpy;
use crate::dim;
use crate::errors::OrRaise;
use crate::settings::{is_symbolic, operator};

/// A tensor: in memory, or a value of a running trace.
///
/// Operators promote as `cornu.ops` does. numpy reads it without a copy through the buffer protocol.
#[pyclass(module = "cornu._cornu", frozen, dict, weakref)]
pub struct Tensor {
    /// The value.
    pub value: Value,
}

/// A value as a Python object.
pub fn wrap(py: Python<'_>, value: Value) -> PyResult<Py<Tensor>> {
    Py::new(py, Tensor { value })
}

/// Calls the function that serves an operator, unless a symbolic tensor or a foreign class should answer.
pub fn binary(
    slf: &Bound<'_, Tensor>,
    other: &Bound<'_, PyAny>,
    name: &str,
    swapped: bool,
) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    if is_symbolic(other) || other.is_none() {
        return Ok(py.NotImplemented());
    }
    let function = operator(py, name)?;
    let result = if swapped {
        function.call1((other, slf))
    } else {
        function.call1((slf, other))
    };
    result.map(Bound::unbind)
}

/// The name of a dtype, made once.
fn dtype_name<'py>(py: Python<'py>, dtype: DType) -> &'py Bound<'py, PyString> {
    static NAMES: [PyOnceLock<Py<PyString>>; DType::ALL.len()] =
        [const { PyOnceLock::new() }; DType::ALL.len()];
    NAMES[dtype as usize]
        .get_or_init(py, || PyString::intern(py, dtype.name()).unbind())
        .bind(py)
}

/// Whether both are tensors of one dtype of floats, real or complex, and of at least two axes: their product is one op.
#[pyfunction]
pub fn are_matrices(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> bool {
    let [Ok(a), Ok(b)] = [a, b].map(|x| x.cast::<Tensor>()) else {
        return false;
    };
    let (a, b) = (&a.get().value, &b.get().value);
    let dtype = a.dtype();
    dtype == b.dtype() && (dtype.is_float() || dtype.is_complex()) && a.rank().min(b.rank()) >= 2
}

/// The row that an integer names; `None` for any other key, and for rows that there may not be.
fn row(value: &Value, key: &Bound<'_, PyAny>) -> PyResult<Option<Value>> {
    let shape = value.shape();
    let rows = shape.first().and_then(Dim::known);
    let (Some(rows), true) = (rows, key.is_exact_instance_of::<PyInt>()) else {
        return Ok(None);
    };
    let last = rows as i64 - 1;
    let row = match key.extract::<i64>() {
        Ok(row) if (0..=last).contains(&row) => row as usize,
        Ok(row) if (-1 - last..0).contains(&row) => rows - row.unsigned_abs() as usize,
        _ => return Ok(None),
    };
    let (start, stop) = (Dim::from(row), Dim::from(row + 1));
    let part = slice_axis(&mut Dispatch, value, 0, &start, &stop).or_raise()?;
    let rest = shape[1..].iter().cloned().collect();
    reshape(&mut Dispatch, &part, &rest).or_raise().map(Some)
}

fn unary(slf: &Bound<'_, Tensor>, name: &str) -> PyResult<Py<PyAny>> {
    operator(slf.py(), name)?.call1((slf,)).map(Bound::unbind)
}

#[pymethods]
impl Tensor {
    /// The sizes of the axes; unknown ones are `Dim`s.
    #[getter]
    pub fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let sizes = self
            .value
            .shape()
            .iter()
            .map(|size| dim::to_python(py, size))
            .collect::<PyResult<Vec<_>>>()?;
        PyTuple::new(py, sizes)
    }

    /// The name of the element type.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        dtype_name(py, self.value.dtype()).clone()
    }

    /// The number of axes.
    #[getter]
    fn ndim(&self) -> usize {
        self.value.rank()
    }

    /// The number of elements.
    #[getter]
    fn size(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        dim::to_python(py, &self.value.shape().size())
    }

    /// Whether this is a value of a trace, whose content is not known.
    #[getter]
    fn is_traced(&self) -> bool {
        self.value.tensor().is_none()
    }

    /// The transposed tensor.
    #[getter(T)]
    fn transposed(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        unary(slf, "transpose")
    }

    /// A numpy array with a copy of the data.
    fn numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_numpy(py, &self.value.require().or_raise()?.view())
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if copy == Some(false) {
            return Err(PyValueError::new_err(
                "a tensor's array is a copy; use `numpy.asarray` for a view",
            ));
        }
        let array = self.numpy(py)?;
        match dtype {
            Some(dtype) => array.call_method1("astype", (dtype,)),
            None => Ok(array),
        }
    }

    /// The only element as a Python number.
    fn item<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(py)?.call_method0("item")
    }

    /// Nested lists of Python numbers.
    fn tolist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(py)?.call_method0("tolist")
    }

    #[pyo3(signature = (**options))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        options: Option<&Bound<'py, pyo3::types::PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(py)?.call_method("__dlpack__", (), options)
    }

    fn __dlpack_device__(&self) -> (i32, i32) {
        // kDLCPU, device 0.
        (1, 0)
    }

    /// The tensor itself: what `cornu.ops` takes any operand by.
    #[pyo3(name = "__tensor__")]
    fn itself(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __pow__(
        slf: &Bound<'_, Self>,
        other: &Bound<'_, PyAny>,
        _modulo: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        binary(slf, other, "power", false)
    }
    fn __rpow__(
        slf: &Bound<'_, Self>,
        other: &Bound<'_, PyAny>,
        _modulo: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        binary(slf, other, "power", true)
    }
    fn __neg__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        unary(slf, "negative")
    }
    fn __pos__(slf: Py<Self>) -> Py<Self> {
        slf
    }
    fn __abs__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        unary(slf, "absolute")
    }
    fn __invert__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        unary(slf, "invert")
    }
    #[pyo3(signature = (ndigits=0))]
    fn __round__(slf: &Bound<'_, Self>, ndigits: i32) -> PyResult<Py<PyAny>> {
        operator(slf.py(), "round")?
            .call1((slf, ndigits))
            .map(Bound::unbind)
    }
    fn __getitem__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        if let Some(row) = row(&slf.get().value, key)? {
            return Ok(wrap(slf.py(), row)?.into_any());
        }
        operator(slf.py(), "getitem")?
            .call1((slf, key))
            .map(Bound::unbind)
    }

    fn __richcmp__(
        slf: &Bound<'_, Self>,
        other: &Bound<'_, PyAny>,
        op: CompareOp,
    ) -> PyResult<Py<PyAny>> {
        let name = match op {
            CompareOp::Eq => "equal",
            CompareOp::Ne => "not_equal",
            CompareOp::Lt => "less",
            CompareOp::Le => "less_equal",
            CompareOp::Gt => "greater",
            CompareOp::Ge => "greater_equal",
        };
        binary(slf, other, name, false)
    }

    fn __hash__(&self) -> isize {
        self.value.id() as isize
    }

    fn __len__(&self) -> PyResult<usize> {
        match self.value.shape().first() {
            Some(size) => Ok(size.require().or_raise()? as usize),
            None => Err(PyTypeError::new_err("len() of a tensor of rank 0")),
        }
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let count = slf.get().__len__()?;
        let items = (0..count)
            .map(|i| slf.get_item(i))
            .collect::<PyResult<Vec<_>>>()?;
        Ok(PyTuple::new(slf.py(), items)?.try_iter()?.into_any())
    }

    fn __float__(&self, py: Python<'_>) -> PyResult<f64> {
        self.item(py)?.extract()
    }
    fn __int__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let number = self.item(py)?;
        py.get_type::<pyo3::types::PyInt>().call1((number,))
    }
    fn __index__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let dtype = self.value.dtype();
        if !dtype.is_integer() && dtype != DType::Bool || self.value.rank() != 0 {
            return Err(PyTypeError::new_err(
                "only integer scalar tensors can be converted to an index",
            ));
        }
        self.__int__(py)
    }
    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        self.numpy(py)?.is_truthy()
    }

    fn __format__<'py>(slf: &Bound<'py, Self>, spec: &str) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        if this.value.rank() == 0 && this.value.tensor().is_some() {
            return this.item(slf.py())?.call_method1("__format__", (spec,));
        }
        Ok(slf.repr()?.into_any())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        match self.value.tensor() {
            Some(_) => Ok(format!(
                "<Tensor shape={}, dtype={}, value={}>",
                self.value.shape(),
                self.value.dtype(),
                self.numpy(py)?.repr()?
            )),
            None => Ok(format!(
                "<traced Tensor shape={}, dtype={}>",
                self.value.shape(),
                self.value.dtype()
            )),
        }
    }

    /// Pickles as the numpy array that it holds.
    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyAny>, &'static str))> {
        let make = py.import("cornu._cornu")?.getattr("tensor")?;
        Ok((make, (self.numpy(py)?, self.value.dtype().name())))
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let tensor = slf.get().value.require().or_raise()?;
        let format = match tensor.dtype() {
            DType::Bool => "?",
            DType::Int8 => "b",
            DType::Int16 => "h",
            DType::Int32 => "i",
            DType::Int64 => "q",
            DType::UInt8 => "B",
            DType::UInt16 => "H",
            DType::UInt32 => "I",
            DType::UInt64 => "Q",
            DType::Float16 => "e",
            DType::Float32 => "f",
            DType::Float64 => "d",
            DType::Complex64 => "Zf",
            DType::Complex128 => "Zd",
            DType::BFloat16 => return Err(PyBufferError::new_err("buffers have no bfloat16")),
        };
        if flags & ffi::PyBUF_WRITABLE != 0 {
            return Err(PyBufferError::new_err("a tensor is not writable"));
        }
        let mut strides: Vec<ffi::Py_ssize_t> =
            vec![tensor.dtype().size() as _; tensor.shape().len()];
        for axis in (0..strides.len().saturating_sub(1)).rev() {
            strides[axis] = strides[axis + 1] * tensor.shape()[axis + 1] as ffi::Py_ssize_t;
        }
        let held = Box::new(Held {
            shape: tensor.shape().iter().map(|&n| n as _).collect(),
            strides,
            format: CString::new(format).unwrap_or_default(),
        });
        // SAFETY: the interpreter gives a valid view to fill; what it points to lives in `held` until the release, and
        // the tensor's memory lives while the view holds a reference to this object.
        unsafe {
            (*view).buf = tensor.buffer().as_ptr().cast_mut().cast::<c_void>();
            (*view).len = tensor.bytes() as _;
            (*view).readonly = 1;
            (*view).itemsize = tensor.dtype().size() as _;
            (*view).format = held.format.as_ptr().cast_mut();
            (*view).ndim = held.shape.len() as _;
            (*view).shape = held.shape.as_ptr().cast_mut();
            (*view).strides = held.strides.as_ptr().cast_mut();
            (*view).suboffsets = std::ptr::null_mut();
            (*view).internal = Box::into_raw(held).cast::<c_void>();
            (*view).obj = slf.into_any().into_ptr();
        }
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: `internal` is the box that `__getbuffer__` left there.
        drop(unsafe { Box::from_raw((*view).internal.cast::<Held>()) });
    }

    /// numpy leaves mixed operators to this class; its functions take a tensor as an array.
    #[classattr]
    #[pyo3(name = "__array_priority__")]
    const ARRAY_PRIORITY: f64 = 1000.0;
}

/// What a buffer view points to.
struct Held {
    shape: Vec<ffi::Py_ssize_t>,
    strides: Vec<ffi::Py_ssize_t>,
    format: CString,
}
