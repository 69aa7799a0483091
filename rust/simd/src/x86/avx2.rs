//! AVX2 with FMA: 8 lanes of `f32`, masks as lanes of ones and zeros.
use std::arch::x86_64::*;

use super::{float_comparisons, memory, methods, operators, reductions, token};
use crate::{F32Lanes, Float, I32Lanes, Lanes, Level, Mask};

token! {
    /// AVX2, FMA and F16C.
    Avx2, Level::Avx2,
    ["avx2", "fma", "f16c"],
    "avx2,fma,f16c",
    mask32 Mask8, f32 F32x8, i32 I32x8, f64 F64x4
}

/// 8 lanes of `f32`.
#[derive(Clone, Copy, Debug)]
pub struct F32x8(__m256);

/// 8 lanes of `i32`.
#[derive(Clone, Copy, Debug)]
pub struct I32x8(__m256i);

/// 4 lanes of `f64`.
#[derive(Clone, Copy, Debug)]
pub struct F64x4(__m256d);

/// All ones in each true 32-bit lane.
#[derive(Clone, Copy, Debug)]
pub struct Mask8(__m256);

/// All ones in each true 64-bit lane.
#[derive(Clone, Copy, Debug)]
pub struct Mask4(__m256d);

macro_rules! mask {
    ($name:ident, $full:literal, $movemask:ident, $and:ident, $or:ident, $xor:ident, $ones:ident) => {
        impl Mask for $name {
            #[inline(always)]
            fn any(self) -> bool {
                // SAFETY: masks exist only where a token proved the features.
                unsafe { $movemask(self.0) != 0 }
            }

            #[inline(always)]
            fn all(self) -> bool {
                // SAFETY: as above.
                unsafe { $movemask(self.0) == $full }
            }
        }

        operators! { $name, BitAnd bitand $and; BitOr bitor $or; }

        impl std::ops::Not for $name {
            type Output = Self;
            #[inline(always)]
            fn not(self) -> Self {
                // SAFETY: masks exist only where a token proved the features.
                Self(unsafe { $xor(self.0, $ones(_mm256_set1_epi32(-1))) })
            }
        }
    };
}

mask!(
    Mask8,
    0xff,
    _mm256_movemask_ps,
    _mm256_and_ps,
    _mm256_or_ps,
    _mm256_xor_ps,
    _mm256_castsi256_ps
);
mask!(
    Mask4,
    0xf,
    _mm256_movemask_pd,
    _mm256_and_pd,
    _mm256_or_pd,
    _mm256_xor_pd,
    _mm256_castsi256_pd
);

/// Ones in the first `n` 32-bit lanes.
#[inline(always)]
unsafe fn first32(n: usize) -> __m256i {
    // SAFETY: the caller has the features.
    unsafe {
        _mm256_cmpgt_epi32(
            _mm256_set1_epi32(n as i32),
            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
        )
    }
}

/// Ones in the first `n` 64-bit lanes.
#[inline(always)]
unsafe fn first64(n: usize) -> __m256i {
    // SAFETY: the caller has the features.
    unsafe { _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3)) }
}

/// Stores the first `n` 32-bit lanes by halves: a masked store is microcode on some processors.
#[inline(always)]
unsafe fn store32(mut ptr: *mut f32, n: usize, x: __m256) {
    // SAFETY: the caller's promise covers the first `n` lanes.
    unsafe {
        if n >= 8 {
            return _mm256_storeu_ps(ptr, x);
        }
        let mut part = _mm256_castps256_ps128(x);
        if n & 4 != 0 {
            _mm_storeu_ps(ptr, part);
            ptr = ptr.add(4);
            part = _mm256_extractf128_ps::<1>(x);
        }
        if n & 2 != 0 {
            _mm_storel_epi64(ptr.cast(), _mm_castps_si128(part));
            ptr = ptr.add(2);
            part = _mm_movehl_ps(part, part);
        }
        if n & 1 != 0 {
            _mm_store_ss(ptr, part);
        }
    }
}

/// As [`store32`], for 64-bit lanes.
#[inline(always)]
unsafe fn store64(ptr: *mut f64, n: usize, x: __m256d) {
    // SAFETY: the caller's promise covers the first `n` lanes.
    unsafe { store32(ptr.cast(), 2 * n, _mm256_castpd_ps(x)) }
}

