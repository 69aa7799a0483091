//! Python objects as values of the graph, and the promotion of their dtypes.

use graph::op::{Attr, Attrs, builder};
use graph::promotion::{Promoted, promote};
use graph::{DType, Tensor, Value, apply};
use num_complex::Complex;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyComplex, PyFloat, PyInt, PyList, PyString, PyTuple};
use smallvec::SmallVec;

use crate::array::{Borrowed, numpy};
use crate::dim::{self, Dim};
use crate::errors::OrRaise;
use crate::settings::floatx;
use crate::tensor;

/// An operand before promotion.
pub enum Operand {
    /// A tensor of a dtype.
    Value(Value),
    /// A Python bool.
    Bool(bool),
    /// A Python int.
    Int(i128),
    /// A Python float.
    Float(f64),
    /// A Python complex.
    Complex(Complex<f64>),
    /// An unknown size, weak as an int.
    Size(graph::Dim),
}

impl Operand {
    /// Reads a Python object.
    pub fn read(object: &Bound<'_, PyAny>) -> PyResult<Operand> {
        if let Ok(tensor) = object.cast::<tensor::Tensor>() {
            return Ok(Operand::Value(tensor.borrow().value.clone()));
        }
        // A bool is an int to Python, and numpy's float64 is a float: exact types first.
        if let Ok(flag) = object.cast_exact::<PyBool>() {
            return Ok(Operand::Bool(flag.is_true()));
        }
        if let Ok(number) = object.cast_exact::<PyFloat>() {
            return Ok(Operand::Float(number.value()));
        }
        if object.is_exact_instance_of::<PyInt>() {
            return object.extract().map(Operand::Int);
        }
        if object.is_exact_instance_of::<PyComplex>() {
            return object.extract().map(Operand::Complex);
        }
        if let Ok(size) = object.cast::<Dim>() {
            return Ok(Operand::Size(size.get().0.clone()));
        }
        // Bytes are text that was not decoded, not numbers.
        let bytes = object.is_instance_of::<PyBytes>();
        if let Some(borrowed) = Borrowed::get(object, false).filter(|_| !bytes) {
            return Ok(Operand::Value(Value::concrete(borrowed.to_tensor()?)));
        }
        if let Some(method) = object.getattr_opt(intern!(object.py(), "__tensor__"))? {
            return Operand::read(&method.call0()?);
        }
        if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
            return sequence(object, None);
        }
        if object.hasattr("__array__")? || object.hasattr("__dlpack__")? {
            return Ok(Operand::Value(Value::concrete(
                Borrowed::array(object)?.to_tensor()?,
            )));
        }
        if object.is_instance_of::<PyInt>() {
            return object.extract().map(Operand::Int);
        }
        let class = object.get_type().qualname()?;
        Err(PyTypeError::new_err(format!(
            "A tensor cannot be made of an object of type {class}: {}",
            object
                .repr()?
                .to_string()
                .chars()
                .take(120)
                .collect::<String>()
        )))
    }

    fn kind(&self) -> Promoted {
        match self {
            Operand::Value(value) => Promoted::Strong(value.dtype()),
            Operand::Bool(_) => Promoted::Strong(DType::Bool),
            Operand::Int(_) | Operand::Size(_) => Promoted::WeakInt,
            Operand::Float(_) => Promoted::WeakFloat,
            Operand::Complex(_) => Promoted::WeakComplex,
        }
    }

    /// The operand as a value of a dtype.
    pub fn into_value(self, dtype: DType) -> PyResult<Value> {
        let scalar = |value: f64| Ok(Value::concrete(Tensor::scalar_of(dtype, value)));
        match self {
            Operand::Value(value) => cast(&value, dtype),
            Operand::Bool(flag) => scalar(f64::from(u8::from(flag))),
            Operand::Float(number) => scalar(number),
            // What Python's integers become by themselves wraps in a narrower dtype, as a cast does.
            Operand::Int(number) if !fits(number, dtype) => {
                cast(&Operand::Int(number).into_own_value()?, dtype)
            }
            Operand::Int(number) => match dtype {
                // These hold more digits than a double.
                DType::Int64 => Ok(Value::concrete(Tensor::scalar(number as i64))),
                DType::UInt64 => Ok(Value::concrete(Tensor::scalar(number as u64))),
                _ => scalar(number as f64),
            },
            Operand::Complex(number) => {
                let value = Value::concrete(Tensor::scalar(number));
                cast(&value, dtype)
            }
            Operand::Size(size) => {
                let attrs = Attrs(
                    [
                        ("value", Attr::Int(size)),
                        ("dtype", Attr::Str(dtype.name())),
                    ]
                    .into_iter()
                    .collect(),
                );
                one("dim", &attrs, &[])
            }
        }
    }

    /// The operand as a value of the dtype that it has by itself.
    pub fn into_own_value(self) -> PyResult<Value> {
        let dtype = self.dtype();
        self.check_range(dtype)?;
        self.into_value(dtype)
    }

    /// Refuses a Python integer that a dtype does not hold.
    fn check_range(&self, dtype: DType) -> PyResult<()> {
        match self {
            Operand::Int(number) if !fits(*number, dtype) => Err(PyOverflowError::new_err(
                format!("Python integer {number} out of bounds for {dtype}"),
            )),
            _ => Ok(()),
        }
    }

    /// The dtype when nothing else decides it.
    pub fn dtype(&self) -> DType {
        self.kind().dtype(floatx())
    }
}

