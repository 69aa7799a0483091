//! Slices that several threads write.
use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice whose disjoint parts are written by several threads of a region.
pub struct Disjoint<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: it gives out only `&mut [T]` that its users promise to be disjoint; `T: Send` lets them cross threads.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    /// Borrows `slice` for a region.
    pub fn new(slice: &'a mut [T]) -> Self {
        Disjoint {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            slice: PhantomData,
        }
    }

    /// The items of `range`; panics when it leaves the slice.
    ///
    /// # Safety
    /// No two live slices given out may overlap.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn slice_mut(&self, range: Range<usize>) -> &mut [T] {
        self.check(&range);
        // SAFETY: within the borrowed slice, and disjoint from the others by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// The items of `range`, to read; panics when it leaves the slice.
    ///
    /// # Safety
    /// No live slice that [`Disjoint::slice_mut`] gave out may overlap.
    pub unsafe fn slice(&self, range: Range<usize>) -> &[T] {
        self.check(&range);
        // SAFETY: within the borrowed slice, and nobody writes there by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) }
    }

    fn check(&self, range: &Range<usize>) {
        if range.start > range.end || range.end > self.len {
            leaves(range, self.len);
        }
    }
}

/// Out of the loops that check ranges.
#[cold]
#[inline(never)]
fn leaves(range: &Range<usize>, len: usize) -> ! {
    panic!("{range:?} leaves a slice of {len}");
}
