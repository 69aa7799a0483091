//! From a dtype to the Rust type that a kernel is compiled for.

/// Evaluates an expression with a name for the type that holds `$dtype`; returns `Error::Unsupported` from the function when the
/// dtype is not in the list: `any`, `real`, `floats`, `indices`, or `words` (by size, for what only moves elements).
macro_rules! with_type {
    ($dtype:expr, any, $T:ident => $body:expr) => {
        with_type!(@ $dtype, $T => $body; Bool u8, Int8 i8, Int16 i16, Int32 i32, Int64 i64,
            UInt8 u8, UInt16 u16, UInt32 u32, UInt64 u64, Float16 half::f16, BFloat16 half::bf16, Float32 f32, Float64 f64,
            Complex64 num_complex::Complex<f32>, Complex128 num_complex::Complex<f64>)
    };
    ($dtype:expr, real, $T:ident => $body:expr) => {
        with_type!(@ $dtype, $T => $body; Bool u8, Int8 i8, Int16 i16, Int32 i32, Int64 i64,
            UInt8 u8, UInt16 u16, UInt32 u32, UInt64 u64, Float16 half::f16, BFloat16 half::bf16, Float32 f32, Float64 f64)
    };
    ($dtype:expr, floats, $T:ident => $body:expr) => {
        with_type!(@ $dtype, $T => $body; Float16 half::f16, BFloat16 half::bf16, Float32 f32, Float64 f64)
    };
    ($dtype:expr, indices, $T:ident => $body:expr) => {
        with_type!(@ $dtype, $T => $body; Int32 i32, Int64 i64)
    };
    ($dtype:expr, words, $T:ident => $body:expr) => {
        match $dtype.size() {
            1 => { type $T = u8; $body }
            2 => { type $T = u16; $body }
            4 => { type $T = u32; $body }
            8 => { type $T = u64; $body }
            _ => { type $T = kernels::layout::Word16; $body }
        }
    };
    (@ $dtype:expr, $T:ident => $body:expr; $($variant:ident $type:ty),*) => {
        match $dtype {
            $($crate::DType::$variant => { type $T = $type; $body })*
            #[allow(unreachable_patterns)]
            other => return $crate::unsupported!("there is no kernel for {other}"),
        }
    };
}
