//! Convolutions whose kernels are brought, once per version, to the form that is fastest to read.

use std::sync::Arc;

use kernels::activation::Activation;
use kernels::conv::{self, Form, Geometry, Pass};
use kernels::gemm::Real;
use smallvec::SmallVec;

use super::{Conv, ConvInputGradient, ConvWindows};
use crate::op::{Op, Operand, Prepared, Run, residual};
use crate::{Bindings, DType, Dim, Result, Shape, Spec, Specs, Symbol};

/// Images that are reckoned with where their number is unknown.
const IMAGES: usize = 8;

/// Positions along a spatial axis of unknown size that are reckoned with.
const POSITIONS: usize = 32;

/// Evaluates `$body` with `$type` as the real number of a dtype; other dtypes have no forms.
macro_rules! with_real {
    ($dtype:expr, $type:ident => $body:expr, $other:expr) => {
        match $dtype {
            DType::Float32 => {
                type $type = f32;
                $body
            }
            DType::Float64 => {
                type $type = f64;
                $body
            }
            _ => $other,
        }
    };
}

/// An op that is one pass of a convolution over a kernel as its operand 1.
pub(super) trait Convolution: Op + Clone {
    /// The pass.
    const PASS: Pass;
    /// Whether a tensor of the result's kind is added to the sums, and what is applied to them.
    fn epilogue(&self) -> (bool, Option<Activation>);
    /// How a kernel of these sizes slides.
    fn windows(&self, kernel: &[usize]) -> ConvWindows;
}

impl Convolution for Conv {
    const PASS: Pass = Pass::Forward;

    fn epilogue(&self) -> (bool, Option<Activation>) {
        (self.residual, self.activation)
    }

    fn windows(&self, _: &[usize]) -> ConvWindows {
        self.windows.clone()
    }
}

impl Convolution for ConvInputGradient {
    const PASS: Pass = Pass::InputGradient;

    fn epilogue(&self) -> (bool, Option<Activation>) {
        (false, None)
    }

    fn windows(&self, kernel: &[usize]) -> ConvWindows {
        self.backward(kernel)
    }
}

/// The geometry of a pass from the sizes of its first operand and its result.
fn geometry(
    pass: Pass,
    windows: &ConvWindows,
    kernel: &[usize],
    x: &[usize],
    out: &[usize],
) -> Geometry {
    match pass {
        Pass::Forward => windows.geometry(x, kernel, out),
        _ => windows.geometry(out, kernel, x),
    }
}

/// The geometry of a call from its specs, with common sizes where they are unknown.
pub(super) fn reckoned_geometry<C: Convolution>(
    op: &C,
    inputs: &[&Spec],
    output: &Spec,
) -> Option<Geometry> {
    let kernel = inputs[1].shape.known()?;
    let batch: SmallVec<[Symbol; 1]> = inputs[0].shape.first()?.as_symbol().into_iter().collect();
    let size = |symbol: Symbol| {
        Dim::from(if batch.contains(&symbol) {
            IMAGES
        } else {
            POSITIONS
        })
    };
    let known = |spec: &Spec| -> Option<SmallVec<[usize; 6]>> {
        let shape: Shape = spec.shape.iter().map(|dim| dim.substitute(&size)).collect();
        Some(shape.known()?.iter().copied().collect())
    };
    Some(geometry(
        C::PASS,
        &op.windows(&kernel),
        &kernel,
        &known(inputs[0])?,
        &known(output)?,
    ))
}

/// `Op::prepared` of a convolution. A form serves any number of images; where that is unknown, a common one chooses it.
pub(super) fn prepared<C: Convolution>(
    op: &C,
    inputs: &[&Spec],
    output: &Spec,
) -> Option<Prepared> {
    let geometry = reckoned_geometry(op, inputs, output)?;
    let form = with_real!(
        inputs[0].dtype,
        T => conv::form::<T>(C::PASS, &geometry),
        None
    )?;
    Some(Prepared {
        operand: 1,
        prepare: Arc::new(PrepareKernel {
            pass: C::PASS,
            form,
            geometry,
        }),
        call: Arc::new(PreparedConv {
            op: op.clone(),
            kernel: inputs[1].clone(),
            windows: op.windows(&inputs[1].shape.known()?),
            form,
        }),
    })
}

/// A kernel in a form, from the kernel `(..size, channels / groups, filters)`.
#[derive(Clone, Debug)]
struct PrepareKernel {
    pass: Pass,
    form: Form,
    /// Of any number of images.
    geometry: Geometry,
}

impl Op for PrepareKernel {
    fn name(&self) -> &'static str {
        "prepare_kernel"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let len = with_real!(
            inputs[0].dtype,
            T => conv::prepared_len::<T>(self.form, self.pass, &self.geometry),
            unreachable!("a kernel that has a form")
        );
        let shape = std::iter::once(Dim::from(len)).collect::<Shape>();
        Ok(std::iter::once(inputs[0].with_shape(shape)).collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        with_real!(
            run.inputs[0].dtype,
            T => {
                let (kernel, out) = (run.input::<T>(0), run.output(0));
                conv::prepare(self.form, self.pass, &self.geometry, kernel, out);
            },
            unreachable!("a kernel that has a form")
        );
        Ok(())
    }
}

/// A convolution over what [`PrepareKernel`] made of its kernel.
#[derive(Clone, Debug)]
struct PreparedConv<C> {
    form: Form,
    op: C,
    /// The kernel as it was.
    kernel: Spec,
    windows: ConvWindows,
}

impl<C: Convolution> PreparedConv<C> {
    fn geometry(&self, x: &[usize], out: &[usize]) -> Geometry {
        let kernel = self.kernel.shape.known().unwrap_or_default();
        geometry(C::PASS, &self.windows, &kernel, x, out)
    }
}

impl<C: Convolution> Op for PreparedConv<C> {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let mut inputs: SmallVec<[&Spec; 4]> = inputs.iter().copied().collect();
        inputs[1] = &self.kernel;
        self.op.infer(&inputs)
    }

    fn by_rows(&self, _inputs: &[&Spec], batched: &[bool]) -> bool {
        residual::by_rows(self.op.epilogue().0, batched)
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        self.op.inplace()
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        fn real<T: Real>(
            form: Form,
            pass: Pass,
            geometry: &Geometry,
            (residual, activation): (bool, Option<Activation>),
            run: &mut Run<'_, '_>,
        ) {
            let operands = [run.input::<T>(0), run.input(1)];
            let epilogue = residual::epilogue(residual, activation, 0, run);
            let (out, scratch) = (run.output(0), run.scratch_of());
            conv::run_prepared(form, pass, geometry, operands, epilogue, out, scratch);
        }

        let geometry = self.geometry(run.inputs[0].shape, run.outputs[0].shape);
        with_real!(
            run.inputs[0].dtype,
            T => real::<T>(self.form, C::PASS, &geometry, self.op.epilogue(), run),
            unreachable!("a kernel that has a form")
        );
        Ok(())
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        let geometry = self.geometry(inputs[0].shape, outputs[0].shape);
        with_real!(
            inputs[0].dtype,
            T => conv::prepared_scratch_len::<T>(self.form, C::PASS, &geometry) * size_of::<T>(),
            0
        )
    }

    fn flops(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>]) -> u64 {
        super::flops(&self.geometry(inputs[0].shape, outputs[0].shape))
    }
}