/// As [`store32`], for integers.
#[inline(always)]
unsafe fn store_integers(ptr: *mut i32, n: usize, x: __m256i) {
    // SAFETY: the caller's promise covers the first `n` lanes.
    unsafe { store32(ptr.cast(), n, _mm256_castsi256_ps(x)) }
}

/// What the macros need in one argument order: masked memory and selection.
macro_rules! helpers {
    ($reg:ty, $item:ty, $first:ident, $mask:ty,
     $load_masked:ident = $maskload:ident, $store_masked:ident = $store:ident, $select:ident = |$m:ident, $yes:ident, $no:ident| $blend:expr) => {
        #[inline(always)]
        unsafe fn $load_masked(ptr: *const $item, n: usize) -> $reg {
            // SAFETY: the caller's promise covers the first `n` lanes.
            unsafe { $maskload(ptr, $first(n)) }
        }

        #[inline(always)]
        unsafe fn $store_masked(ptr: *mut $item, n: usize, x: $reg) {
            // SAFETY: the caller's promise covers the first `n` lanes.
            unsafe { $store(ptr, n, x) }
        }

        #[inline(always)]
        unsafe fn $select($m: $mask, $yes: $reg, $no: $reg) -> $reg {
            // SAFETY: the caller has the features.
            unsafe { $blend }
        }
    };
}

helpers!(
    __m256,
    f32,
    first32,
    __m256,
    load_ps = _mm256_maskload_ps,
    store_ps = store32,
    select_ps = |m, yes, no| _mm256_blendv_ps(no, yes, m)
);
helpers!(
    __m256d,
    f64,
    first64,
    __m256d,
    load_pd = _mm256_maskload_pd,
    store_pd = store64,
    select_pd = |m, yes, no| _mm256_blendv_pd(no, yes, m)
);
helpers!(
    __m256i,
    i32,
    first32,
    __m256,
    load_epi32 = _mm256_maskload_epi32,
    store_epi32 = store_integers,
    select_epi32 = |m, yes, no| _mm256_blendv_epi8(no, yes, _mm256_castps_si256(m))
);

macro_rules! functions {
    ($($name:ident($($x:ident),*) -> $reg:ty { $body:expr })*) => {
        $(#[inline(always)]
        unsafe fn $name($($x: $reg),*) -> $reg {
            // SAFETY: the caller has the features.
            unsafe { $body }
        })*
    };
}

functions! {
    abs_ps(x) -> __m256 { _mm256_andnot_ps(_mm256_set1_ps(-0.0), x) }
    abs_pd(x) -> __m256d { _mm256_andnot_pd(_mm256_set1_pd(-0.0), x) }
    round_ps(x) -> __m256 { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x) }
    round_pd(x) -> __m256d { _mm256_round_pd::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x) }
    trunc_ps(x) -> __m256 { _mm256_round_ps::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(x) }
    trunc_pd(x) -> __m256d { _mm256_round_pd::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(x) }
    copysign_ps(x, sign) -> __m256 { _mm256_or_ps(_mm256_and_ps(sign, _mm256_set1_ps(-0.0)), abs_ps(x)) }
    copysign_pd(x, sign) -> __m256d { _mm256_or_pd(_mm256_and_pd(sign, _mm256_set1_pd(-0.0)), abs_pd(x)) }
}

