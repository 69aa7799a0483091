//! What follows the sums of a product, and what happens to a tile while it is in the first-level cache.
use simd::{Isa, Lanes, Task, dispatch};

use super::Real;
use super::microkernel::Place;
use crate::DType;
use crate::activation::Activation;

/// What is made of the sums of a product: `activation(sums + bias + output)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a, T> {
    /// A row with an item for each column, added to every row.
    pub bias: Option<&'a [T]>,
    /// Whether what the output holds is added.
    pub add: bool,
    /// What is applied to the sums.
    pub activation: Option<Activation>,
}

impl<T: Real> Epilogue<'_, T> {
    /// The same for the columns from one on.
    pub(crate) fn after_columns(self, column: usize) -> Self {
        Epilogue {
            bias: self.bias.map(|bias| &bias[column..]),
            ..self
        }
    }

    /// Writes what the sums of a row begin with; they are then added to it.
    pub(super) fn begin(&self, row: &mut [T]) {
        match (self.bias, self.add) {
            (Some(bias), true) => {
                for (x, &bias) in row.iter_mut().zip(bias) {
                    *x = *x + bias;
                }
            }
            (Some(bias), false) => row.copy_from_slice(&bias[..row.len()]),
            (None, true) => {}
            (None, false) => row.fill(T::default()),
        }
    }
}

/// Applies an activation to a tile.
///
/// # Safety
/// The place is valid for reads and writes of its rows and columns.
#[inline(always)]
pub(super) unsafe fn activate<I: Isa, T: Real>(isa: I, activation: Activation, place: Place<T>) {
    if T::DTYPE == DType::Float32 {
        isa.run(Tile {
            activation,
            place: place.cast(),
        });
    } else {
        debug_assert!(T::DTYPE == DType::Float64);
        let place: Place<f64> = place.cast();
        let f = activation.of_f64();
        for row in 0..place.rows {
            for column in 0..place.columns {
                // SAFETY: an item of the place.
                unsafe {
                    let x = place.start.add(row * place.stride + column);
                    *x = f(*x);
                }
            }
        }
    }
}

/// Applies an activation to each item of a slice.
pub fn activate_slice<T: Real>(activation: Activation, x: &mut [T]) {
    struct Slice<'a, T>(Activation, &'a mut [T]);

    impl<T: Real> Task for Slice<'_, T> {
        type Output = ();

        #[inline(always)]
        fn run<I: Isa>(self, isa: I) {
            activate_row(isa, self.0, self.1);
        }
    }

    dispatch(Slice(activation, x));
}

/// [`activate_slice`] inside of a task.
#[inline(always)]
pub(super) fn activate_row<I: Isa, T: Real>(isa: I, activation: Activation, row: &mut [T]) {
    let place = Place::new(row.as_mut_ptr(), row.len(), [1, row.len()]);
    // SAFETY: the place is the slice.
    unsafe { activate(isa, activation, place) }
}

struct Tile {
    activation: Activation,
    place: Place<f32>,
}

impl Task for Tile {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        // One loop per activation, the choice outside.
        macro_rules! each {
            ($($activation:ident)*) => {
                match self.activation {
                    // SAFETY: the caller of `activate` vouches for the place.
                    $(Activation::$activation => unsafe {
                        map::<I, { Activation::$activation as usize }>(isa, self.place)
                    })*
                }
            };
        }
        each! {
            Relu Relu6 Sigmoid Tanh Silu Gelu GeluTanh Elu Selu Softplus Softsign HardSigmoid HardSilu
        }
    }
}

/// Applies the activation of that number; a closure would not be compiled for the instruction set where it is not inlined.
///
/// # Safety
/// As [`activate`].
#[inline(always)]
unsafe fn map<I: Isa, const ACTIVATION: usize>(isa: I, place: Place<f32>) {
    let (_, activation) = Activation::ALL[ACTIVATION];
    let len = I::F32::LEN;
    for row in 0..place.rows {
        let mut column = 0;
        while column < place.columns {
            let width = len.min(place.columns - column);
            // SAFETY: `width` items of the row.
            unsafe {
                let x = place.start.add(row * place.stride + column);
                if width == len {
                    activation.apply(isa, I::F32::load_ptr(isa, x)).store_ptr(x);
                } else {
                    let lanes = I::F32::load_ptr_partial(isa, x, width);
                    activation.apply(isa, lanes).store_ptr_partial(x, width);
                }
            }
            column += len;
        }
    }
}
