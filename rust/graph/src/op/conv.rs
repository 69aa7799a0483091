//! Convolution, its gradients, and transposed convolution, which is one of them.

mod prepared;

use std::ops::Range;
use std::sync::Arc;

use kernels::activation::Activation;
use kernels::conv::{self, Geometry, Padding, Pass, direct};
use kernels::elementwise::Op as Function;
use kernels::gemm::{Half, Real, Ring};
use num_complex::Complex;
use smallvec::SmallVec;

use super::elementwise::Elementwise;
use super::reduce::sum_to;
use super::residual::RESIDUAL;
use super::{
    Attr, Attrs, Family, Op, Operand, Prepared, Run, Vjp, expect_operands, expect_same_dtype,
    residual,
};
use crate::emit::Emitter;
use crate::{
    Bindings, DType, Dim, Result, Shape, Spec, Specs, Value, type_error, unsupported, value_error,
};

/// The family's ops.
pub const OPS: Family = &[
    ("conv", |attrs| {
        let activation = match attrs.get("activation") {
            Attr::None => None,
            _ => Some(activation_from_name(attrs.str("activation")?)?),
        };
        Ok(Arc::new(Conv {
            windows: ConvWindows::from_attrs(attrs)?,
            residual: false,
            activation,
        }))
    }),
    ("conv_input_gradient", |attrs| {
        Ok(Arc::new(ConvInputGradient {
            windows: ConvWindows::from_attrs(attrs)?,
            input: InputShape::Given(Shape(attrs.dims("input_shape")?)),
        }))
    }),
    ("conv_kernel_gradient", |attrs| {
        Ok(Arc::new(ConvKernelGradient {
            windows: ConvWindows::from_attrs(attrs)?,
            kernel: Shape(attrs.dims("kernel_shape")?),
        }))
    }),
    ("conv_transpose", |attrs| {
        let windows = ConvWindows::from_attrs(attrs)?;
        let padding = attrs.ints_or_none("output_padding")?;
        let output_padding = match padding {
            None => None,
            Some(padding) => Some(sizes(
                "output_padding",
                &padding,
                windows.sliding.rank(),
                0,
            )?),
        };
        Ok(Arc::new(ConvInputGradient {
            windows,
            input: InputShape::Transposed { output_padding },
        }))
    }),
];

fn activation_from_name(name: &str) -> Result<Activation> {
    match Activation::from_name(name) {
        Some(activation) => Ok(activation),
        None => value_error!("there is no activation `{name}`"),
    }
}

/// One size per spatial axis, each at least `least`.
pub(super) fn sizes(
    name: &str,
    values: &[i64],
    rank: usize,
    least: usize,
) -> Result<SmallVec<[usize; 3]>> {
    if values.len() != rank {
        return value_error!("`{name}` must have {rank} entries, got {values:?}");
    }
    let sizes = values
        .iter()
        .map(|&value| usize::try_from(value).ok().filter(|&n| n >= least));
    match sizes.collect() {
        Some(sizes) => Ok(sizes),
        None => value_error!("`{name}` must be at least {least}, got {values:?}"),
    }
}

/// How windows slide over the spatial axes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sliding {
    pub strides: SmallVec<[usize; 3]>,
    pub dilation: SmallVec<[usize; 3]>,
    pub padding: Padding,
}