/// Whether a dtype holds an integer; floats, complex numbers and truth take any.
fn fits(number: i128, dtype: DType) -> bool {
    let bits = 8 * dtype.size() as u32;
    if dtype.is_signed() {
        (-(1 << (bits - 1))..1 << (bits - 1)).contains(&number)
    } else {
        !dtype.is_unsigned() || (0..1 << bits).contains(&number)
    }
}

/// A list or tuple: numbers through numpy, with the dtypes that Python numbers have here or one that is wanted; tensors stacked.
fn sequence(object: &Bound<'_, PyAny>, wanted: Option<DType>) -> PyResult<Operand> {
    let py = object.py();
    if holds_tensor(object)? {
        let stacked = py.import("cornu.ops")?.call_method1("stack", (object,))?;
        return Operand::read(&stacked);
    }
    let array = numpy(py)?.call_method1("asarray", (object,))?;
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    let integer = wanted.unwrap_or(DType::Int32);
    if "iuO".contains(&kind) && integer.is_integer() && is_plain(object)? {
        // numpy refuses what the dtype does not hold.
        match numpy(py)?.call_method1("asarray", (object, integer.name())) {
            Ok(array) => {
                let tensor = Borrowed::array(&array)?.to_tensor()?;
                return Ok(Operand::Value(Value::concrete(tensor)));
            }
            Err(error) if error.is_instance_of::<PyOverflowError>(py) => return Err(error),
            Err(_) => {}
        }
    }
    if !"biufc".contains(&kind) && kind != "V" {
        return Err(PyTypeError::new_err(format!(
            "A tensor cannot be made of {}",
            object
                .repr()?
                .to_string()
                .chars()
                .take(120)
                .collect::<String>()
        )));
    }
    let value = Value::concrete(Borrowed::array(&array)?.to_tensor()?);
    // numpy's defaults are 64 bits wide; they stand for Python numbers unless an element was a numpy object.
    let weak = match value.dtype() {
        DType::Float64 if is_plain(object)? => Some(floatx()),
        DType::Complex128 if is_plain(object)? => Some(DType::Complex64),
        _ => None,
    };
    Ok(Operand::Value(match weak {
        Some(dtype) => cast(&value, dtype)?,
        None => value,
    }))
}

fn items<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        return Ok(Some(object.try_iter()?.collect::<PyResult<_>>()?));
    }
    Ok(None)
}

