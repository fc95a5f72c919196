//! Which keys a block of frames holds: a Bloom filter whose bits of one key lie in one line.
//!
//! ```text
//! filter   512 lines of 64 bytes
//! line     0                60        64
//!          +----------------+---------+
//!          | 480 bits       | CRC32C  |
//!          +----------------+---------+
//! ```
//!
//! A block of [`BLOCK_FRAMES`](super::BLOCK_FRAMES) frames holds up to some 25,000 keys, so there
//! are ten bits for each, and one block in fifty is looked at in vain. A look-up reads one line of
//! each block; its CRC is there so that no flipped bit hides a key.

/// Bytes of a filter: small enough for a first-level cache.
pub(super) const FILTER_BYTES: usize = 32 * 1024;
/// Bytes of a line.
pub(super) const LINE_BYTES: usize = 64;
/// Lines of a filter.
const LINES: usize = FILTER_BYTES / LINE_BYTES;
/// Bytes of bits in a line; its CRC follows.
const BITS_BYTES: usize = LINE_BYTES - 4;
const BITS: u64 = BITS_BYTES as u64 * 8;
/// Bits of one key.
const PROBES: u64 = 6;

const _: () = assert!(LINES.is_power_of_two());

/// Where the line of a key begins in a filter.
pub(super) fn line_of(hash: u64) -> usize {
    (hash >> 48) as usize % LINES * LINE_BYTES
}

/// The bits of a key in its line.
#[inline]
fn bits(hash: u64) -> impl Iterator<Item = (usize, u8)> {
    let (first, step) = (hash, hash >> 20 | 1);
    (0..PROBES).map(move |probe| {
        // Sixteen bits of it, as a share of all bits: cheaper than a remainder.
        let share = first.wrapping_add(probe.wrapping_mul(step)) & 0xffff;
        let bit = (share * BITS) >> 16;
        (bit as usize / 8, 1 << (bit % 8))
    })
}

/// Adds a key to a filter.
#[inline]
pub(super) fn add(filter: &mut [u8], hash: u64) {
    let line = &mut filter[line_of(hash)..][..BITS_BYTES];
    for (byte, bit) in bits(hash) {
        line[byte] |= bit;
    }
}

/// Gives all lines of filters their CRCs.
pub(super) fn seal(filters: &mut [u8]) {
    for line in filters.as_chunks_mut::<LINE_BYTES>().0 {
        let (bits, crc) = line.split_at_mut(BITS_BYTES);
        crc.copy_from_slice(&crc32c::crc32c(bits).to_le_bytes());
    }
}

/// Whether a line is as it was sealed.
pub(super) fn is_intact(line: &[u8]) -> bool {
    let (bits, crc) = line.split_at(BITS_BYTES);
    crc == crc32c::crc32c(bits).to_le_bytes()
}

/// Whether a line may have a key: false is certain.
pub(super) fn may_hold(line: &[u8], hash: u64) -> bool {
    bits(hash).all(|(byte, bit)| line[byte] & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::{super::key::mix, *};

    #[test]
    fn a_full_filter_misses_no_key_and_has_few_others() {
        const KEYS: u64 = 25_000;
        let mut filter = vec![0; FILTER_BYTES];
        (0..KEYS).for_each(|key| add(&mut filter, mix(key)));
        seal(&mut filter);
        let holds = |key: u64| {
            let line = &filter[line_of(mix(key))..][..LINE_BYTES];
            assert!(is_intact(line));
            may_hold(line, mix(key))
        };
        assert!((0..KEYS).all(holds));
        let wrong = (KEYS..11 * KEYS).filter(|&key| holds(key)).count() as u64;
        assert!(wrong < 10 * KEYS / 30, "{wrong} of {}", 10 * KEYS);
    }

    #[test]
    fn every_flipped_bit_of_a_line_is_seen() {
        let mut filter = vec![0; FILTER_BYTES];
        add(&mut filter, mix(7));
        seal(&mut filter);
        let line = &mut filter[line_of(mix(7))..][..LINE_BYTES];
        for bit in 0..LINE_BYTES * 8 {
            line[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_intact(line), "bit {bit}");
            line[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
