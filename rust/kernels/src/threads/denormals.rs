//! The floating-point mode of a run.
use std::marker::PhantomData;

pub(super) use control::{Control, FLUSH, float_control, set_float_control};

/// While it lives, this thread and the workers of its regions treat denormal floats as zero: sums that fade away would
/// otherwise slow down a hundredfold. Dropping it restores the thread's former mode.
pub struct FlushDenormals {
    former: Control,
    /// The mode belongs to a thread, so the guard stays on its own.
    thread: PhantomData<*const ()>,
}

impl FlushDenormals {
    /// Flushes denormals until the guard is dropped.
    pub fn enter() -> Self {
        let former = float_control();
        set_float_control(former | FLUSH);
        FlushDenormals {
            former,
            thread: PhantomData,
        }
    }
}

impl Drop for FlushDenormals {
    fn drop(&mut self) {
        set_float_control(self.former);
    }
}

#[cfg(target_arch = "x86_64")]
mod control {
    pub type Control = u32;
    /// Flush-to-zero (bit 15) and denormals-are-zero (bit 6) of MXCSR.
    pub const FLUSH: Control = 1 << 15 | 1 << 6;

    pub fn float_control() -> Control {
        let mut control = 0;
        // SAFETY: stores MXCSR to a local.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack, preserves_flags))
        };
        control
    }

    pub fn set_float_control(control: Control) {
        // SAFETY: `control` came from `float_control`, with at most the flush bits added; no exception is unmasked and
        // results change for denormals alone.
        unsafe {
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack, preserves_flags))
        };
    }
}

#[cfg(target_arch = "aarch64")]
mod control {
    pub type Control = u64;
    /// Flush-to-zero (bit 24) of FPCR.
    pub const FLUSH: Control = 1 << 24;

    pub fn float_control() -> Control {
        let control;
        // SAFETY: reads FPCR.
        unsafe {
            std::arch::asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack, preserves_flags))
        };
        control
    }

    pub fn set_float_control(control: Control) {
        // SAFETY: `control` came from `float_control`, with at most the flush bit added.
        unsafe {
            std::arch::asm!("msr fpcr, {}", in(reg) control, options(nostack, preserves_flags))
        };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod control {
    pub type Control = u32;
    pub const FLUSH: Control = 0;

    pub fn float_control() -> Control {
        0
    }

    pub fn set_float_control(_: Control) {}
}
