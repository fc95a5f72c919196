//! CRC32C of a frame, one pass over words.
//!
//! A library's CRC is made for long buffers: for a frame it spends as much on finding its way as
//! on the sum. Frames are short and their words aligned, so the processor's instruction is used
//! directly where there is one, and the library elsewhere. Both give the same CRC32C.

/// CRC32C over three header words and the payload, seeded with `seed`.
#[inline]
pub(crate) fn frame(seed: u32, words: [u64; 3], payload: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") {
        // SAFETY: the processor has the instruction.
        return unsafe { with_instruction(seed, words, payload) };
    }
    by_library(seed, words, payload)
}

fn by_library(seed: u32, words: [u64; 3], payload: &[u8]) -> u32 {
    let crc = words.iter().fold(seed, |crc, word| crc32c::crc32c_append(crc, &word.to_le_bytes()));
    crc32c::crc32c_append(crc, payload)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
#[inline]
fn with_instruction(seed: u32, words: [u64; 3], payload: &[u8]) -> u32 {
    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};

    let mut crc = u64::from(!seed);
    for word in words {
        crc = _mm_crc32_u64(crc, word);
    }
    let (chunks, rest) = payload.as_chunks::<8>();
    for chunk in chunks {
        crc = _mm_crc32_u64(crc, u64::from_le_bytes(*chunk));
    }
    let mut crc = crc as u32;
    for &byte in rest {
        crc = _mm_crc32_u8(crc, byte);
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_library_s_crc_at_every_length() {
        let bytes: Vec<u8> = (0..300u32).map(|i| (i * 37 + 11) as u8).collect();
        for length in 0..bytes.len() {
            let words = [length as u64, !0, 0x0123_4567_89ab_cdef];
            let payload = &bytes[..length];
            assert_eq!(frame(7, words, payload), by_library(7, words, payload), "{length}");
        }
    }
}
