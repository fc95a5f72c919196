//! Asking the processor for memory before it is needed: the only unsafe code of this package.
#![allow(unsafe_code)]

/// Asks for the cache line of an element. Nothing happens where there is none: it is a hint, and
/// the processor may ignore it.
#[inline]
pub(crate) fn prefetch<T>(slice: &[T], index: usize) {
    let Some(element) = slice.get(index) else { return };
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch reads nothing that the program could see and never faults; the pointer
    // comes from a reference.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(element).cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = element;
}