fn holds_tensor(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    for item in items(object)?.unwrap_or_default() {
        if item.is_instance_of::<tensor::Tensor>()
            || item.is_instance_of::<Dim>()
            || (items(&item)?.is_none()
                && !item.is_instance_of::<PyFloat>()
                && !item.is_instance_of::<PyInt>()
                && item.hasattr("__tensor__")?)
            || holds_tensor(&item)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the numbers in nested sequences are Python's own.
fn is_plain(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    match items(object)? {
        Some(items) => {
            for item in items {
                if !is_plain(&item)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        None => Ok(!object.hasattr("dtype")?),
    }
}

/// A Python object as a value.
pub fn value_of(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    Operand::read(object)?.into_own_value()
}

/// Applies an op of one output.
pub fn one(name: &str, attrs: &Attrs<'_>, inputs: &[&Value]) -> PyResult<Value> {
    let build = builder(name)
        .ok_or_else(|| PyValueError::new_err(format!("there is no primitive `{name}`")))?;
    let mut values = apply(build(attrs).or_raise()?, inputs).or_raise()?;
    Ok(values.swap_remove(0))
}

/// A value as another dtype.
pub fn cast(value: &Value, dtype: DType) -> PyResult<Value> {
    if value.dtype() == dtype {
        return Ok(value.clone());
    }
    one(
        "cast",
        &Attrs([("dtype", Attr::Str(dtype.name()))].into_iter().collect()),
        &[value],
    )
}

/// How operands come to share a dtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// They already do; Python scalars take their default dtype.
    Strict,
    /// The least type that holds all.
    Result,
    /// As `Result`, and integers become the default float.
    Float,
    /// As `Result`, for all but the first operand.
    Branches,
}

/// The values of operands, if all are tensors that promotion leaves as they are.
pub fn agreed<'a>(
    operands: &'a Bound<'_, PyTuple>,
    promotion: Promotion,
) -> Option<SmallVec<[&'a Value; 4]>> {
    let mut values: SmallVec<[&Value; 4]> = SmallVec::new();
    for operand in operands.iter_borrowed() {
        values.push(&operand.cast::<tensor::Tensor>().ok()?.get().value);
    }
    let skip = usize::from(promotion == Promotion::Branches);
    let mut dtypes = values.iter().skip(skip).map(|value| value.dtype());
    let agree = match (promotion, dtypes.next()) {
        (Promotion::Strict, _) | (_, None) => true,
        (Promotion::Float, Some(first)) if !first.is_float() && !first.is_complex() => false,
        (_, Some(first)) => dtypes.all(|dtype| dtype == first),
    };
    agree.then_some(values)
}

/// Operands as values of their common dtype.
pub fn promoted(
    operands: &Bound<'_, PyTuple>,
    promotion: Promotion,
) -> PyResult<SmallVec<[Value; 4]>> {
    let operands = operands
        .iter_borrowed()
        .map(|operand| Operand::read(&operand))
        .collect::<PyResult<SmallVec<[_; 4]>>>()?;
    let skip = match promotion {
        Promotion::Strict => {
            return operands.into_iter().map(Operand::into_own_value).collect();
        }
        Promotion::Branches => 1,
        Promotion::Result | Promotion::Float => 0,
    };
    let kinds = operands.iter().skip(skip).map(Operand::kind);
    let common = kinds.reduce(promote).unwrap_or(Promoted::WeakFloat);
    let mut dtype = common.dtype(floatx());
    if promotion == Promotion::Float && !dtype.is_float() && !dtype.is_complex() {
        dtype = floatx();
    }
    operands
        .into_iter()
        .enumerate()
        .map(|(i, operand)| {
            let own = operand.dtype();
            operand.into_value(if i < skip { own } else { dtype })
        })
        .collect()
}

/// The operands as tensors of the dtype that they promote to, a float if they shall be `floating`.
#[pyfunction]
#[pyo3(name = "promoted", signature = (*operands, floating=false))]
pub fn promoted_tensors<'py>(
    operands: &Bound<'py, PyTuple>,
    floating: bool,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = operands.py();
    let promotion = if floating {
        Promotion::Float
    } else {
        Promotion::Result
    };
    if agreed(operands, promotion).is_some() {
        return Ok(operands.clone());
    }
    let tensors = operands
        .iter_borrowed()
        .zip(promoted(operands, promotion)?)
        .map(|(operand, value)| match operand.cast::<tensor::Tensor>() {
            // A tensor that has the dtype stays the object that it is.
            Ok(tensor) if tensor.get().value.id() == value.id() => Ok(tensor.to_owned().unbind()),
            _ => tensor::wrap(py, value),
        })
        .collect::<PyResult<Vec<_>>>()?;
    PyTuple::new(py, tensors)
}

/// A Python attribute as the graph's.
pub fn attribute<'a>(name: &str, object: &'a Bound<'_, PyAny>) -> PyResult<Attr<'a>> {
    if object.is_none() {
        return Ok(Attr::None);
    }
    if let Ok(flag) = object.cast::<PyBool>() {
        return Ok(Attr::Bool(flag.is_true()));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Attr::Str(text.to_str()?));
    }
    // What is no size is found so before it is asked for one: an exception costs more than a small op.
    if let Ok(number) = object.cast::<PyFloat>() {
        return Ok(Attr::Float(number.value()));
    }
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        let mut list = Vec::new();
        for item in object.try_iter()? {
            // Items are integers, sizes, numbers or pairs of them: owned, unlike names.
            list.push(owned(name, &item?)?);
        }
        return Ok(Attr::List(list));
    }
    if let Ok(size) = dim::size_of(object) {
        return Ok(Attr::Int(size));
    }
    if let Ok(number) = object.extract::<f64>() {
        return Ok(Attr::Float(number));
    }
    Err(PyTypeError::new_err(format!(
        "`{name}` cannot be {}",
        object.repr()?
    )))
}