impl Sliding {
    /// From `strides`, which tell the number of spatial axes, `padding` and `dilation` (1 when it is not given).
    pub fn from_attrs(attrs: &Attrs<'_>) -> Result<Self> {
        let strides = attrs.ints("strides")?;
        let rank = strides.len();
        if !(1..=3).contains(&rank) {
            return value_error!("there must be 1 to 3 spatial axes, got `strides` {strides:?}");
        }
        let dilation = attrs.ints_or_none("dilation")?;
        Ok(Sliding {
            strides: sizes("strides", &strides, rank, 1)?,
            dilation: match dilation {
                Some(dilation) => sizes("dilation", &dilation, rank, 1)?,
                None => SmallVec::from_elem(1, rank),
            },
            padding: match attrs.get("padding") {
                Attr::Str("same") => Padding::Same,
                Attr::None | Attr::Str("valid") => Padding::Valid,
                Attr::Str(name) => {
                    return value_error!("`padding` must be \"valid\" or \"same\", got \"{name}\"");
                }
                _ => {
                    let pairs = attrs.pairs("padding")?;
                    let low: SmallVec<[i64; 3]> = pairs.iter().map(|pair| pair.0).collect();
                    let high: SmallVec<[i64; 3]> = pairs.iter().map(|pair| pair.1).collect();
                    let low = sizes("padding", &low, rank, 0)?;
                    let high = sizes("padding", &high, rank, 0)?;
                    Padding::Explicit(low.into_iter().zip(high).collect())
                }
            },
        })
    }

    /// The number of spatial axes.
    pub fn rank(&self) -> usize {
        self.strides.len()
    }

    /// The axes of a tensor that windows slide over.
    fn axes(&self) -> Range<usize> {
        1..1 + self.rank()
    }

    /// Checks the number of axes of an operand.
    pub fn expect_rank(&self, name: &str, spec: &Spec) -> Result<()> {
        let rank = self.rank() + 2;
        if spec.shape.rank() == rank {
            return Ok(());
        }
        value_error!(
            "`{name}` must have {rank} axes, got the shape {}",
            spec.shape
        )
    }

    /// Positions from the first tap of a window of `size` to its last one.
    fn reach(&self, axis: usize, size: usize) -> usize {
        (size - 1) * self.dilation[axis] + 1
    }

    /// Windows that slide over what lacks a padding as these do over what has it.
    pub fn padded(&self, pairs: &[(usize, usize)]) -> Option<Self> {
        let padding = match &self.padding {
            Padding::Same => return None,
            Padding::Valid => pairs.iter().copied().collect(),
            Padding::Explicit(own) => (own.iter().zip(pairs))
                .map(|(own, more)| (own.0 + more.0, own.1 + more.1))
                .collect(),
        };
        Some(Sliding {
            padding: Padding::Explicit(padding),
            ..self.clone()
        })
    }

    /// The sizes of the output's spatial axes, for windows of `size` over the axes of `x`.
    ///
    /// # Errors
    /// `Error::Value` when a window does not fit.
    pub fn output(&self, x: &Shape, size: &[usize]) -> Result<SmallVec<[Dim; 3]>> {
        (0..self.rank())
            .map(|axis| {
                let n = &x[1 + axis];
                let stride = Dim::from(self.strides[axis]);
                let padding = match &self.padding {
                    Padding::Same => return n.ceil_div(&stride),
                    Padding::Valid => 0,
                    Padding::Explicit(pairs) => pairs[axis].0 + pairs[axis].1,
                };
                let reach = self.reach(axis, size[axis]);
                let rest = &(n + &Dim::from(padding)) - &Dim::from(reach);
                if matches!(rest, Dim::Known(rest) if rest < 0) {
                    return value_error!(
                        "a window that reaches over {reach} positions does not fit into {x}, spatial axis {axis}"
                    );
                }
                Ok(&rest.floor_div(&stride)? + &Dim::Known(1))
            })
            .collect()
    }
}

/// How a kernel slides.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvWindows {
    sliding: Sliding,
    groups: usize,
}

impl ConvWindows {
    fn from_attrs(attrs: &Attrs<'_>) -> Result<Self> {
        let groups = attrs.int_or("groups", 1)?;
        Ok(ConvWindows {
            sliding: Sliding::from_attrs(attrs)?,
            groups: sizes("groups", &[groups], 1, 1)?[0],
        })
    }

    /// As `Sliding::padded`.
    pub(crate) fn padded(&self, pairs: &[(usize, usize)]) -> Option<Self> {
        Some(ConvWindows {
            sliding: self.sliding.padded(pairs)?,
            groups: self.groups,
        })
    }

