//! Products with a matrix that is packed once for many runs.

use std::sync::Arc;

use kernels::gemm::{Packed, Strided};
use kernels::level;

use super::{Dense, dense_real, scratch_bytes};
use crate::op::{Op, Operand, Prepared, Run};
use crate::{Bindings, DType, Dim, Result, Shape, Spec, Specs};

/// Items from which on a matrix is packed: below, the call costs more than reading it as it lies.
const LEAST: usize = 4096;

/// `Op::prepared` of a product of rows with a matrix, transposed or not, which is operand 1.
pub(super) fn prepared(dense: Dense, inputs: &[&Spec], transposed: bool) -> Option<Prepared> {
    let kernel = inputs[1];
    let &[mut k, mut n] = kernel.shape.known()?.as_slice() else {
        return None;
    };
    if transposed {
        (k, n) = (n, k);
    }
    let floats = matches!(kernel.dtype, DType::Float32 | DType::Float64);
    let vector = n == 1 || inputs[0].shape.rank() == 1;
    (floats && !vector && !dense.keep && k * n >= LEAST).then(|| Prepared {
        operand: 1,
        prepare: Arc::new(PackMatrix { k, n, transposed }),
        call: Arc::new(PackedDense { dense, k, n }),
    })
}

/// The panels of a `k` x `n` matrix.
#[derive(Clone, Copy, Debug)]
struct PackMatrix {
    k: usize,
    n: usize,
    transposed: bool,
}

impl Op for PackMatrix {
    fn name(&self) -> &'static str {
        "pack_matrix"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let len = match inputs[0].dtype {
            DType::Float64 => Packed::<f64>::len(level(), self.n, self.k),
            _ => Packed::<f32>::len(level(), self.n, self.k),
        };
        let shape: Shape = std::iter::once(Dim::from(len)).collect();
        Ok(std::iter::once(inputs[0].with_shape(shape)).collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        macro_rules! pack {
            ($type:ty) => {{
                let matrix = run.input::<$type>(0);
                let matrix = Strided::right(matrix, self.k, self.n, self.transposed);
                Packed::pack(level(), &matrix, self.n, self.k, run.output(0));
            }};
        }
        match run.inputs[0].dtype {
            DType::Float64 => pack!(f64),
            _ => pack!(f32),
        }
        Ok(())
    }
}

/// [`Dense`] over what [`PackMatrix`] made of its kernel.
#[derive(Clone, Copy, Debug)]
struct PackedDense {
    dense: Dense,
    k: usize,
    n: usize,
}

impl PackedDense {
    fn size(&self, x: &[usize]) -> [usize; 3] {
        Dense::size(x, &[self.k, self.n])
    }
}

impl Op for PackedDense {
    fn name(&self) -> &'static str {
        self.dense.name()
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let shape: Shape = [self.k, self.n].map(Dim::from).into_iter().collect();
        let kernel = inputs[1].with_shape(shape);
        let mut inputs: Vec<&Spec> = inputs.to_vec();
        inputs[1] = &kernel;
        self.dense.infer(&inputs)
    }

    fn by_rows(&self, inputs: &[&Spec], batched: &[bool]) -> bool {
        self.dense.by_rows(inputs, batched)
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        self.dense.inplace()
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let size = self.size(run.inputs[0].shape);
        macro_rules! multiply {
            ($type:ty) => {{
                let b = Packed::new(level(), run.input::<$type>(1));
                let Dense {
                    residual,
                    activation,
                    ..
                } = self.dense;
                dense_real::<$type>(run, size, b.into(), residual, 0, activation);
            }};
        }
        match run.inputs[0].dtype {
            DType::Float64 => multiply!(f64),
            _ => multiply!(f32),
        }
        Ok(())
    }

    fn scratch(&self, inputs: &[Operand<'_>], _: &[Operand<'_>], _: &Bindings) -> usize {
        scratch_bytes(inputs[0].dtype, 1, self.size(inputs[0].shape))
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        2 * self.size(inputs[0].shape).iter().product::<usize>() as u64
    }
}