/// Folds the halves of a register until one lane is left.
macro_rules! fold {
    ($name:ident, f32, $op:ident, $op1:ident) => {
        #[inline(always)]
        unsafe fn $name(x: __m256) -> f32 {
            // SAFETY: the caller has the features.
            unsafe {
                let x = $op(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
                let x = $op(x, _mm_movehl_ps(x, x));
                _mm_cvtss_f32($op1(x, _mm_shuffle_ps::<1>(x, x)))
            }
        }
    };
    ($name:ident, f64, $op:ident, $op1:ident) => {
        #[inline(always)]
        unsafe fn $name(x: __m256d) -> f64 {
            // SAFETY: the caller has the features.
            unsafe {
                let x = $op(_mm256_castpd256_pd128(x), _mm256_extractf128_pd::<1>(x));
                _mm_cvtsd_f64($op1(x, _mm_unpackhi_pd(x, x)))
            }
        }
    };
}

fold!(sum_ps, f32, _mm_add_ps, _mm_add_ss);
fold!(max_ps, f32, _mm_max_ps, _mm_max_ss);
fold!(min_ps, f32, _mm_min_ps, _mm_min_ss);
fold!(sum_pd, f64, _mm_add_pd, _mm_add_sd);
fold!(max_pd, f64, _mm_max_pd, _mm_max_sd);
fold!(min_pd, f64, _mm_min_pd, _mm_min_sd);

impl Lanes for F32x8 {
    memory! { Avx2, f32, 8, Mask8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, load_ps, store_ps, select_ps }
    float_comparisons! { Mask8, _mm256_cmp_ps, eq _CMP_EQ_OQ; lt _CMP_LT_OQ; le _CMP_LE_OQ; }
}

impl Lanes for F64x4 {
    memory! { Avx2, f64, 4, Mask4, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, load_pd, store_pd, select_pd }
    float_comparisons! { Mask4, _mm256_cmp_pd, eq _CMP_EQ_OQ; lt _CMP_LT_OQ; le _CMP_LE_OQ; }
}

impl Lanes for I32x8 {
    memory! {
        Avx2, i32, 8, Mask8,
        _mm256_set1_epi32, _mm256_loadu_si256, _mm256_storeu_si256, load_epi32, store_epi32, select_epi32
    }

    #[inline(always)]
    fn eq(self, other: Self) -> Mask8 {
        // SAFETY: lanes exist only where a token proved the features.
        Mask8(unsafe { _mm256_castsi256_ps(_mm256_cmpeq_epi32(self.0, other.0)) })
    }

    #[inline(always)]
    fn lt(self, other: Self) -> Mask8 {
        // SAFETY: as above.
        Mask8(unsafe { _mm256_castsi256_ps(_mm256_cmpgt_epi32(other.0, self.0)) })
    }

    #[inline(always)]
    fn le(self, other: Self) -> Mask8 {
        !other.lt(self)
    }
}

operators! { F32x8, Add add _mm256_add_ps; Sub sub _mm256_sub_ps; Mul mul _mm256_mul_ps; Div div _mm256_div_ps; }
operators! { F64x4, Add add _mm256_add_pd; Sub sub _mm256_sub_pd; Mul mul _mm256_mul_pd; Div div _mm256_div_pd; }
operators! { I32x8,
    Add add _mm256_add_epi32; Sub sub _mm256_sub_epi32; Mul mul _mm256_mullo_epi32;
    BitAnd bitand _mm256_and_si256; BitOr bitor _mm256_or_si256; BitXor bitxor _mm256_xor_si256;
}

impl std::ops::Neg for F32x8 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        // SAFETY: lanes exist only where a token proved the features.
        Self(unsafe { _mm256_xor_ps(self.0, _mm256_set1_ps(-0.0)) })
    }
}

impl std::ops::Neg for F64x4 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        // SAFETY: lanes exist only where a token proved the features.
        Self(unsafe { _mm256_xor_pd(self.0, _mm256_set1_pd(-0.0)) })
    }
}

/// Four rows to columns, in each half of the registers.
#[inline(always)]
unsafe fn transpose_four(a: __m256, b: __m256, c: __m256, d: __m256) -> [__m256; 4] {
    // SAFETY: the caller has the features.
    unsafe {
        let (low_ab, high_ab) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let (low_cd, high_cd) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        [
            _mm256_shuffle_ps::<0x44>(low_ab, low_cd),
            _mm256_shuffle_ps::<0xee>(low_ab, low_cd),
            _mm256_shuffle_ps::<0x44>(high_ab, high_cd),
            _mm256_shuffle_ps::<0xee>(high_ab, high_cd),
        ]
    }
}

impl Float for F32x8 {
    methods! {
        mul_add(self, a, b) _mm256_fmadd_ps;
        neg_mul_add(self, a, b) _mm256_fnmadd_ps;
        min(self, other) _mm256_min_ps;
        max(self, other) _mm256_max_ps;
        abs(self) abs_ps;
        sqrt(self) _mm256_sqrt_ps;
        round(self) round_ps;
        floor(self) _mm256_floor_ps;
        trunc(self) trunc_ps;
        copysign(self, sign) copysign_ps;
    }

    #[inline(always)]
    fn zip(self, other: Self) -> (Self, Self) {
        // SAFETY: lanes exist only where a token proved the features.
        unsafe {
            let even = _mm256_unpacklo_ps(self.0, other.0);
            let odd = _mm256_unpackhi_ps(self.0, other.0);
            (
                Self(_mm256_permute2f128_ps::<0x20>(even, odd)),
                Self(_mm256_permute2f128_ps::<0x31>(even, odd)),
            )
        }
    }