    /// The sizes of a kernel's axes, found to be in order.
    fn kernel_sizes(&self, kernel: &Spec) -> Result<SmallVec<[usize; 5]>> {
        self.sliding.expect_rank("kernel", kernel)?;
        let mut sizes = SmallVec::<[usize; 5]>::new();
        for dim in kernel.shape.iter() {
            sizes.push(usize::try_from(dim.require()?).unwrap_or(0));
        }
        let filters = sizes[sizes.len() - 1];
        if sizes[..self.sliding.rank()].contains(&0) || !filters.is_multiple_of(self.groups) {
            return value_error!(
                "a kernel of shape {} in {} groups",
                kernel.shape,
                self.groups
            );
        }
        Ok(sizes)
    }

    fn geometry(&self, x: &[usize], kernel: &[usize], out: &[usize]) -> Geometry {
        let Sliding {
            strides,
            padding,
            dilation,
            ..
        } = &self.sliding;
        let mut geometry = Geometry::new(x, kernel, strides, padding, dilation, self.groups);
        // A transposed convolution says how long it is.
        let spatial = &out[self.sliding.axes()];
        let first = geometry.window.output.len() - spatial.len();
        geometry.window.output[first..].copy_from_slice(spatial);
        geometry
    }
}

/// Checks the dtype of a convolution's operands.
fn expect_numbers(inputs: &[&Spec]) -> Result<DType> {
    match expect_same_dtype(inputs)? {
        DType::Bool => type_error!("operands must be numbers, got bool"),
        dtype => Ok(dtype),
    }
}

/// The bytes of scratch of a pass.
fn scratch(pass: Pass, geometry: &Geometry, dtype: DType) -> usize {
    match dtype {
        DType::Float32 => conv::scratch_len::<f32>(pass, geometry) * size_of::<f32>(),
        DType::Float64 => conv::scratch_len::<f64>(pass, geometry) * size_of::<f64>(),
        DType::Float16 | DType::BFloat16 => {
            conv::half_scratch_len(pass, geometry) * size_of::<f32>()
        }
        _ => 0,
    }
}

/// Runs a pass on a call's operands, of which one may be a residual.
fn run(
    pass: Pass,
    geometry: &Geometry,
    residual: bool,
    activation: Option<Activation>,
    run: &mut Run,
) -> Result<()> {
    fn real<T: Real>(
        pass: Pass,
        geometry: &Geometry,
        residual: bool,
        f: Option<Activation>,
        run: &mut Run,
    ) {
        let operands = [run.input::<T>(0), run.input(1)];
        let epilogue = residual::epilogue(residual, f, 0, run);
        let out = run.output(0);
        conv::run(pass, geometry, operands, epilogue, out, run.scratch_of());
    }

    fn half<T: Half>(pass: Pass, geometry: &Geometry, f: Option<Activation>, run: &mut Run) {
        let operands = [run.input::<T>(0), run.input(1)];
        let bias = (run.inputs.len() > 2).then(|| run.input(2));
        let out = run.output(0);
        conv::run_half(pass, geometry, operands, bias, f, out, run.scratch_of());
    }

    fn ring<T: Ring>(
        pass: Pass,
        geometry: &Geometry,
        f: Option<Activation>,
        run: &mut Run,
    ) -> Result<()> {
        let (a, b, out) = (run.input::<T>(0), run.input(1), run.output(0));
        if let Some(activation) = f {
            return unsupported!("`{}` of {}", activation.name(), T::DTYPE);
        }
        match pass {
            Pass::Forward => {
                let bias = (run.inputs.len() > 2).then(|| run.input(2));
                direct::forward(geometry, a, b, bias, out);
            }
            Pass::InputGradient => direct::input_gradient(geometry, a, b, out),
            Pass::KernelGradient => direct::kernel_gradient(geometry, a, b, out),
        }
        Ok(())
    }

    match run.inputs[0].dtype {
        DType::Float32 => real::<f32>(pass, geometry, residual, activation, run),
        DType::Float64 => real::<f64>(pass, geometry, residual, activation, run),
        DType::Float16 => half::<half::f16>(pass, geometry, activation, run),
        DType::BFloat16 => half::<half::bf16>(pass, geometry, activation, run),
        DType::Int8 => ring::<i8>(pass, geometry, activation, run)?,
        DType::Int16 => ring::<i16>(pass, geometry, activation, run)?,
        DType::Int32 => ring::<i32>(pass, geometry, activation, run)?,
        DType::Int64 => ring::<i64>(pass, geometry, activation, run)?,
        DType::UInt8 => ring::<u8>(pass, geometry, activation, run)?,
        DType::UInt16 => ring::<u16>(pass, geometry, activation, run)?,
        DType::UInt32 => ring::<u32>(pass, geometry, activation, run)?,
        DType::UInt64 => ring::<u64>(pass, geometry, activation, run)?,
        DType::Complex64 => ring::<Complex<f32>>(pass, geometry, activation, run)?,
        DType::Complex128 => ring::<Complex<f64>>(pass, geometry, activation, run)?,
        DType::Bool => return type_error!("operands must be numbers, got bool"),
    }
    Ok(())
}

