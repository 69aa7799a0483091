//! The one promotion table: JAX's lattice, with weak Python scalars.

use std::sync::OnceLock;

use crate::DType;

/// A node of the lattice: a dtype, or a Python scalar's kind that takes the other operand's width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promoted {
    /// A dtype.
    Strong(DType),
    /// A Python int.
    WeakInt,
    /// A Python float.
    WeakFloat,
    /// A Python complex.
    WeakComplex,
}

const NODES: usize = DType::ALL.len() + 3;
const WEAK_INT: usize = DType::ALL.len();
const WEAK_FLOAT: usize = WEAK_INT + 1;
const WEAK_COMPLEX: usize = WEAK_INT + 2;

impl Promoted {
    fn node(self) -> usize {
        match self {
            Promoted::Strong(dtype) => dtype as usize,
            Promoted::WeakInt => WEAK_INT,
            Promoted::WeakFloat => WEAK_FLOAT,
            Promoted::WeakComplex => WEAK_COMPLEX,
        }
    }

    fn from_node(node: usize) -> Promoted {
        match node {
            WEAK_INT => Promoted::WeakInt,
            WEAK_FLOAT => Promoted::WeakFloat,
            WEAK_COMPLEX => Promoted::WeakComplex,
            dtype => Promoted::Strong(DType::ALL[dtype]),
        }
    }

    /// The dtype; a weak kind's is int32, `floatx`, or complex64.
    pub fn dtype(self, floatx: DType) -> DType {
        match self {
            Promoted::Strong(dtype) => dtype,
            Promoted::WeakInt => DType::Int32,
            Promoted::WeakFloat => floatx,
            Promoted::WeakComplex => DType::Complex64,
        }
    }
}

/// The edges of the lattice, from each node to those just above it.
const ABOVE: &[(usize, &[usize])] = &[
    (DType::Bool as usize, &[WEAK_INT]),
    (WEAK_INT, &[DType::UInt8 as usize, DType::Int8 as usize]),
    (
        DType::UInt8 as usize,
        &[DType::Int16 as usize, DType::UInt16 as usize],
    ),
    (
        DType::UInt16 as usize,
        &[DType::Int32 as usize, DType::UInt32 as usize],
    ),
    (
        DType::UInt32 as usize,
        &[DType::Int64 as usize, DType::UInt64 as usize],
    ),
    (DType::UInt64 as usize, &[WEAK_FLOAT]),
    (DType::Int8 as usize, &[DType::Int16 as usize]),
    (DType::Int16 as usize, &[DType::Int32 as usize]),
    (DType::Int32 as usize, &[DType::Int64 as usize]),
    (DType::Int64 as usize, &[WEAK_FLOAT]),
    (
        WEAK_FLOAT,
        &[
            DType::BFloat16 as usize,
            DType::Float16 as usize,
            WEAK_COMPLEX,
        ],
    ),
    (DType::BFloat16 as usize, &[DType::Float32 as usize]),
    (DType::Float16 as usize, &[DType::Float32 as usize]),
    (
        DType::Float32 as usize,
        &[DType::Float64 as usize, DType::Complex64 as usize],
    ),
    (DType::Float64 as usize, &[DType::Complex128 as usize]),
    (WEAK_COMPLEX, &[DType::Complex64 as usize]),
    (DType::Complex64 as usize, &[DType::Complex128 as usize]),
];

type Table = [[u8; NODES]; NODES];

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        // Bit j of `up[i]`: node j is i or stands above it.
        let mut up: [u32; NODES] = std::array::from_fn(|i| 1 << i);
        loop {
            let before = up;
            for (from, tos) in ABOVE {
                for to in *tos {
                    up[*from] |= up[*to];
                }
            }
            if up == before {
                break;
            }
        }
        std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                let common = up[i] & up[j];
                // The least: every other common node stands above it.
                (0..NODES)
                    .find(|&k| common & (1 << k) != 0 && common & !up[k] == 0)
                    .unwrap_or(i) as u8
            })
        })
    })
}

/// The least type that holds both.
pub fn promote(a: Promoted, b: Promoted) -> Promoted {
    if a == b {
        return a;
    }
    Promoted::from_node(table()[a.node()][b.node()] as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Promoted::*;

    #[test]
    fn jax_examples() {
        let strong = |a, b| promote(Strong(a), Strong(b));
        assert_eq!(strong(DType::Int8, DType::UInt8), Strong(DType::Int16));
        assert_eq!(strong(DType::UInt32, DType::Int8), Strong(DType::Int64));
        assert_eq!(
            strong(DType::Float16, DType::BFloat16),
            Strong(DType::Float32)
        );
        assert_eq!(strong(DType::Int64, DType::Float16), Strong(DType::Float16));
        assert_eq!(strong(DType::UInt64, DType::Int8), WeakFloat);
        assert_eq!(promote(WeakFloat, Strong(DType::Int32)), WeakFloat);
        assert_eq!(promote(WeakInt, Strong(DType::UInt8)), Strong(DType::UInt8));
        assert_eq!(
            promote(WeakFloat, Strong(DType::BFloat16)),
            Strong(DType::BFloat16)
        );
        assert_eq!(
            strong(DType::Float64, DType::Complex64),
            Strong(DType::Complex128)
        );
        assert_eq!(promote(Strong(DType::Bool), WeakInt), WeakInt);
    }
}
