//! What the tests of several kernels share.

/// Numbers in -1..1 from a seed, the same in every type.
pub fn numbers<T: From<f32>>(len: usize, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            T::from((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
        })
        .collect()
}