/// Multiplications and additions of a convolution.
fn flops(geometry: &Geometry) -> u64 {
    2 * (geometry.rows() * geometry.depth() * geometry.filters) as u64
}

/// `activation(conv(x, kernel) + residual + bias)`: `x (batch, ..spatial, channels)`, `kernel (..size, channels / groups, filters)`.
#[derive(Clone, Debug)]
pub struct Conv {
    /// How the kernel slides.
    pub windows: ConvWindows,
    /// Whether a tensor of the result's kind is added.
    pub residual: bool,
    /// What is applied to the sums.
    pub activation: Option<Activation>,
}

impl Conv {
    fn geometry(&self, shapes: [&[usize]; 3]) -> Geometry {
        self.windows.geometry(shapes[0], shapes[1], shapes[2])
    }

    /// Whether it could add a residual, whatever the unknown sizes are.
    pub fn takes_residual(&self, inputs: &[&Spec], output: &Spec) -> bool {
        residual::adds(output.dtype)
            && !self.residual
            && prepared::reckoned_geometry(self, inputs, output)
                .is_some_and(|geometry| conv::adds(&geometry))
    }
}

impl Op for Conv {
    fn name(&self) -> &'static str {
        "conv"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let bias = residual::bias(self.residual);
        expect_operands(inputs, bias..=bias + 1)?;
        expect_numbers(inputs)?;
        let (x, kernel, rank) = (inputs[0], inputs[1], self.windows.sliding.rank());
        self.windows.sliding.expect_rank("x", x)?;
        let sizes = self.windows.kernel_sizes(kernel)?;
        let channels = x.shape[rank + 1].require()?;
        if channels != (sizes[rank] * self.windows.groups) as i64 {
            return value_error!(
                "a kernel of shape {} in {} groups does not fit {channels} channels",
                kernel.shape,
                self.windows.groups
            );
        }
        if let Some(bias) = inputs.get(bias)
            && !(bias.shape.rank() == 1 && bias.shape[0] == kernel.shape[rank + 1])
        {
            return value_error!(
                "a bias of shape {} for {} filters",
                bias.shape,
                sizes[rank + 1]
            );
        }
        let mut shape = vec![x.shape[0].clone()];
        shape.extend(self.windows.sliding.output(&x.shape, &sizes[..rank])?);
        shape.push(kernel.shape[rank + 1].clone());
        let output = x.with_shape(shape.into_iter().collect::<Shape>());
        if self.residual {
            residual::expect(inputs[RESIDUAL], &output)?;
        }
        Ok(std::iter::once(output).collect())
    }

    fn by_rows(&self, _inputs: &[&Spec], batched: &[bool]) -> bool {
        residual::by_rows(self.residual, batched)
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        residual::inplace(self.residual)
    }

    fn run(&self, call: &mut Run<'_, '_>) -> Result<()> {
        let shapes = [
            call.inputs[0].shape,
            call.inputs[1].shape,
            call.outputs[0].shape,
        ];
        let geometry = self.geometry(shapes);
        run(
            Pass::Forward,
            &geometry,
            self.residual,
            self.activation,
            call,
        )
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        let geometry = self.geometry([inputs[0].shape, inputs[1].shape, outputs[0].shape]);
        scratch(Pass::Forward, &geometry, inputs[0].dtype)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let (x, kernel) = (&vjp.inputs[0], &vjp.inputs[1]);
        let windows = &self.windows;
        let mut g = vjp.grad()?.clone();
        if let Some(activation) = self.activation {
            let plain = Arc::new(Conv {
                activation: None,
                ..self.clone()
            });
            let sums = e.one(plain, &vjp.inputs.iter().collect::<SmallVec<[&Value; 4]>>())?;
            g = activation_gradient(e, activation, sums, &vjp.outputs[0], g)?;
        }
        let mut grads = vec![None; vjp.inputs.len()];
        if vjp.wanted[0] {
            grads[0] = Some(input_gradient(e, windows, &g, kernel, x.shape())?);
        }
        if vjp.wanted[1] {
            grads[1] = Some(kernel_gradient(e, windows, x, &g, kernel.shape())?);
        }
        // The bias, and the residual, whose gradient is as long already.
        let added = grads.iter_mut().zip(vjp.inputs).zip(vjp.wanted);
        for ((grad, input), _) in added.skip(RESIDUAL).filter(|(_, wanted)| **wanted) {
            *grad = Some(sum_to(e, &g, input.shape())?);
        }
        Ok(grads)
    }

    fn prepared(&self, inputs: &[&Spec], output: &Spec) -> Option<Prepared> {
        prepared::prepared(self, inputs, output)
    }

    fn flops(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>]) -> u64 {
        flops(&self.geometry([inputs[0].shape, inputs[1].shape, outputs[0].shape]))
    }
}

