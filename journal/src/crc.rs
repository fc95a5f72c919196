//! CRC32C of a frame, one pass over words.
//!
//! A library's CRC is made for long buffers: for a frame it spends as much on finding its way as
//! on the sum. Frames are short and their words aligned, so the processor's instruction is used
//! directly where there is one, and the library elsewhere. Both give the same CRC32C.
//!
//! The instruction takes one cycle, but its result is there after three, and each word needs the
//! result of the one before. So a frame is summed as three streams at once:
//!
//! ```text
//! |  a: header and first words  |  b: as many words  |  c: as many words  |
//!
//! crc(abc) = crc(a) · x^(64 (|b| + |c|))  +  crc(b) · x^(64 |c|)  +  crc(c)       modulo the polynomial
//! ```
//!
//! The two products are carry-less multiplications by constants; they are added to the last word of
//! `c`, whose instruction takes the remainder of all three. A sum of two reflected polynomials' product
//! stands one bit too far, and the instruction multiplies by x^32: hence the 33 in [`SHIFTS`].

/// CRC32C over three header words and the payload, seeded with `seed`.
#[inline]
pub(crate) fn frame(seed: u32, words: [u64; 3], payload: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2")
        && std::arch::is_x86_feature_detected!("pclmulqdq")
    {
        // SAFETY: the processor has the instructions.
        return unsafe { in_streams(seed, words, payload) };
    }
    by_library(seed, words, payload)
}

fn by_library(seed: u32, words: [u64; 3], payload: &[u8]) -> u32 {
    let crc = words.iter().fold(seed, |crc, word| crc32c::crc32c_append(crc, &word.to_le_bytes()));
    crc32c::crc32c_append(crc, payload)
}

/// Most words of stream `b` and of `c`; what a longer frame has more is all in `a`.
const STREAM_MAX: usize = 16;

/// By `n`, from 1: x^(64 n - 33) modulo the polynomial of CRC32C, reflected.
const SHIFTS: [u32; 2 * STREAM_MAX + 1] = shifts();

const fn shifts() -> [u32; 2 * STREAM_MAX + 1] {
    /// The polynomial, reflected and without its highest term.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut shifts = [0; 2 * STREAM_MAX + 1];
    // x^31, which is n = 1.
    let (mut power, mut exponent) = (1_u32, 31);
    let mut n = 1;
    while n < shifts.len() {
        while exponent < 64 * n - 33 {
            power = power >> 1 ^ if power & 1 == 0 { 0 } else { POLYNOMIAL };
            exponent += 1;
        }
        shifts[n] = power;
        n += 1;
    }
    shifts
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2,pclmulqdq")]
#[inline]
fn in_streams(seed: u32, words: [u64; 3], payload: &[u8]) -> u32 {
    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};

    let mut a = u64::from(!seed);
    for word in words {
        a = _mm_crc32_u64(a, word);
    }
    let (chunks, rest) = payload.as_chunks::<8>();
    let each = (chunks.len() / 3).min(STREAM_MAX);
    let (of_a, behind) = chunks.split_at(chunks.len() - 2 * each);
    let (of_b, of_c) = behind.split_at(each);
    let (longer, of_a) = of_a.split_at(of_a.len() - each);
    for chunk in longer {
        a = _mm_crc32_u64(a, u64::from_le_bytes(*chunk));
    }
    if let Some((last, of_c)) = of_c.split_last() {
        let (mut b, mut c) = (0, 0);
        for ((in_a, in_b), in_c) in of_a.iter().zip(of_b).zip(of_c) {
            a = _mm_crc32_u64(a, u64::from_le_bytes(*in_a));
            b = _mm_crc32_u64(b, u64::from_le_bytes(*in_b));
            c = _mm_crc32_u64(c, u64::from_le_bytes(*in_c));
        }
        a = _mm_crc32_u64(a, u64::from_le_bytes(of_a[each - 1]));
        b = _mm_crc32_u64(b, u64::from_le_bytes(of_b[each - 1]));
        let moved = multiply(a as u32, SHIFTS[2 * each]) ^ multiply(b as u32, SHIFTS[each]);
        a = _mm_crc32_u64(c, u64::from_le_bytes(*last) ^ moved);
    }
    let mut crc = a as u32;
    for &byte in rest {
        crc = _mm_crc32_u8(crc, byte);
    }
    !crc
}

/// Product without carries.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2,pclmulqdq")]
#[inline]
fn multiply(left: u32, right: u32) -> u64 {
    use std::arch::x86_64::{_mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64};

    let (left, right) = (_mm_cvtsi64_si128(left.into()), _mm_cvtsi64_si128(right.into()));
    _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(left, right)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_library_s_crc_at_every_length() {
        let bytes: Vec<u8> = (0..900u32).map(|i| (i * 37 + 11) as u8).collect();
        for length in 0..bytes.len() {
            let words = [length as u64, !0, 0x0123_4567_89ab_cdef];
            let payload = &bytes[..length];
            assert_eq!(frame(7, words, payload), by_library(7, words, payload), "{length}");
        }
    }
}
