//! Asking the processor for memory before it is needed: the only unsafe code of this package.
#![allow(unsafe_code)]

/// Asks for the cache line of an element. It is a hint: the processor may ignore it. Where there is
/// no such element it asks for the first one, by choosing an address and not a branch; an address
/// of nothing would cost a walk through the page tables.
#[inline(always)]
pub fn prefetch<T>(slice: &[T], index: usize) {
    let index = if index < slice.len() { index } else { 0 };
    let element = slice.as_ptr().wrapping_add(index);
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch reads nothing that the program could see and never faults, not even at
    // the dangling address of an empty slice.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(element.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = element;
}
