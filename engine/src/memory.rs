//! Memory that is there before it is needed, by huge pages where the system has them.

use crate::processor::ask_for_huge_pages;

/// Bytes of a page, or a part of one.
const PAGE_BYTES: usize = 4096;

/// Writes to the memory that a collection has reserved and not used, so that its first use is no
/// page fault.
pub(crate) fn touch_reserved<T: Copy>(reserved: &mut Vec<T>, blank: T) {
    let step = (PAGE_BYTES / size_of::<T>()).max(1);
    let spare = reserved.spare_capacity_mut();
    ask_for_huge_pages(spare);
    for place in spare.iter_mut().step_by(step) {
        place.write(blank);
        std::hint::black_box(place);
    }
}

/// The same for a collection whose elements all exist, though the system may not have given their
/// memory yet.
pub(crate) fn touch_all<T: Copy>(elements: &mut [T]) {
    ask_for_huge_pages(elements);
    let step = (PAGE_BYTES / size_of::<T>()).max(1);
    for element in elements.iter_mut().step_by(step) {
        *std::hint::black_box(&mut *element) = *element;
    }
}
