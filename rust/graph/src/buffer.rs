//! Memory of tensors: aligned bytes of our own, or bytes that somebody else keeps alive.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::any::Any;
use std::ptr::NonNull;

use crate::{Error, Result};

/// Alignment of every buffer and of every place in an arena: a cache line, and the widest vector.
pub const ALIGN: usize = 64;

/// Bytes that do not move while the buffer lives.
pub struct Buffer {
    data: NonNull<u8>,
    len: usize,
    owner: Owner,
}

enum Owner {
    Own(Layout),
    /// Kept alive for us (a numpy array, a DLPack tensor); the flag says whether we may write.
    Foreign(#[allow(dead_code, reason = "held for its drop")] Box<dyn Any + Send + Sync>),
}

// SAFETY: a buffer is plain bytes; `Owner::Foreign` holds a `Send + Sync` owner.
unsafe impl Send for Buffer {}
// SAFETY: shared access only reads; writing needs `&mut` or the run's exclusive hold.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `len` bytes of unspecified, initialised-on-write content.
    ///
    /// # Errors
    /// `Error::Memory` when they cannot be had.
    pub fn new(len: usize) -> Result<Buffer> {
        Buffer::allocate(len, false)
    }

    /// `len` zero bytes.
    ///
    /// # Errors
    /// `Error::Memory` when they cannot be had.
    pub fn zeroed(len: usize) -> Result<Buffer> {
        Buffer::allocate(len, true)
    }

    fn allocate(len: usize, zero: bool) -> Result<Buffer> {
        let refused = || Error::Memory(format!("{len} bytes cannot be allocated"));
        let layout = Layout::from_size_align(len.max(1), ALIGN).map_err(|_| refused())?;
        // SAFETY: the layout has a size of at least 1.
        let data = unsafe {
            if zero {
                alloc_zeroed(layout)
            } else {
                alloc(layout)
            }
        };
        Ok(Buffer {
            data: NonNull::new(data).ok_or_else(refused)?,
            len,
            owner: Owner::Own(layout),
        })
    }

    /// Bytes that `owner` keeps alive and nobody frees before it is dropped.
    ///
    /// # Safety
    /// `data` is valid for reads of `len` bytes for as long as `owner` lives, and aligned for its elements.
    pub unsafe fn foreign(
        data: *const u8,
        len: usize,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Buffer {
        let data = NonNull::new(data.cast_mut()).unwrap_or(NonNull::dangling());
        Buffer {
            data,
            len,
            owner: Owner::Foreign(owner),
        }
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the bytes are our own, and so may be written by who holds them alone.
    pub fn is_own(&self) -> bool {
        matches!(self.owner, Owner::Own(_))
    }

    /// Where the bytes start.
    pub fn as_ptr(&self) -> *const u8 {
        self.data.as_ptr()
    }

    /// Where the bytes start, to write to; only the one holder of a buffer of our own may.
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.data.as_ptr()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Owner::Own(layout) = self.owner {
            // SAFETY: `data` came from `alloc` with this layout.
            unsafe { dealloc(self.data.as_ptr(), layout) }
        }
    }
}

/// `n` rounded up to the alignment.
pub const fn align_up(n: usize) -> usize {
    n.div_ceil(ALIGN) * ALIGN
}
