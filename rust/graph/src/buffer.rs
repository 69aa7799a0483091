//! Memory of tensors: aligned bytes of our own, or bytes that somebody else keeps alive.

use std::alloc::{Layout, alloc, alloc_zeroed};
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
        let fresh = || {
            // SAFETY: the layout has a size of at least 1.
            NonNull::new(unsafe {
                if zero {
                    alloc_zeroed(layout)
                } else {
                    alloc(layout)
                }
            })
        };
        let used = if zero { None } else { shelf::take(layout) };
        let data = used.or_else(fresh).or_else(|| {
            shelf::clear();
            fresh()
        });
        Ok(Buffer {
            data: data.ok_or_else(refused)?,
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
            // SAFETY: `data` came from `alloc` with this layout, and nobody holds it any more.
            unsafe { shelf::put(self.data, layout) }
        }
    }
}

/// Large blocks that nobody holds wait for the next buffer of their size: a fresh one costs the system's clearing of each page,
/// more than most steps that write it.
mod shelf {
    use std::alloc::{Layout, dealloc};
    use std::collections::VecDeque;
    use std::ptr::NonNull;
    use std::sync::Mutex;

    /// Bytes from which on a block comes from the system by itself.
    const LARGE: usize = 128 << 10;
    /// Bytes that wait at most.
    const ROOM: usize = 64 << 20;

    struct Block {
        data: NonNull<u8>,
        layout: Layout,
    }

    // SAFETY: a block is plain bytes that the shelf alone holds.
    unsafe impl Send for Block {}

    impl Drop for Block {
        fn drop(&mut self) {
            // SAFETY: `data` came from `alloc` with this layout.
            unsafe { dealloc(self.data.as_ptr(), self.layout) }
        }
    }

    /// The blocks, the latest at the end, and their bytes. Where another thread is at it, blocks go past: nobody waits.
    static BLOCKS: Mutex<(VecDeque<Block>, usize)> = Mutex::new((VecDeque::new(), 0));

    /// A block of that layout, if one waits.
    pub fn take(layout: Layout) -> Option<NonNull<u8>> {
        let mut held = BLOCKS.try_lock().ok().filter(|_| layout.size() >= LARGE)?;
        let place = held.0.iter().rposition(|block| block.layout == layout)?;
        let block = std::mem::ManuallyDrop::new(held.0.remove(place)?);
        held.1 -= layout.size();
        Some(block.data)
    }

    /// Puts a block on the shelf, or gives it back to the system.
    ///
    /// # Safety
    /// `data` came from `alloc` with that layout, and nobody uses it any more.
    pub unsafe fn put(data: NonNull<u8>, layout: Layout) {
        let block = Block { data, layout };
        if !(LARGE..=ROOM).contains(&layout.size()) {
            return;
        }
        if let Ok(mut held) = BLOCKS.try_lock() {
            held.0.push_back(block);
            held.1 += layout.size();
            while held.1 > ROOM
                && let Some(oldest) = held.0.pop_front()
            {
                held.1 -= oldest.layout.size();
            }
        }
    }

    /// Gives all blocks back to the system.
    pub fn clear() {
        if let Ok(mut held) = BLOCKS.try_lock() {
            *held = (VecDeque::new(), 0);
        }
    }
}

/// `n` rounded up to the alignment.
pub const fn align_up(n: usize) -> usize {
    n.div_ceil(ALIGN) * ALIGN
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes that no other test has.
    #[test]
    fn large_blocks_are_used_again() {
        for (bytes, again) in [(1_000_003, true), (1003, false), (100_000_003, false)] {
            let address = |buffer: &Buffer| buffer.as_ptr() as usize;
            let first = Buffer::new(bytes).unwrap();
            let held = Buffer::new(bytes).unwrap();
            let (place, other) = (address(&first), address(&held));
            assert_ne!(place, other);
            drop(first);
            let next = Buffer::new(bytes).unwrap();
            assert_ne!(address(&next), other);
            if again {
                assert_eq!(address(&next), place);
            }
        }
    }

    #[test]
    fn zeroed_buffers_are_zero() {
        let bytes = 1_000_007;
        let buffer = Buffer::new(bytes).unwrap();
        // SAFETY: the buffer is our own and holds so many bytes.
        unsafe { buffer.as_mut_ptr().write_bytes(7, bytes) };
        drop(buffer);
        let zeroed = Buffer::zeroed(bytes).unwrap();
        // SAFETY: as above; they are initialised.
        let bytes = unsafe { std::slice::from_raw_parts(zeroed.as_ptr(), bytes) };
        assert!(bytes.iter().all(|&byte| byte == 0));
    }
}
