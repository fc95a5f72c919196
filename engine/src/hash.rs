//! Mixing of words into 64 bits, with fixed seeds: the same on every machine. And the hash of an index,
//! whose key nobody knows.

use std::hash::{BuildHasher, RandomState};

use zerocopy::IntoBytes;

use crate::{ClOrdId, SessionId};

/// Constants without structure: digits of pi.
const SEEDS: [u64; 14] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7345,
    0xa409_3822_299f_31d1,
    0x082e_fa98_ec4e_6c89,
    0x4528_21e6_38d0_1377,
    0xbe54_66cf_34e9_0c6d,
    0xc0ac_29b7_c97c_50dd,
    0x3f84_d5b5_b547_0917,
    0x9216_d5d9_8979_fb1b,
    0xd131_0ba6_98df_b5ac,
    0x2ffd_72db_d01a_dfb7,
    0xb8e1_afed_6a26_7e96,
    0xba7c_9045_f12c_7f99,
    0x24a1_9947_b391_6cf7,
];

/// Most words of a [`mix`].
const WORDS_MAX: usize = 12;

/// Both halves of a 128-bit product: each bit of the result depends on all bits of both factors.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Mixes words. `domain` keeps equal words of different meaning apart.
///
/// Pairs of words are folded side by side, each place with seeds of its own, and what they sum up
/// to is folded once more: the processor works on all pairs at the same time.
#[inline(always)]
pub(crate) fn mix<const N: usize>(domain: u64, words: [u64; N]) -> u64 {
    const { assert!(N <= WORDS_MAX) };
    let mut sum = domain.wrapping_add(N as u64).wrapping_mul(SEEDS[12]);
    let mut index = 0;
    while index < N {
        let second = if index + 1 < N { words[index + 1] } else { 0 };
        sum = sum.wrapping_add(fold(words[index] ^ SEEDS[index], second ^ SEEDS[index + 1]));
        index += 2;
    }
    fold(sum ^ SEEDS[12], sum.rotate_left(32) ^ SEEDS[13])
}

/// An order's name as words: its session and ClOrdID, forty bytes.
#[inline(always)]
fn words_of_name(session: SessionId, cl_ord_id: &ClOrdId) -> [u64; 5] {
    let text = cl_ord_id.padded();
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| text[at + i]));
    let last = u32::from_le_bytes(std::array::from_fn(|i| text[32 + i]));
    let owner = u64::from(session.0) << 32 | u64::from(last);
    [word(0), word(8), word(16), word(24), owner]
}

/// Hash of an order's name in the state hash. The two halves don't wait for each other, which is what
/// makes it fast.
#[inline(always)]
pub(crate) fn mix_name(session: SessionId, cl_ord_id: &ClOrdId) -> u64 {
    let words = words_of_name(session, cl_ord_id);
    let left = fold(words[0] ^ SEEDS[0], words[1] ^ SEEDS[1]);
    let right = fold(words[2] ^ SEEDS[2], words[3] ^ SEEDS[3]);
    fold(left ^ words[4] ^ SEEDS[4], right ^ SEEDS[5])
}

/// The key of an index of names, which differs from index to index. Clients choose the names: whoever
/// knew which of them share a bucket could make every search a walk through his. [`mix_name`] is no
/// help against that, as its seeds are known, and names that share all of its bits are soon found.
#[derive(Debug)]
pub(crate) struct NameKey([u64; 6]);

impl NameKey {
    pub(crate) fn random() -> Self {
        let state = RandomState::new();
        Self(std::array::from_fn(|index| state.hash_one(index)))
    }

    #[cfg(test)]
    pub(crate) fn of_seed(seed: u64) -> Self {
        Self(std::array::from_fn(|index| mix(seed, [index as u64])))
    }

    /// The tag of a name: a sum of products as in NH (J. Black, S. Halevi, H. Krawczyk, T. Krovetz and
    /// P. Rogaway, *UMAC: fast and secure message authentication*, 1999), which for a random key is the
    /// same for two names once in 2^64. Its halves are folded, as the sums of names in a row lie in a
    /// row as well.
    #[inline(always)]
    pub(crate) fn tag(&self, session: SessionId, cl_ord_id: &ClOrdId) -> u32 {
        let (words, key) = (words_of_name(session, cl_ord_id), &self.0);
        let keyed = |at: usize| words[at].wrapping_add(key[at]);
        let product = |at: usize| u128::from(keyed(at)) * u128::from(keyed(at + 1));
        let sum = product(0).wrapping_add(product(2));
        let low = (sum as u64).wrapping_add(keyed(4));
        fold(low, (sum >> 64) as u64 ^ key[5]) as u32
    }
}

/// Hash of bytes of any length.
pub(crate) fn mix_bytes(domain: u64, bytes: &[u8]) -> u64 {
    let mut hash = mix(domain, [bytes.len() as u64]);
    for chunk in bytes.chunks(16) {
        let mut words = [0u64; 2];
        words.as_mut_bytes()[..chunk.len()].copy_from_slice(chunk);
        hash = fold(hash ^ words[0] ^ SEEDS[0], words[1] ^ SEEDS[1])
            .wrapping_add(hash.rotate_left(29));
    }
    fold(hash ^ SEEDS[2], SEEDS[3])
}

/// Names that are one to [`mix_name`]: the left factor of its last product is zero.
#[cfg(test)]
pub(crate) fn names_that_share_a_hash() -> impl Iterator<Item = (SessionId, ClOrdId)> {
    let is_text = |byte: &u8| *byte >= 0x20 && *byte != 0x7f;
    let begin = (0u64..).find_map(|number| {
        let head = format!("{number:016}");
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head.as_bytes()[at + i]));
        let zero = fold(word(0) ^ SEEDS[0], word(8) ^ SEEDS[1]) ^ SEEDS[4];
        let (session, last) = (SessionId((zero >> 32) as u32), (zero as u32).to_le_bytes());
        last.iter().all(is_text).then_some((session, head, last))
    });
    let (session, head, last) = begin.expect("every third number will do");
    (0u64..).map(move |number| {
        let text = [head.as_bytes(), format!("{number:016}").as_bytes(), &last].concat();
        (session, ClOrdId::try_from(text.as_slice()).expect("a text"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_and_every_place_counts() {
        let words = [1, 2, 3, 4, 5];
        let hash = mix(0, words);
        assert_ne!(hash, mix(1, words));
        for index in 0..words.len() {
            let mut other = words;
            other[index] ^= 1;
            assert_ne!(hash, mix(0, other));
        }
        assert_ne!(hash, mix(0, [2, 1, 3, 4, 5]));
    }

    #[test]
    fn no_two_indexes_have_one_key() {
        assert_ne!(NameKey::random().0, NameKey::random().0);
    }

    #[test]
    fn every_byte_of_a_name_counts() {
        let name: ClOrdId = "0123456789abcdefghijklmnopqrstuvwxyz".try_into().unwrap();
        let (hash, key) = (mix_name(SessionId(1), &name), NameKey::of_seed(1));
        let tag = key.tag(SessionId(1), &name);
        assert_ne!(hash, mix_name(SessionId(2), &name));
        assert_ne!(tag, key.tag(SessionId(2), &name));
        for index in 0..36 {
            let mut bytes = *name.padded();
            bytes[index] ^= 1;
            let other = ClOrdId::try_from(bytes.as_slice()).unwrap();
            assert_ne!(hash, mix_name(SessionId(1), &other), "byte {index}");
            assert_ne!(tag, key.tag(SessionId(1), &other), "byte {index}");
        }
    }
}