/// The gradient that reaches the sums behind an activation's result `y`.
fn activation_gradient(
    e: &mut dyn Emitter,
    activation: Activation,
    sums: Value,
    y: &Value,
    g: Value,
) -> Result<Value> {
    let Some(function) = Function::from_name(activation.name()) else {
        return unsupported!("the gradient of `{}`", activation.name());
    };
    let vjp = Vjp {
        inputs: &[sums],
        outputs: std::slice::from_ref(y),
        grads: &[Some(g.clone())],
        wanted: &[true],
    };
    let grads = Elementwise::op(function).vjp(e, &vjp)?;
    Ok(grads.into_iter().flatten().next().unwrap_or(g))
}

fn forward(e: &mut dyn Emitter, windows: &ConvWindows, x: &Value, kernel: &Value) -> Result<Value> {
    let op = Conv {
        windows: windows.clone(),
        residual: false,
        activation: None,
    };
    e.one(Arc::new(op), &[x, kernel])
}

fn input_gradient(
    e: &mut dyn Emitter,
    windows: &ConvWindows,
    g: &Value,
    kernel: &Value,
    shape: &Shape,
) -> Result<Value> {
    let input = InputShape::Given(shape.clone());
    let op = ConvInputGradient {
        windows: windows.clone(),
        input,
    };
    e.one(Arc::new(op), &[g, kernel])
}

fn kernel_gradient(
    e: &mut dyn Emitter,
    windows: &ConvWindows,
    x: &Value,
    g: &Value,
    shape: &Shape,
) -> Result<Value> {
    let op = ConvKernelGradient {
        windows: windows.clone(),
        kernel: shape.clone(),
    };
    e.one(Arc::new(op), &[x, g])
}