    #[inline(always)]
    fn transpose(block: &mut [Self; 16]) {
        // SAFETY: lanes exist only where a token proved the features.
        unsafe {
            let [a, b, c, d, e, f, g, h, ..] = *block;
            let upper = transpose_four(a.0, b.0, c.0, d.0);
            let lower = transpose_four(e.0, f.0, g.0, h.0);
            crate::unrolled!(@ I 4, {
                let (x, y) = (upper[I], lower[I]);
                block[I] = Self(_mm256_permute2f128_ps::<0x20>(x, y));
                block[I + 4] = Self(_mm256_permute2f128_ps::<0x31>(x, y));
            }, 0 1 2 3);
        }
    }

    reductions! { f32, sum sum_ps; max_lane max_ps; min_lane min_ps; }
}

impl Float for F64x4 {
    methods! {
        mul_add(self, a, b) _mm256_fmadd_pd;
        neg_mul_add(self, a, b) _mm256_fnmadd_pd;
        min(self, other) _mm256_min_pd;
        max(self, other) _mm256_max_pd;
        abs(self) abs_pd;
        sqrt(self) _mm256_sqrt_pd;
        round(self) round_pd;
        floor(self) _mm256_floor_pd;
        trunc(self) trunc_pd;
        copysign(self, sign) copysign_pd;
    }

    #[inline(always)]
    fn zip(self, other: Self) -> (Self, Self) {
        // SAFETY: lanes exist only where a token proved the features.
        unsafe {
            let even = _mm256_unpacklo_pd(self.0, other.0);
            let odd = _mm256_unpackhi_pd(self.0, other.0);
            (
                Self(_mm256_permute2f128_pd::<0x20>(even, odd)),
                Self(_mm256_permute2f128_pd::<0x31>(even, odd)),
            )
        }
    }

    reductions! { f64, sum sum_pd; max_lane max_pd; min_lane min_pd; }
}

impl F32Lanes for F32x8 {
    #[inline(always)]
    fn to_bits(self) -> I32x8 {
        // SAFETY: lanes exist only where a token proved the features.
        I32x8(unsafe { _mm256_castps_si256(self.0) })
    }

    #[inline(always)]
    fn from_bits(bits: I32x8) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_castsi256_ps(bits.0) })
    }

    #[inline(always)]
    fn from_i32(x: I32x8) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_cvtepi32_ps(x.0) })
    }

    #[inline(always)]
    fn trunc_i32(self) -> I32x8 {
        // SAFETY: as above.
        I32x8(unsafe { _mm256_cvttps_epi32(self.0) })
    }

    #[inline(always)]
    fn round_i32(self) -> I32x8 {
        // SAFETY: as above.
        I32x8(unsafe { _mm256_cvtps_epi32(self.0) })
    }
}

impl I32Lanes for I32x8 {
    #[inline(always)]
    fn shl<const N: u32>(self) -> Self {
        // SAFETY: lanes exist only where a token proved the features.
        Self(unsafe { _mm256_sll_epi32(self.0, _mm_cvtsi32_si128(N as i32)) })
    }

    #[inline(always)]
    fn shr<const N: u32>(self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_sra_epi32(self.0, _mm_cvtsi32_si128(N as i32)) })
    }

    #[inline(always)]
    fn shr_logical<const N: u32>(self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_srl_epi32(self.0, _mm_cvtsi32_si128(N as i32)) })
    }

    #[inline(always)]
    fn mul_high_unsigned(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe {
            let even = _mm256_mul_epu32(self.0, other.0);
            let (x, y) = (
                _mm256_srli_epi64::<32>(self.0),
                _mm256_srli_epi64::<32>(other.0),
            );
            let odd = _mm256_mul_epu32(x, y);
            Self(_mm256_blend_epi32::<0b1010_1010>(
                _mm256_srli_epi64::<32>(even),
                odd,
            ))
        }
    }

    methods! { dot_halves(self, other) _mm256_madd_epi16; }

    #[inline(always)]
    unsafe fn load_halves(_: Avx2, low: *const i8, high: *const i8) -> Self {
        // SAFETY: the caller's promise covers 8 bytes of each; the token proves the features.
        unsafe {
            let (low, high) = (_mm_loadl_epi64(low.cast()), _mm_loadl_epi64(high.cast()));
            Self(_mm256_cvtepi8_epi16(_mm_unpacklo_epi8(low, high)))
        }
    }
}