fn owned<'a>(name: &str, object: &Bound<'_, PyAny>) -> PyResult<Attr<'a>> {
    Ok(match attribute(name, object)? {
        Attr::None => Attr::None,
        Attr::Bool(flag) => Attr::Bool(flag),
        Attr::Int(size) => Attr::Int(size),
        Attr::Float(number) => Attr::Float(number),
        Attr::Str(_) => return Err(PyTypeError::new_err(format!("`{name}` holds a string"))),
        Attr::List(_) => {
            let mut list = Vec::new();
            for item in object.try_iter()? {
                list.push(owned(name, &item?)?);
            }
            Attr::List(list)
        }
    })
}

/// A tensor of a number, array, nested sequence, or anything that numpy or DLPack understands.
///
/// Arrays keep their dtype; Python floats become the default float, Python ints int32. The data are copied. Python ints that the
/// dtype does not hold are errors if they shall be `exact`, else they wrap if they have 32 bits.
#[pyfunction]
#[pyo3(name = "tensor", signature = (value, dtype=None, exact=false))]
pub fn make_tensor(
    py: Python<'_>,
    value: &Bound<'_, PyAny>,
    dtype: Option<&str>,
    exact: bool,
) -> PyResult<Py<tensor::Tensor>> {
    let wanted = dtype
        .map(|name| {
            DType::from_name(name)
                .ok_or_else(|| PyValueError::new_err(format!("Invalid dtype: {name}")))
        })
        .transpose()?;
    let operand = if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        sequence(value, wanted)?
    } else {
        Operand::read(value)?
    };
    let dtype = wanted.unwrap_or_else(|| operand.dtype());
    if exact {
        operand.check_range(dtype)?;
    }
    if let (Operand::Value(given), Ok(same)) = (&operand, value.cast::<tensor::Tensor>())
        && given.dtype() == dtype
    {
        return Ok(same.clone().unbind());
    }
    tensor::wrap(py, operand.into_value(dtype)?)
}

/// The dtype that operands of these dtypes (names) or kinds (`bool`, `int`, `float`, `complex` or such numbers) promote to.
#[pyfunction]
#[pyo3(signature = (*operands))]
pub fn result_type(operands: &Bound<'_, PyTuple>) -> PyResult<&'static str> {
    let mut common: Option<Promoted> = None;
    for operand in operands.iter() {
        let kind = if let Ok(name) = operand.cast::<PyString>() {
            let name = name.to_str()?;
            match name {
                "int" => Promoted::WeakInt,
                "float" => Promoted::WeakFloat,
                "complex" => Promoted::WeakComplex,
                _ => Promoted::Strong(
                    DType::from_name(name)
                        .ok_or_else(|| PyValueError::new_err(format!("Invalid dtype: {name}")))?,
                ),
            }
        } else if let Ok(class) = operand.cast::<pyo3::types::PyType>() {
            match class.name()?.to_str()? {
                "bool" => Promoted::Strong(DType::Bool),
                "int" => Promoted::WeakInt,
                "float" => Promoted::WeakFloat,
                "complex" => Promoted::WeakComplex,
                other => return Err(PyValueError::new_err(format!("Invalid dtype: {other}"))),
            }
        } else {
            Operand::read(&operand)?.kind()
        };
        common = Some(common.map_or(kind, |so_far| promote(so_far, kind)));
    }
    Ok(common.unwrap_or(Promoted::WeakFloat).dtype(floatx()).name())
}
