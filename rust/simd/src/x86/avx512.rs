//! AVX-512: 16 lanes of `f32`, mask registers.
use std::arch::x86_64::*;

use super::{float_comparisons, memory, methods, operators, reductions, token};
use crate::{F32Lanes, Float, I32Lanes, Lanes, Level, Mask};

token! {
    /// AVX-512 F, BW, DQ and VL, with AVX2, FMA and F16C.
    Avx512, Level::Avx512,
    ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma", "f16c"],
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c",
    mask32 Mask16, f32 F32x16, i32 I32x16, f64 F64x8
}

/// 16 lanes of `f32`.
#[derive(Clone, Copy, Debug)]
pub struct F32x16(__m512);

/// 16 lanes of `i32`.
#[derive(Clone, Copy, Debug)]
pub struct I32x16(__m512i);

/// 8 lanes of `f64`.
#[derive(Clone, Copy, Debug)]
pub struct F64x8(__m512d);

macro_rules! mask {
    ($name:ident, $bits:ty) => {
        /// A bit per lane.
        #[derive(Clone, Copy, Debug)]
        pub struct $name($bits);

        impl $name {
            /// The first `n` lanes.
            #[inline(always)]
            const fn first(n: usize) -> $bits {
                ((1u32 << n) - 1) as $bits
            }
        }

        impl Mask for $name {
            #[inline(always)]
            fn any(self) -> bool {
                self.0 != 0
            }

            #[inline(always)]
            fn all(self) -> bool {
                self.0 == <$bits>::MAX
            }
        }

        impl std::ops::BitAnd for $name {
            type Output = Self;
            #[inline(always)]
            fn bitand(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }

        impl std::ops::BitOr for $name {
            type Output = Self;
            #[inline(always)]
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl std::ops::Not for $name {
            type Output = Self;
            #[inline(always)]
            fn not(self) -> Self {
                Self(!self.0)
            }
        }
    };
}

mask!(Mask16, __mmask16);
mask!(Mask8, __mmask8);

/// What the macros need in one argument order: masked memory, selection, rounding, signs.
macro_rules! helpers {
    ($reg:ty, $item:ty, $mask:ident, $bits:ty,
     $load_masked:ident = $maskz_loadu:ident, $store_masked:ident = $mask_storeu:ident, $select:ident = $blend:ident) => {
        #[inline(always)]
        unsafe fn $load_masked(ptr: *const $item, n: usize) -> $reg {
            // SAFETY: the caller's promise covers the first `n` lanes.
            unsafe { $maskz_loadu($mask::first(n), ptr) }
        }

        #[inline(always)]
        unsafe fn $store_masked(ptr: *mut $item, n: usize, x: $reg) {
            // SAFETY: the caller's promise covers the first `n` lanes.
            unsafe { $mask_storeu(ptr, $mask::first(n), x) }
        }

        #[inline(always)]
        unsafe fn $select(mask: $bits, yes: $reg, no: $reg) -> $reg {
            // SAFETY: the caller has the features.
            unsafe { $blend(mask, no, yes) }
        }
    };
}

helpers!(
    __m512,
    f32,
    Mask16,
    __mmask16,
    load_ps = _mm512_maskz_loadu_ps,
    store_ps = _mm512_mask_storeu_ps,
    select_ps = _mm512_mask_blend_ps
);
helpers!(
    __m512d,
    f64,
    Mask8,
    __mmask8,
    load_pd = _mm512_maskz_loadu_pd,
    store_pd = _mm512_mask_storeu_pd,
    select_pd = _mm512_mask_blend_pd
);
helpers!(
    __m512i,
    i32,
    Mask16,
    __mmask16,
    load_epi32 = _mm512_maskz_loadu_epi32,
    store_epi32 = _mm512_mask_storeu_epi32,
    select_epi32 = _mm512_mask_blend_epi32
);

macro_rules! rounding {
    ($reg:ty, $roundscale:ident, $($name:ident $mode:ident;)*) => {
        $(#[inline(always)]
        unsafe fn $name(x: $reg) -> $reg {
            // SAFETY: the caller has the features.
            unsafe { $roundscale::<{ $mode | _MM_FROUND_NO_EXC }>(x) }
        })*
    };
}

rounding! { __m512, _mm512_roundscale_ps,
    round_ps _MM_FROUND_TO_NEAREST_INT; floor_ps _MM_FROUND_TO_NEG_INF; trunc_ps _MM_FROUND_TO_ZERO;
}
rounding! { __m512d, _mm512_roundscale_pd,
    round_pd _MM_FROUND_TO_NEAREST_INT; floor_pd _MM_FROUND_TO_NEG_INF; trunc_pd _MM_FROUND_TO_ZERO;
}

#[inline(always)]
unsafe fn copysign_ps(x: __m512, sign: __m512) -> __m512 {
    // SAFETY: the caller has the features. 0xD8: the third operand chooses, bit for bit, the second or the first.
    unsafe {
        _mm512_castsi512_ps(_mm512_ternarylogic_epi32::<0xD8>(
            _mm512_castps_si512(x),
            _mm512_castps_si512(sign),
            _mm512_set1_epi32(i32::MIN),
        ))
    }
}

#[inline(always)]
unsafe fn copysign_pd(x: __m512d, sign: __m512d) -> __m512d {
    // SAFETY: as in `copysign_ps`.
    unsafe {
        _mm512_castsi512_pd(_mm512_ternarylogic_epi64::<0xD8>(
            _mm512_castpd_si512(x),
            _mm512_castpd_si512(sign),
            _mm512_set1_epi64(i64::MIN),
        ))
    }
}

impl Lanes for F32x16 {
    memory! { Avx512, f32, 16, Mask16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, load_ps, store_ps, select_ps }
    float_comparisons! { Mask16, _mm512_cmp_ps_mask, eq _CMP_EQ_OQ; lt _CMP_LT_OQ; le _CMP_LE_OQ; }
}

impl Lanes for F64x8 {
    memory! { Avx512, f64, 8, Mask8, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, load_pd, store_pd, select_pd }
    float_comparisons! { Mask8, _mm512_cmp_pd_mask, eq _CMP_EQ_OQ; lt _CMP_LT_OQ; le _CMP_LE_OQ; }
}

impl Lanes for I32x16 {
    memory! {
        Avx512, i32, 16, Mask16,
        _mm512_set1_epi32, _mm512_loadu_si512, _mm512_storeu_si512, load_epi32, store_epi32, select_epi32
    }

    #[inline(always)]
    fn eq(self, other: Self) -> Mask16 {
        // SAFETY: lanes exist only where a token proved the features.
        Mask16(unsafe { _mm512_cmpeq_epi32_mask(self.0, other.0) })
    }

    #[inline(always)]
    fn lt(self, other: Self) -> Mask16 {
        // SAFETY: as above.
        Mask16(unsafe { _mm512_cmplt_epi32_mask(self.0, other.0) })
    }

    #[inline(always)]
    fn le(self, other: Self) -> Mask16 {
        // SAFETY: as above.
        Mask16(unsafe { _mm512_cmple_epi32_mask(self.0, other.0) })
    }
}

operators! { F32x16, Add add _mm512_add_ps; Sub sub _mm512_sub_ps; Mul mul _mm512_mul_ps; Div div _mm512_div_ps; }
operators! { F64x8, Add add _mm512_add_pd; Sub sub _mm512_sub_pd; Mul mul _mm512_mul_pd; Div div _mm512_div_pd; }
operators! { I32x16,
    Add add _mm512_add_epi32; Sub sub _mm512_sub_epi32; Mul mul _mm512_mullo_epi32;
    BitAnd bitand _mm512_and_si512; BitOr bitor _mm512_or_si512; BitXor bitxor _mm512_xor_si512;
}

impl std::ops::Neg for F32x16 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        // SAFETY: lanes exist only where a token proved the features.
        Self(unsafe { _mm512_xor_ps(self.0, _mm512_set1_ps(-0.0)) })
    }
}

