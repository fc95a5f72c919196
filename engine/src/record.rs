//! Commands and events as bytes.
//!
//! A record is a `repr(C)` struct without padding. In the journal its trailing zeros are cut to a
//! multiple of eight bytes, so texts stand last and short ones cost little:
//!
//! ```text
//! memory   | numbers and codes | ClOrdID .. 0 0 0 0 0 | OrigClOrdID 0 0 0 0 0 |
//! journal  | numbers and codes | ClOrdID .. 0 |
//! ```

use thiserror::Error;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Largest record in bytes, before trimming.
pub const RECORD_MAX: usize = 208;

/// A command or event that is stored as it stands in memory.
pub trait Record: TryFromBytes + IntoBytes + KnownLayout + Immutable + Copy {
    /// Names the type of the record in the journal; never reused for another layout.
    const KIND: u16;

    /// The bytes that are journaled: the record without its trailing zeros.
    #[inline]
    fn payload(&self) -> &[u8] {
        trim(self.as_bytes())
    }

    /// The record that these bytes hold, built in the buffer.
    ///
    /// # Errors
    /// [`DecodeError`] when the payload is longer than the record or holds a code that the type
    /// does not have.
    #[inline]
    fn read_in<'b>(payload: &[u8], buffer: &'b mut RecordBuffer) -> Result<&'b Self, DecodeError> {
        let bytes = &mut buffer.0[..size_of::<Self>()];
        let Some((start, rest)) = bytes.split_at_mut_checked(payload.len()) else {
            let (kind, found, limit) = (Self::KIND, payload.len(), size_of::<Self>());
            return Err(DecodeError::Length { kind, found, limit });
        };
        start.copy_from_slice(payload);
        rest.fill(0);
        Self::try_ref_from_bytes(bytes).map_err(|_| DecodeError::Code { kind: Self::KIND })
    }

    /// The record that these bytes hold.
    ///
    /// # Errors
    /// As for [`Record::read_in`].
    fn read(payload: &[u8]) -> Result<Self, DecodeError> {
        Self::read_in(payload, &mut RecordBuffer::default()).copied()
    }
}

/// Room in which a record is built from its payload. A record is some hundred bytes, so it stays
/// here while it is used.
#[derive(Clone, Debug)]
#[repr(C, align(8))]
pub struct RecordBuffer([u8; RECORD_MAX]);

impl Default for RecordBuffer {
    fn default() -> Self {
        Self([0; RECORD_MAX])
    }
}

/// Implements [`Record`] for a type of this kind and size.
macro_rules! impl_record {
    ($name:ident, $kind:expr, $size:expr) => {
        impl $crate::record::Record for $name {
            const KIND: u16 = $kind;
        }
        const _: () = assert!(size_of::<$name>() == $size && $size % 8 == 0);
        const _: () = assert!($size <= $crate::record::RECORD_MAX && align_of::<$name>() <= 8);
    };
}
pub(crate) use impl_record;

/// Why a payload is not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// No record has this kind.
    #[error("unknown record kind {kind:#06x}")]
    Kind {
        /// The kind found.
        kind: u16,
    },
    /// More bytes than the record has.
    #[error("record of kind {kind:#06x} has {found} bytes, at most {limit} are possible")]
    Length {
        /// Kind of the record.
        kind: u16,
        /// Bytes found.
        found: usize,
        /// Size of the record.
        limit: usize,
    },
    /// A field holds a code that its type does not have.
    #[error("record of kind {kind:#06x} holds an impossible code")]
    Code {
        /// Kind of the record.
        kind: u16,
    },
}

/// Cuts trailing zero words.
#[inline]
fn trim(bytes: &[u8]) -> &[u8] {
    let (words, _) = bytes.as_chunks::<8>();
    let used = words.iter().rposition(|word| *word != [0; 8]).map_or(0, |last| last + 1);
    &bytes[..used * 8]
}
