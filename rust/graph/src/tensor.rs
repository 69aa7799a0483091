//! Concrete tensors: a dtype, a shape and a buffer, contiguous and row-major.

use std::marker::PhantomData;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::buffer::Buffer;
use crate::{DType, Element, Error, Result, Shape, Spec, value_error};

/// The sizes of a concrete tensor.
pub type Sizes = SmallVec<[usize; 6]>;

/// A value in memory. Cloning shares the buffer.
#[derive(Clone)]
pub struct Tensor {
    dtype: DType,
    shape: Sizes,
    buffer: Arc<Buffer>,
}

impl Tensor {
    /// A tensor of unspecified content.
    ///
    /// # Errors
    /// `Error::Memory` when there is not enough.
    pub fn empty(dtype: DType, shape: &[usize]) -> Result<Tensor> {
        Tensor::on(dtype, shape, Buffer::new)
    }

    /// A tensor of zeros.
    ///
    /// # Errors
    /// `Error::Memory` when there is not enough.
    pub fn zeros(dtype: DType, shape: &[usize]) -> Result<Tensor> {
        Tensor::on(dtype, shape, Buffer::zeroed)
    }

    fn on(dtype: DType, shape: &[usize], make: fn(usize) -> Result<Buffer>) -> Result<Tensor> {
        let buffer = make(bytes_of(dtype, shape)?).map_err(|_| no_memory(dtype, shape))?;
        Ok(Tensor {
            dtype,
            shape: Sizes::from_slice(shape),
            buffer: Arc::new(buffer),
        })
    }

    /// A tensor with the elements of a slice, in row-major order.
    ///
    /// # Panics
    /// When the shape has another number of elements, or there is no memory for a copy.
    pub fn from_slice<T: Element>(data: &[T], shape: &[usize]) -> Tensor {
        assert_eq!(data.len(), shape.iter().product::<usize>());
        let tensor = Tensor::empty(T::DTYPE, shape).expect("memory for a copy of the slice");
        // SAFETY: a new buffer, as long as the slice, that nobody else holds.
        unsafe {
            std::ptr::copy_nonoverlapping(
                data.as_ptr(),
                tensor.buffer.as_mut_ptr().cast(),
                data.len(),
            );
        }
        tensor
    }

    /// A scalar of type T.
    pub fn scalar<T: Element>(value: T) -> Tensor {
        Tensor::from_slice(&[value], &[])
    }

    /// A scalar of any dtype, rounded from a double.
    pub fn scalar_of(dtype: DType, value: f64) -> Tensor {
        use half::{bf16, f16};
        use num_complex::Complex;
        match dtype {
            DType::Bool => Tensor::scalar(u8::from(value != 0.0)).retyped(DType::Bool),
            DType::Int8 => Tensor::scalar(value as i8),
            DType::Int16 => Tensor::scalar(value as i16),
            DType::Int32 => Tensor::scalar(value as i32),
            DType::Int64 => Tensor::scalar(value as i64),
            DType::UInt8 => Tensor::scalar(value as u8),
            DType::UInt16 => Tensor::scalar(value as u16),
            DType::UInt32 => Tensor::scalar(value as u32),
            DType::UInt64 => Tensor::scalar(value as u64),
            DType::Float16 => Tensor::scalar(f16::from_f64(value)),
            DType::BFloat16 => Tensor::scalar(bf16::from_f64(value)),
            DType::Float32 => Tensor::scalar(value as f32),
            DType::Float64 => Tensor::scalar(value),
            DType::Complex64 => Tensor::scalar(Complex::new(value as f32, 0.0)),
            DType::Complex128 => Tensor::scalar(Complex::new(value, 0.0)),
        }
    }

