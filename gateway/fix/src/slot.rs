//! The fields that most messages of an order session are made of, each with a slot.
//!
//! There are no more of them than bits in a word. So the fields of a message are a word too, and what a type of
//! message may have and must have are others: a look at all fields at once takes the place of one at each.

use std::ops::Range;

/// A set of slots, a bit each.
pub(crate) type Slots = u64;

/// How many slots there are, that of all other fields included.
pub(crate) const SLOTS: usize = Slots::BITS as usize;

/// The slot of all fields that have none of their own.
pub(crate) const OTHER: usize = 0;

/// The tag of each slot: header, body and trailer in turn; values that are numbers side by side.
#[rustfmt::skip]
const TAGS: [u16; SLOTS] = [
    0,
    // Header: texts and characters, counts, times
    8, 35, 49, 56, 43, 97, 50, 57, 115, 116, 128, 129, 142,
    9, 34,
    52, 122,
    // Body: times, decimals, texts and characters
    60, 126,
    38, 44, 99, 110, 111, 6, 14, 31, 32, 151,
    1, 11, 15, 17, 18, 20, 21, 22, 37, 39, 40, 41, 47, 48, 54, 55, 58, 59, 63, 100, 103, 109, 112, 114,
    125, 150, 167, 207, 527, 528, 530, 790, 851,
    // Trailer
    10,
];

/// Fields of the header.
pub(crate) const HEADER: Range<usize> = OTHER + 1..of(60);
/// Fields of the body.
pub(crate) const BODY: Range<usize> = of(60)..of(10);
/// Fields whose values are read as integers that aren't negative.
pub(crate) const COUNTS: Range<usize> = of(9)..of(52);
/// Fields whose values are read as times.
pub(crate) const TIMES: Range<usize> = of(52)..of(38);
/// Fields whose values are read as decimals.
pub(crate) const DECIMALS: Range<usize> = of(38)..of(1);

/// Tags from here on have no slot.
const TAGS_END: usize = 1000;

const BY_TAG: [u8; TAGS_END] = {
    let mut slots = [OTHER as u8; TAGS_END];
    let mut slot = OTHER + 1;
    while slot < SLOTS {
        let tag = TAGS[slot] as usize;
        assert!(slots[tag] == OTHER as u8, "a tag has one slot");
        slots[tag] = slot as u8;
        slot += 1;
    }
    slots
};

/// The slot of the fields with a tag.
#[inline]
pub(crate) const fn of(tag: u32) -> usize {
    if (tag as usize) < TAGS_END { BY_TAG[tag as usize] as usize } else { OTHER }
}

/// By slot, the text of the tag and the `=` behind it, the first byte lowest.
const TEXTS: [u32; SLOTS] = {
    let mut texts = [0; SLOTS];
    let mut slot = OTHER + 1;
    while slot < SLOTS {
        let (mut tag, mut text) = (TAGS[slot] as u32, b'=' as u32);
        while tag > 0 {
            text = text << 8 | (b'0' as u32 + tag % 10);
            tag /= 10;
        }
        texts[slot] = text;
        slot += 1;
    }
    texts
};

/// How the tag of a slot is written, with its `=`.
pub(crate) const fn text(slot: usize) -> u32 {
    TEXTS[slot]
}

/// Reads the tag of the field at a place: the tag, its slot, and the length of its text with the `=`. `None` when
/// it has no slot, whatever else it is.
#[inline]
pub(crate) fn read(bytes: &[u8], at: usize) -> Option<(u32, usize, usize)> {
    let text = *bytes.get(at..)?.first_chunk::<4>()?;
    let word = u32::from_le_bytes(text);
    // What is no digit gives a number as well, but not one that is written like this.
    let digit = |place: usize| word >> (8 * place) & 0xF;
    let (tag, text, length) = match text {
        [_, _, b'=', _] => (digit(0) * 10 + digit(1), word & 0xFF_FFFF, 3),
        [_, b'=', ..] => (digit(0), word & 0xFFFF, 2),
        [_, _, _, b'='] => (digit(0) * 100 + digit(1) * 10 + digit(2), word, 4),
        _ => return None,
    };
    let slot = of(tag);
    (text == TEXTS[slot]).then_some((tag, slot, length))
}

/// The tag of a slot that is one field's.
pub(crate) const fn tag(slot: usize) -> u32 {
    assert!(slot != OTHER, "many tags have this slot");
    TAGS[slot] as u32
}

/// By slot, those that can't stand before it: its own, as no field is there twice, and later parts of a message.
pub(crate) const NOT_BEFORE: [Slots; SLOTS] = {
    let mut not_before = [0; SLOTS];
    let mut slot = OTHER + 1;
    while slot < SLOTS {
        let later = if slot < HEADER.end {
            HEADER.end
        } else if slot < BODY.end {
            BODY.end
        } else {
            slot
        };
        not_before[slot] = bits(later..SLOTS) | 1 << slot;
        slot += 1;
    }
    not_before
};

/// The set of the slots of a range that is not empty.
pub(crate) const fn bits(range: Range<usize>) -> Slots {
    assert!(range.start < range.end && range.end <= SLOTS);
    Slots::MAX << range.start & Slots::MAX >> (SLOTS - range.end)
}

/// The slots of a set, the lowest first.
#[inline]
pub(crate) fn each(mut slots: Slots) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let slot = slots.trailing_zeros() as usize;
        slots &= slots.wrapping_sub(1);
        (slot < SLOTS).then_some(slot)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_with_a_slot_are_read() {
        for number in 0..2_000 {
            let field = format!("{number}=1\x01");
            let expected = (of(number) != OTHER).then(|| (number, of(number), field.len() - 2));
            assert_eq!(read(field.as_bytes(), 0), expected, "{field}");
            assert!(of(number) == OTHER || tag(of(number)) == number);
        }
        for field in
            ["011=1|", "0=1|", "=1|x", "5:=1|", "1a=1|", ":=1|", "38 =", "38|=", "8=", "38", ""]
        {
            assert_eq!(read(field.as_bytes(), 0), None, "{field}");
        }
        assert_eq!(read(b"|38=1", 1), Some((38, of(38), 3)));
        assert_eq!(read(b"|38=", 9), None);
    }

    #[test]
    fn fields_stand_in_their_parts() {
        let slots = |tags: &[u32]| tags.iter().fold(0, |slots, tag| slots | 1 << of(*tag));
        for (tag, not_before) in [
            (8, bits(BODY) | slots(&[8, 10])),
            (34, bits(BODY) | slots(&[34, 10])),
            (55, slots(&[55, 10])),
            (10, slots(&[10])),
            (9_999, 0),
        ] {
            assert_eq!(NOT_BEFORE[of(tag)], not_before, "{tag}");
        }
        assert_eq!(each(slots(&[38, 8, 10])).map(tag).collect::<Vec<_>>(), [8, 38, 10]);
        assert_eq!(bits(0..SLOTS), Slots::MAX);
    }
}