impl std::ops::Neg for F64x8 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        // SAFETY: lanes exist only where a token proved the features.
        Self(unsafe { _mm512_xor_pd(self.0, _mm512_set1_pd(-0.0)) })
    }
}

impl Float for F32x16 {
    methods! {
        mul_add(self, a, b) _mm512_fmadd_ps;
        neg_mul_add(self, a, b) _mm512_fnmadd_ps;
        min(self, other) _mm512_min_ps;
        max(self, other) _mm512_max_ps;
        abs(self) _mm512_abs_ps;
        sqrt(self) _mm512_sqrt_ps;
        round(self) round_ps;
        floor(self) floor_ps;
        trunc(self) trunc_ps;
        copysign(self, sign) copysign_ps;
    }

    #[inline(always)]
    fn zip(self, other: Self) -> (Self, Self) {
        // SAFETY: lanes exist only where a token proved the features.
        unsafe {
            let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let high =
                _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            (
                Self(_mm512_permutex2var_ps(self.0, low, other.0)),
                Self(_mm512_permutex2var_ps(self.0, high, other.0)),
            )
        }
    }

    reductions! { f32, sum _mm512_reduce_add_ps; max_lane _mm512_reduce_max_ps; min_lane _mm512_reduce_min_ps; }
}

impl Float for F64x8 {
    methods! {
        mul_add(self, a, b) _mm512_fmadd_pd;
        neg_mul_add(self, a, b) _mm512_fnmadd_pd;
        min(self, other) _mm512_min_pd;
        max(self, other) _mm512_max_pd;
        abs(self) _mm512_abs_pd;
        sqrt(self) _mm512_sqrt_pd;
        round(self) round_pd;
        floor(self) floor_pd;
        trunc(self) trunc_pd;
        copysign(self, sign) copysign_pd;
    }