    /// A tensor over a buffer.
    ///
    /// # Errors
    /// `Error::Value` when the buffer is too short.
    pub fn from_buffer(dtype: DType, shape: &[usize], buffer: Arc<Buffer>) -> Result<Tensor> {
        if buffer.len() < bytes_of(dtype, shape)? {
            return value_error!(
                "a buffer of {} bytes is too short for {dtype}{shape:?}",
                buffer.len()
            );
        }
        Ok(Tensor {
            dtype,
            shape: shape.into(),
            buffer,
        })
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of elements.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// The number of bytes.
    pub fn bytes(&self) -> usize {
        self.size() * self.dtype.size()
    }

    /// The dtype and shape.
    pub fn spec(&self) -> Spec {
        Spec {
            dtype: self.dtype,
            shape: Shape::from(&self.shape[..]),
        }
    }

    /// The memory.
    pub fn buffer(&self) -> &Arc<Buffer> {
        &self.buffer
    }

    /// The same memory seen with another shape of as many elements.
    pub fn reshaped(&self, shape: &[usize]) -> Tensor {
        debug_assert_eq!(self.size(), shape.iter().product::<usize>());
        Tensor {
            dtype: self.dtype,
            shape: Sizes::from_slice(shape),
            buffer: self.buffer.clone(),
        }
    }

    /// The same memory seen as another dtype of the same size.
    pub fn retyped(mut self, dtype: DType) -> Tensor {
        debug_assert_eq!(self.dtype.size(), dtype.size());
        self.dtype = dtype;
        self
    }

    /// A view to read.
    pub fn view(&self) -> TensorRef<'_> {
        TensorRef {
            dtype: self.dtype,
            shape: &self.shape,
            data: self.buffer.as_ptr(),
            marker: PhantomData,
        }
    }

    /// The elements.
    ///
    /// # Panics
    /// When T is not the dtype's type.
    pub fn as_slice<T: Element>(&self) -> &[T] {
        self.view().as_slice()
    }
}

/// New tensors, for a kernel to write.
#[derive(Default)]
pub struct Fresh(SmallVec<[Tensor; 2]>);

impl Fresh {
    /// Adds a tensor of unspecified content.
    ///
    /// # Errors
    /// `Error::Memory` when there is not enough.
    pub fn push(&mut self, dtype: DType, shape: &[usize]) -> Result<()> {
        self.0.push(Tensor::empty(dtype, shape)?);
        Ok(())
    }

    /// Tensors of these dtypes and shapes, of unspecified content.
    ///
    /// # Errors
    /// `Error::Memory` when there is not enough.
    pub fn new<'a>(specs: impl Iterator<Item = (DType, &'a [usize])>) -> Result<Fresh> {
        let mut fresh = Fresh::default();
        for (dtype, shape) in specs {
            fresh.push(dtype, shape)?;
        }
        Ok(fresh)
    }

    /// Views to write.
    pub fn views(&mut self) -> SmallVec<[TensorMut<'_>; 2]> {
        // Nobody else holds the tensors, and `self` is borrowed while the views live.
        self.0
            .iter()
            .map(|tensor| TensorMut {
                dtype: tensor.dtype,
                shape: &tensor.shape,
                data: tensor.buffer.as_mut_ptr(),
                marker: PhantomData,
            })
            .collect()
    }

    /// The tensors, written.
    pub fn into_tensors(self) -> SmallVec<[Tensor; 2]> {
        self.0
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor({}{:?})", self.dtype, self.shape)
    }
}

/// What 57 bits address, the widest address space: sums and small multiples of bytes below it do not overflow.
pub const MOST_BYTES: usize = usize::MAX >> 7;

/// The error for values that memory cannot hold.
pub fn no_memory(dtype: DType, shape: &[usize]) -> Error {
    let shape = Shape::from(shape);
    Error::Memory(format!("there is no memory for a tensor {dtype}{shape}"))
}

/// The bytes of a tensor of these sizes: where sizes become memory.
///
/// # Errors
/// `Error::Memory` when no address space holds them, be it that one axis is empty.
pub fn bytes_of(dtype: DType, shape: &[usize]) -> Result<usize> {
    let axes = shape.iter().map(|&n| n.max(1));
    let most = axes.fold(dtype.size(), usize::saturating_mul);
    if most > MOST_BYTES {
        return Err(no_memory(dtype, shape));
    }
    Ok(if shape.contains(&0) { 0 } else { most })
}

/// Whether a Rust type is how a dtype is held: its own, or `u8` for bool.
fn holds<T: Element>(dtype: DType) -> bool {
    T::DTYPE == dtype || (dtype == DType::Bool && T::DTYPE == DType::UInt8)
}

/// An integer that stands for any element of its size, where elements are moved and not looked at.
pub trait Word: Copy + Default + Send + Sync + 'static {}

impl Word for u8 {}
impl Word for u16 {}
impl Word for u32 {}
impl Word for u64 {}
impl Word for kernels::layout::Word16 {}

