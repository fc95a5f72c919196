//! What only the processor's own instructions and its large pages do well: the only unsafe code of
//! this package.
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

/// Which of eight elements are this value, as bits.
#[inline(always)]
pub(crate) fn equal_lanes(lanes: &[u32; 8], value: u32) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of this architecture has SSE2, and the loads are the halves of the
    // array.
    unsafe {
        use std::arch::x86_64::{
            _mm_cmpeq_epi32, _mm_loadu_si128, _mm_movemask_epi8, _mm_packs_epi16, _mm_packs_epi32,
            _mm_set1_epi32, _mm_setzero_si128,
        };
        let half = |at: usize| {
            let lanes = _mm_loadu_si128(lanes[at..].as_ptr().cast());
            _mm_cmpeq_epi32(lanes, _mm_set1_epi32(value as i32))
        };
        let words = _mm_packs_epi32(half(0), half(4));
        _mm_movemask_epi8(_mm_packs_epi16(words, _mm_setzero_si128())) as u32
    }
    #[cfg(not(target_arch = "x86_64"))]
    lanes.iter().enumerate().fold(0, |mask, (at, &lane)| mask | u32::from(lane == value) << at)
}

/// Bytes of a huge page.
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Asks the system to back memory by huge pages, so that the addresses of a large collection fit
/// into the processor's cache of them. It is advice: a system without such pages, or without any to
/// spare, gives small ones. The parts before the first and behind the last whole huge page stay as
/// they are.
#[cfg(target_os = "linux")]
pub(crate) fn ask_for_huge_pages<T>(memory: &mut [T]) {
    use rustix::mm::{Advice, madvise};
    let range = memory.as_mut_ptr_range();
    let start = range.start.addr().next_multiple_of(HUGE_PAGE_BYTES);
    let end = range.end.addr() & !(HUGE_PAGE_BYTES - 1);
    if start < end {
        let place = range.start.with_addr(start).cast();
        // SAFETY: all bytes are within the slice, and this advice leaves what they hold alone.
        let _ = unsafe { madvise(place, end - start, Advice::LinuxHugepage) };
    }
}

/// Other systems decide by themselves.
#[cfg(not(target_os = "linux"))]
pub(crate) fn ask_for_huge_pages<T>(_memory: &mut [T]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_bits() {
        let lanes = [7, 8, 7, u32::MAX, 0, 1 << 31, 7, 8];
        assert_eq!(equal_lanes(&lanes, 7), 0b0100_0101);
        assert_eq!(equal_lanes(&lanes, u32::MAX), 0b1000);
        assert_eq!(equal_lanes(&lanes, 8), 0b1000_0010);
        assert_eq!(equal_lanes(&lanes, 1 << 31), 0b10_0000);
        assert_eq!(equal_lanes(&[0; 8], 0), 0xff);
        prefetch(&[1, 2, 3], usize::MAX);
        prefetch::<u64>(&[], 0);
    }

    #[test]
    fn huge_pages_change_nothing() {
        let mut memory: Vec<u64> = (0..HUGE_PAGE_BYTES as u64).collect();
        ask_for_huge_pages(&mut memory);
        ask_for_huge_pages(&mut memory[..7]);
        ask_for_huge_pages::<u64>(&mut []);
        assert!(memory.iter().enumerate().all(|(at, &word)| word == at as u64));
    }
}