    #[inline(always)]
    fn zip(self, other: Self) -> (Self, Self) {
        // SAFETY: lanes exist only where a token proved the features.
        unsafe {
            let low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
            let high = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
            (
                Self(_mm512_permutex2var_pd(self.0, low, other.0)),
                Self(_mm512_permutex2var_pd(self.0, high, other.0)),
            )
        }
    }

    reductions! { f64, sum _mm512_reduce_add_pd; max_lane _mm512_reduce_max_pd; min_lane _mm512_reduce_min_pd; }
}

impl F32Lanes for F32x16 {
    #[inline(always)]
    fn to_bits(self) -> I32x16 {
        // SAFETY: lanes exist only where a token proved the features.
        I32x16(unsafe { _mm512_castps_si512(self.0) })
    }

    #[inline(always)]
    fn from_bits(bits: I32x16) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_castsi512_ps(bits.0) })
    }

    #[inline(always)]
    fn from_i32(x: I32x16) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_cvtepi32_ps(x.0) })
    }

    #[inline(always)]
    fn trunc_i32(self) -> I32x16 {
        // SAFETY: as above.
        I32x16(unsafe { _mm512_cvttps_epi32(self.0) })
    }

    #[inline(always)]
    fn round_i32(self) -> I32x16 {
        // SAFETY: as above.
        I32x16(unsafe { _mm512_cvtps_epi32(self.0) })
    }
}

impl I32Lanes for I32x16 {
    #[inline(always)]
    fn shl<const N: u32>(self) -> Self {
        // SAFETY: lanes exist only where a token proved the features.
        Self(unsafe { _mm512_slli_epi32::<N>(self.0) })
    }

    #[inline(always)]
    fn shr<const N: u32>(self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_srai_epi32::<N>(self.0) })
    }

    #[inline(always)]
    fn shr_logical<const N: u32>(self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_srli_epi32::<N>(self.0) })
    }

    #[inline(always)]
    fn mul_high_unsigned(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe {
            let even = _mm512_mul_epu32(self.0, other.0);
            let (x, y) = (
                _mm512_srli_epi64::<32>(self.0),
                _mm512_srli_epi64::<32>(other.0),
            );
            let odd = _mm512_mul_epu32(x, y);
            Self(_mm512_mask_blend_epi32(
                0xAAAA,
                _mm512_srli_epi64::<32>(even),
                odd,
            ))
        }
    }

    methods! { dot_halves(self, other) _mm512_madd_epi16; }

    #[inline(always)]
    unsafe fn load_halves(_: Avx512, low: *const i8, high: *const i8) -> Self {
        // SAFETY: the caller's promise covers 16 bytes of each; the token proves the features.
        unsafe {
            let (low, high) = (_mm_loadu_si128(low.cast()), _mm_loadu_si128(high.cast()));
            let (first, second) = (_mm_unpacklo_epi8(low, high), _mm_unpackhi_epi8(low, high));
            Self(_mm512_cvtepi8_epi16(_mm256_set_m128i(second, first)))
        }
    }
}