/// A tensor to read, during one kernel call.
#[derive(Clone, Copy)]
pub struct TensorRef<'a> {
    /// The element type.
    pub dtype: DType,
    /// The sizes of the axes.
    pub shape: &'a [usize],
    data: *const u8,
    marker: PhantomData<&'a u8>,
}

impl<'a> TensorRef<'a> {
    /// A view of memory.
    ///
    /// # Safety
    /// `data` is valid for reads of the tensor's bytes during `'a`, and aligned for its elements.
    pub unsafe fn new(dtype: DType, shape: &'a [usize], data: *const u8) -> TensorRef<'a> {
        TensorRef {
            dtype,
            shape,
            data,
            marker: PhantomData,
        }
    }

    /// The number of elements.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Where the bytes start.
    pub fn address(&self) -> *const u8 {
        self.data
    }

    /// Where the elements start. In place, an output starts there too.
    pub fn as_ptr<T: Element>(&self) -> *const T {
        assert!(
            holds::<T>(self.dtype),
            "{} read as {}",
            self.dtype,
            T::DTYPE
        );
        self.data.cast()
    }

    /// The elements; not for an input that shares memory with an output.
    pub fn as_slice<T: Element>(&self) -> &'a [T] {
        let size = self.size();
        if size == 0 {
            return &[];
        }
        // SAFETY: `new`'s promise; the dtype is checked by `as_ptr`.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), size) }
    }

    /// The elements as words of their size; not for an input that shares memory with an output.
    pub fn as_words<W: Word>(&self) -> &'a [W] {
        assert_eq!(
            self.dtype.size(),
            size_of::<W>(),
            "words for {}",
            self.dtype
        );
        let size = self.size();
        if size == 0 {
            return &[];
        }
        // SAFETY: `new`'s promise; words are as long as the elements, no more aligned, and any bits are one.
        unsafe { std::slice::from_raw_parts(self.data.cast(), size) }
    }

    /// The bytes.
    pub fn bytes(&self) -> &'a [u8] {
        let bytes = self.size() * self.dtype.size();
        if bytes == 0 {
            return &[];
        }
        // SAFETY: `new`'s promise.
        unsafe { std::slice::from_raw_parts(self.data, bytes) }
    }
}

/// A tensor to write, during one kernel call.
pub struct TensorMut<'a> {
    /// The element type.
    pub dtype: DType,
    /// The sizes of the axes.
    pub shape: &'a [usize],
    data: *mut u8,
    marker: PhantomData<&'a mut u8>,
}

impl<'a> TensorMut<'a> {
    /// A view of memory to write.
    ///
    /// # Safety
    /// `data` is valid for reads and writes of the tensor's bytes during `'a`, aligned for its elements, and shared
    /// with nothing but the input that it replaces.
    pub unsafe fn new(dtype: DType, shape: &'a [usize], data: *mut u8) -> TensorMut<'a> {
        TensorMut {
            dtype,
            shape,
            data,
            marker: PhantomData,
        }
    }

    /// The number of elements.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Where the bytes start.
    pub fn address(&mut self) -> *mut u8 {
        self.data
    }

    /// Where the elements start.
    pub fn as_mut_ptr<T: Element>(&mut self) -> *mut T {
        assert!(
            holds::<T>(self.dtype),
            "{} written as {}",
            self.dtype,
            T::DTYPE
        );
        self.data.cast()
    }

    /// The elements.
    pub fn as_mut_slice<T: Element>(&mut self) -> &'a mut [T] {
        let size = self.size();
        if size == 0 {
            return &mut [];
        }
        // SAFETY: `new`'s promise; the dtype is checked by `as_mut_ptr`.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), size) }
    }

    /// The elements as words of their size.
    pub fn as_mut_words<W: Word>(&mut self) -> &'a mut [W] {
        assert_eq!(
            self.dtype.size(),
            size_of::<W>(),
            "words for {}",
            self.dtype
        );
        let size = self.size();
        if size == 0 {
            return &mut [];
        }
        // SAFETY: `new`'s promise; words are as long as the elements, no more aligned, and any bits are one.
        unsafe { std::slice::from_raw_parts_mut(self.data.cast(), size) }
    }

    /// The bytes.
    pub fn bytes_mut(&mut self) -> &'a mut [u8] {
        let bytes = self.size() * self.dtype.size();
        if bytes == 0 {
            return &mut [];
        }
        // SAFETY: `new`'s promise.
        unsafe { std::slice::from_raw_parts_mut(self.data, bytes) }
    }
}
