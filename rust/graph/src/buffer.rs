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
        // Whole cache lines, so that blocks of almost one size serve each other.
        let layout = Layout::from_size_align(align_up(len.max(1)), ALIGN).map_err(|_| refused())?;
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

/// Blocks that nobody holds wait for the next buffer of their size. A fresh large one costs the system's clearing of each page, more
/// than most steps that write it; a fresh small one, as it is aligned, more than a call of a small op.
mod shelf {
    use std::alloc::{Layout, dealloc};
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::ptr::NonNull;
    use std::sync::Mutex;

    /// Bytes from which on a block comes from the system by itself.
    const LARGE: usize = 128 << 10;

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

    /// What waits, the latest at the end.
    struct Shelf {
        blocks: VecDeque<Block>,
        bytes: usize,
        /// The most blocks and bytes that wait.
        room: (usize, usize),
    }

    impl Shelf {
        const fn new(room: (usize, usize)) -> Shelf {
            Shelf {
                blocks: VecDeque::new(),
                bytes: 0,
                room,
            }
        }

        fn take(&mut self, layout: Layout) -> Option<NonNull<u8>> {
            let place = self
                .blocks
                .iter()
                .rposition(|block| block.layout == layout)?;
            let block = std::mem::ManuallyDrop::new(self.blocks.remove(place)?);
            self.bytes -= layout.size();
            Some(block.data)
        }

        fn put(&mut self, block: Block) {
            if block.layout.size() > self.room.1 {
                return;
            }
            self.bytes += block.layout.size();
            self.blocks.push_back(block);
            while (self.blocks.len() > self.room.0 || self.bytes > self.room.1)
                && let Some(oldest) = self.blocks.pop_front()
            {
                self.bytes -= oldest.layout.size();
            }
        }

        fn clear(&mut self) {
            *self = Shelf::new(self.room);
        }
    }

    /// Where another thread is at it, blocks go past: nobody waits.
    static LARGE_BLOCKS: Mutex<Shelf> = Mutex::new(Shelf::new((usize::MAX, 64 << 20)));

    thread_local! {
        /// So few that a search among them costs less than the system's allocation.
        static SMALL_BLOCKS: RefCell<Shelf> = const { RefCell::new(Shelf::new((32, 256 << 10))) };
    }

    /// Gives the shelf for blocks of so many bytes, unless it can't be had now.
    fn with_shelf<T>(bytes: usize, body: impl FnOnce(&mut Shelf) -> T) -> Option<T> {
        if bytes >= LARGE {
            return Some(body(&mut *LARGE_BLOCKS.try_lock().ok()?));
        }
        // The shelf of a thread that ends is gone before its last buffers.
        SMALL_BLOCKS
            .try_with(|shelf| body(&mut shelf.borrow_mut()))
            .ok()
    }

    /// A block of that layout, if one waits.
    pub fn take(layout: Layout) -> Option<NonNull<u8>> {
        with_shelf(layout.size(), |shelf| shelf.take(layout))?
    }

    /// Puts a block on the shelf, or gives it back to the system.
    ///
    /// # Safety
    /// `data` came from `alloc` with that layout, and nobody uses it any more.
    pub unsafe fn put(data: NonNull<u8>, layout: Layout) {
        let block = Block { data, layout };
        with_shelf(layout.size(), |shelf| shelf.put(block));
    }

    /// Gives all blocks back to the system.
    pub fn clear() {
        for bytes in [0, LARGE] {
            with_shelf(bytes, Shelf::clear);
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
    fn blocks_are_used_again() {
        for (bytes, again) in [(1_000_003, true), (1003, true), (100_000_003, false)] {
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

    /// More than a shelf holds, some of which another thread gives back as it ends.
    #[test]
    fn many_small_blocks_are_each_of_one_buffer() {
        let make = || -> Vec<Buffer> { (0..100).map(|i| Buffer::new(64 * i).unwrap()).collect() };
        drop(make());
        let held = make();
        let moved = std::thread::spawn(move || drop(held));
        let buffers = make();
        moved.join().unwrap();
        let mut places: Vec<*const u8> = buffers.iter().map(Buffer::as_ptr).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), buffers.len());
        assert!(places.iter().all(|place| place.align_offset(ALIGN) == 0));
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