/// How long the input of a convolution is, seen from its output.
#[derive(Clone, Debug)]
pub enum InputShape {
    /// So long.
    Given(Shape),
    /// As a transposed convolution makes it.
    Transposed {
        /// What is added at the end of each spatial axis, over the least length; by default what the strides leave.
        output_padding: Option<SmallVec<[usize; 3]>>,
    },
}

/// The gradient of [`Conv`]'s `x` from `g (batch, ..spatial, filters)` and the kernel; also the transposed convolution of `g`.
#[derive(Clone, Debug)]
pub struct ConvInputGradient {
    /// How the kernel slides.
    pub windows: ConvWindows,
    /// The result's shape.
    pub input: InputShape,
}

impl ConvInputGradient {
    /// The windows of the convolution that leads back.
    ///
    /// With an output padding, Keras pads by half of the windows' reach whatever the strides, and takes half of the output
    /// padding from the front.
    fn backward(&self, kernel: &[usize]) -> ConvWindows {
        let mut windows = self.windows.clone();
        if let InputShape::Transposed {
            output_padding: Some(more),
        } = &self.input
            && windows.sliding.padding == Padding::Same
        {
            let sliding = &windows.sliding;
            let pairs = (0..sliding.rank()).map(|axis| {
                let both = 2 * (sliding.reach(axis, kernel[axis]) / 2);
                let low = both.saturating_sub(more[axis]) / 2;
                (low, both - low)
            });
            windows.sliding.padding = Padding::Explicit(pairs.collect());
        }
        windows
    }

    fn geometry(&self, shapes: [&[usize]; 3]) -> Geometry {
        let [g, kernel, out] = shapes;
        self.backward(kernel).geometry(out, kernel, g)
    }
}

impl Op for ConvInputGradient {
    fn name(&self) -> &'static str {
        match self.input {
            InputShape::Given(_) => "conv_input_gradient",
            InputShape::Transposed { .. } => "conv_transpose",
        }
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 2..=2)?;
        expect_numbers(inputs)?;
        let (g, kernel, sliding) = (inputs[0], inputs[1], &self.windows.sliding);
        let rank = sliding.rank();
        sliding.expect_rank("x", g)?;
        let sizes = self.windows.kernel_sizes(kernel)?;
        let filters = g.shape[rank + 1].require()?;
        if filters != sizes[rank + 1] as i64 {
            return value_error!(
                "a kernel of shape {} does not fit {filters} channels",
                kernel.shape
            );
        }
        let output_padding = match &self.input {
            InputShape::Given(shape) => {
                let channels = Dim::from(sizes[rank] * self.windows.groups);
                let batches = shape.first().zip(g.shape.first());
                if shape.rank() != rank + 2
                    || shape[rank + 1] != channels
                    || batches.is_some_and(|(a, b)| a.never_equals(b))
                {
                    return value_error!("no convolution leads from {shape} to {}", g.shape);
                }
                return Ok(std::iter::once(g.with_shape(shape.clone())).collect());
            }
            InputShape::Transposed { output_padding } => output_padding,
        };
        let mut shape = vec![g.shape[0].clone()];
        for axis in 0..rank {
            let (n, stride) = (&g.shape[1 + axis], sliding.strides[axis]);
            let reach = sliding.reach(axis, sizes[axis]);
            // Over `n * stride` positions.
            let more = match (output_padding, &sliding.padding) {
                (None, Padding::Same) => 0,
                (None, _) => reach.saturating_sub(stride) as i64,
                (Some(padding), Padding::Same) => {
                    (reach % 2 + padding[axis]) as i64 - stride as i64
                }
                (Some(padding), _) => (reach + padding[axis]) as i64 - stride as i64,
            };
            shape.push(&(n * &Dim::from(stride)) + &Dim::Known(more));
        }
        shape.push(Dim::from(sizes[rank] * self.windows.groups));
        Ok(std::iter::once(g.with_shape(shape.into_iter().collect::<Shape>())).collect())
    }

    fn run(&self, call: &mut Run<'_, '_>) -> Result<()> {
        let shapes = [
            call.inputs[0].shape,
            call.inputs[1].shape,
            call.outputs[0].shape,
        ];
        let geometry = self.geometry(shapes);
        run(Pass::InputGradient, &geometry, false, None, call)
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        let geometry = self.geometry([inputs[0].shape, inputs[1].shape, outputs[0].shape]);
        scratch(Pass::InputGradient, &geometry, inputs[0].dtype)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let (g, kernel, t) = (&vjp.inputs[0], &vjp.inputs[1], vjp.grad()?);
        let sizes = kernel.shape().known().unwrap_or_default();
        let windows = self.backward(&sizes);
        Ok(vec![
            vjp.wanted[0]
                .then(|| forward(e, &windows, t, kernel))
                .transpose()?,
            vjp.wanted[1]
                .then(|| kernel_gradient(e, &windows, t, g, kernel.shape()))
                .transpose()?,
        ])
    }

    fn prepared(&self, inputs: &[&Spec], output: &Spec) -> Option<Prepared> {
        prepared::prepared(self, inputs, output)
    }

    fn flops(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>]) -> u64 {
        flops(&self.geometry([inputs[0].shape, inputs[1].shape, outputs[0].shape]))
    }
}

/// The gradient of [`Conv`]'s kernel from `x` and `g (batch, ..spatial, filters)`.
#[derive(Clone, Debug)]
pub struct ConvKernelGradient {
    /// How the kernel slides.
    pub windows: ConvWindows,
    /// The result's shape.
    pub kernel: Shape,
}

impl ConvKernelGradient {
    fn geometry(&self, shapes: [&[usize]; 3]) -> Geometry {
        let [x, g, kernel] = shapes;
        self.windows.geometry(x, kernel, g)
    }
}

impl Op for ConvKernelGradient {
    fn name(&self) -> &'static str {
        "conv_kernel_gradient"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 2..=2)?;
        expect_numbers(inputs)?;
        self.windows.sliding.expect_rank("x", inputs[0])?;
        self.windows.sliding.expect_rank("g", inputs[1])?;
        let kernel = inputs[0].with_shape(self.kernel.clone());
        let (x, g, rank) = (
            &inputs[0].shape,
            &inputs[1].shape,
            self.windows.sliding.rank(),
        );
        let sizes = self.windows.kernel_sizes(&kernel)?;
        if x[rank + 1] != Dim::from(sizes[rank] * self.windows.groups)
            || g[rank + 1] != Dim::from(sizes[rank + 1])
            || x[0].never_equals(&g[0])
        {
            return value_error!("no kernel of shape {} leads from {x} to {g}", self.kernel);
        }
        Ok(std::iter::once(kernel).collect())
    }

    fn run(&self, call: &mut Run<'_, '_>) -> Result<()> {
        let shapes = [
            call.inputs[0].shape,
            call.inputs[1].shape,
            call.outputs[0].shape,
        ];
        let geometry = self.geometry(shapes);
        run(Pass::KernelGradient, &geometry, false, None, call)
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        let geometry = self.geometry([inputs[0].shape, inputs[1].shape, outputs[0].shape]);
        scratch(Pass::KernelGradient, &geometry, inputs[0].dtype)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let (x, g, t) = (&vjp.inputs[0], &vjp.inputs[1], vjp.grad()?);
        Ok(vec![
            vjp.wanted[0]
                .then(|| input_gradient(e, &self.windows, g, t, x.shape()))
                .transpose()?,
            vjp.wanted[1]
                .then(|| forward(e, &self.windows, x, t))
                .transpose()?,
        ])
    }

    fn flops(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>]) -> u64 {
        flops(&self.geometry([inputs[0].shape, inputs[1].shape, outputs[0].shape]))
    }
}

#[cfg(test)]
mod tests;
