//! Splitting a message into its fields.
//!
//! Messages of one type are mostly alike: a client sends the same fields in the same order again and again. So the
//! [`Layout`] of some messages is remembered, and a message that has just the fields of one is split by comparing
//! each tag with the one that is expected there. What is true of the fields of a layout, that none of them is there
//! twice for example, is true of this message as well. All other messages are split field by field; if nothing is
//! unusual about one, it leaves its layout for those that come. The two ways find the same.

use crate::codec::{Garbled, MESSAGE_MAX, SOH};
use crate::dictionary::TAGS;
use crate::field::{self, Decimal, TimestampReader};
use crate::message::{MsgType, RefTag};
use crate::scan::Separators;
use crate::slot::{self, SLOTS, Slots};
use memchr::memchr;
use std::ops::Range;

/// Most fields one message may have. The largest legitimate messages of an order session, mass cancel
/// reports with a group of orders, stay under it; the table of this many fields takes 4 KiB.
pub const FIELDS_MAX: usize = 512;

const _: () = assert!(MESSAGE_MAX <= u16::MAX as usize, "field offsets are u16");
const _: () = assert!(FIELDS_MAX < u16::MAX as usize, "places are u16");

/// The table a [`Message`](crate::message::Message) is read into. Allocate one per reader and use it for every
/// message: it remembers how the last ones looked.
#[derive(Debug, Clone)]
pub struct Fields {
    tags: [u32; FIELDS_MAX],
    spans: [Span; FIELDS_MAX],
    /// By slot, the place of its field, if there is one; of several, the last.
    places: [u16; SLOTS],
    count: usize,
    /// Slots of the fields.
    pub(crate) seen: Slots,
    pub(crate) msg_type: Option<MsgType>,
    pub(crate) bad_tag: Option<BadTag>,
    /// There are more fields than [`FIELDS_MAX`].
    pub(crate) overflowed: bool,
    /// What the slots say is all that there is to say of their fields: each is there once, in its part of the
    /// message, and not empty.
    pub(crate) slotted: bool,
    /// No byte is a control character other than SOH.
    pub(crate) printable: bool,
    /// See [`Message::is_plain`](crate::message::Message::is_plain).
    pub(crate) plain: bool,
    values: Values,
    /// Which layout the message has; past them when its tags are in the table.
    layout: usize,
    layouts: [Layout; LAYOUTS],
}

/// What the values of counts, times and decimals are in a plain message.
#[derive(Debug, Clone)]
struct Values {
    counts: [u64; slot::COUNTS.end - slot::COUNTS.start],
    times_ns: [u64; slot::TIMES.end - slot::TIMES.start],
    decimals: [Decimal; slot::DECIMALS.end - slot::DECIMALS.start],
    times: TimestampReader,
}

/// A tag that can't be the number of a field, kept as sent for RefTagID(371).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadTag {
    start: u16,
    end: u16,
}

impl BadTag {
    /// The tag as sent.
    pub fn of(self, bytes: &[u8]) -> RefTag {
        RefTag::text(&bytes[usize::from(self.start)..usize::from(self.end)])
    }
}

impl Fields {
    /// An empty table.
    #[must_use]
    pub fn new() -> Box<Self> {
        Box::new(Self {
            tags: [0; FIELDS_MAX],
            spans: [Span::default(); FIELDS_MAX],
            places: [0; SLOTS],
            count: 0,
            seen: 0,
            msg_type: None,
            bad_tag: None,
            overflowed: false,
            slotted: false,
            printable: false,
            plain: false,
            values: Values {
                counts: [0; _],
                times_ns: [0; _],
                decimals: [Decimal::ZERO; _],
                times: TimestampReader::new(),
            },
            layout: LAYOUTS,
            layouts: [Layout::NONE; LAYOUTS],
        })
    }

    /// Splits a message of at most [`MESSAGE_MAX`] bytes.
    ///
    /// # Errors
    /// [`Garbled::Field`]
    #[inline]
    pub(crate) fn split(&mut self, bytes: &[u8]) -> Result<(), Garbled> {
        let mut separators = Separators::new(bytes);
        let guess = guess(bytes, &separators);
        let layout = &self.layouts[guess];
        if layout.fits(bytes, &mut separators, &mut self.spans) {
            (self.layout, self.count) = (guess, layout.count);
            (self.places, self.seen) = (layout.places, layout.seen);
            (self.bad_tag, self.overflowed, self.slotted) = (None, false, true);
            self.printable = separators.is_printable();
            self.plain = self.printable && self.read_values(bytes);
        } else {
            separators.restart();
            self.split_one_by_one(bytes, separators)?;
            self.plain =
                self.slotted && self.printable && self.bad_tag.is_none() && self.read_values(bytes);
            if self.plain && !self.has(slot::OTHER) {
                self.layouts[guess].learn(&self.tags[..self.count], &self.places, self.seen);
            }
        }
        self.msg_type = self.first(bytes, 35).and_then(MsgType::parse);
        Ok(())
    }

    #[cold]
    fn split_one_by_one(
        &mut self,
        bytes: &[u8],
        separators: Separators<'_>,
    ) -> Result<(), Garbled> {
        let mut walk = Walk::new(bytes, separators);
        walk.take_slotted(self);
        while walk.at < bytes.len() && walk.take_other(self)? {
            walk.take_slotted(self);
        }
        self.finish(&walk);
        Ok(())
    }

    fn finish(&mut self, walk: &Walk<'_>) {
        (self.layout, self.count, self.seen) = (LAYOUTS, walk.count, walk.seen);
        (self.bad_tag, self.overflowed) = (walk.bad_tag, walk.at < walk.bytes.len());
        self.slotted = walk.hidden == 0;
        self.printable = walk.separators.is_printable() && !self.overflowed;
    }

    /// [`Fields::split`] without layouts, slots and values.
    #[cfg(test)]
    pub(crate) fn split_in_full(&mut self, bytes: &[u8]) -> Result<(), Garbled> {
        let mut walk = Walk::new(bytes, Separators::new(bytes));
        while walk.at < bytes.len() && walk.take_other(self)? {}
        self.finish(&walk);
        (self.slotted, self.plain) = (false, false);
        self.msg_type = self.first(bytes, 35).and_then(MsgType::parse);
        Ok(())
    }

    /// Whether the message was split by a layout.
    #[cfg(test)]
    pub(crate) fn has_layout(&self) -> bool {
        self.layout < LAYOUTS
    }

    /// Reads the values that are numbers and times; whether all of them are.
    #[inline]
    fn read_values(&mut self, bytes: &[u8]) -> bool {
        for slot in slot::each(self.seen & slot::bits(slot::COUNTS)) {
            match field::parse_u64_in(bytes, self.span(slot).range()) {
                Ok(count) => self.values.counts[slot - slot::COUNTS.start] = count,
                Err(_) => return false,
            }
        }
        for slot in slot::each(self.seen & slot::bits(slot::TIMES)) {
            let text = self.span(slot).of(bytes);
            match self.values.times.parse(text) {
                Ok(time_ns) => self.values.times_ns[slot - slot::TIMES.start] = time_ns,
                Err(_) => return false,
            }
        }
        for slot in slot::each(self.seen & slot::bits(slot::DECIMALS)) {
            match Decimal::parse_in(bytes, self.span(slot).range()) {
                Ok(decimal) => self.values.decimals[slot - slot::DECIMALS.start] = decimal,
                Err(_) => return false,
            }
        }
        true
    }

    #[inline]
    pub(crate) fn has(&self, slot: usize) -> bool {
        self.seen >> slot & 1 == 1
    }

    /// Where the value of a slot stands whose field is there.
    #[inline]
    pub(crate) fn span(&self, slot: usize) -> Span {
        self.spans[usize::from(self.places[slot]) % FIELDS_MAX]
    }

    /// The value of the first field with a tag.
    #[inline]
    pub(crate) fn first<'a>(&self, bytes: &'a [u8], tag: u32) -> Option<&'a [u8]> {
        let slot = slot::of(tag);
        if slot != slot::OTHER && self.slotted {
            return self.has(slot).then(|| self.span(slot).of(bytes));
        }
        self.find(bytes, tag)
    }

    #[inline(never)]
    fn find<'a>(&self, bytes: &'a [u8], tag: u32) -> Option<&'a [u8]> {
        let place = self.tags().iter().position(|other| *other == tag)?;
        Some(self.spans[place].of(bytes))
    }

    /// The tag of each field.
    #[inline]
    pub(crate) fn tags(&self) -> &[u32] {
        match self.layouts.get(self.layout) {
            Some(layout) => &layout.tags[..self.count],
            None => &self.tags[..self.count],
        }
    }

    /// Where the value of each field stands.
    #[inline]
    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans[..self.count]
    }

    /// The value of a count of a plain message that has it.
    #[inline]
    pub(crate) fn count(&self, slot: usize) -> u64 {
        self.values.counts[slot - slot::COUNTS.start]
    }

    /// The value of a time of a plain message that has it, in nanoseconds since the Unix epoch.
    #[inline]
    pub(crate) fn time_ns(&self, slot: usize) -> u64 {
        self.values.times_ns[slot - slot::TIMES.start]
    }

    /// The value of a decimal of a plain message that has it.
    #[inline]
    pub(crate) fn decimal(&self, slot: usize) -> Decimal {
        self.values.decimals[slot - slot::DECIMALS.start]
    }
}

/// Where a value stands in a message: start in the low half, end in the high one. One word, as a word that is read
/// soon after its halves were written takes its time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span(u32);

impl Span {
    #[inline]
    fn new(start: usize, end: usize) -> Self {
        Self((end as u32) << 16 | start as u32)
    }

    /// Bytes of the value.
    #[inline]
    pub fn len(self) -> usize {
        self.range().len()
    }

    #[inline]
    fn range(self) -> Range<usize> {
        (self.0 & 0xFFFF) as usize..(self.0 >> 16) as usize
    }

    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.range()]
    }
}

/// Fields of a message whose layout is remembered, at most.
const LAYOUT_MAX: usize = 32;

/// Layouts that are remembered, some 800 bytes each.
const LAYOUTS: usize = 16;

/// Which fields a plain message had, all of them with slots, and in which order.
#[derive(Debug, Clone)]
struct Layout {
    heads: [Head; LAYOUT_MAX],
    tags: [u32; LAYOUT_MAX],
    /// By slot, the place of its field.
    places: [u16; SLOTS],
    count: usize,
    seen: Slots,
}

/// How a field begins: its tag and the `=`.
#[derive(Debug, Clone, Copy)]
struct Head {
    /// The bytes, the first one lowest.
    text: u32,
    /// Those bits of four bytes that are of the text.
    mask: u32,
    length: usize,
}

/// The layout that a message may have: by the first character of its MsgType(35), which is the third field, and by
/// whether it has an odd number of fields, as some fields are there in some messages of a type.
#[inline]
fn guess(bytes: &[u8], separators: &Separators<'_>) -> usize {
    const TYPE_AT: usize = "|35=".len();
    let letter = separators.second().and_then(|end| bytes.get(end + TYPE_AT)).unwrap_or(&0);
    (usize::from(*letter) << 1 | usize::from(separators.is_odd())) % LAYOUTS
}

impl Layout {
    /// Of a message without fields.
    const NONE: Self = Self {
        heads: [Head { text: 0, mask: 0, length: 0 }; LAYOUT_MAX],
        tags: [0; LAYOUT_MAX],
        places: [0; SLOTS],
        count: 0,
        seen: 0,
    };

    /// Whether a message has just these fields in this order, and none is empty; if so, where their values are.
    #[inline]
    fn fits(
        &self,
        bytes: &[u8],
        separators: &mut Separators<'_>,
        spans: &mut [Span; FIELDS_MAX],
    ) -> bool {
        let mut at = 0;
        for (head, span) in self.heads[..self.count].iter().zip(spans) {
            let Some(text) = bytes.get(at..at + 4).and_then(|text| text.first_chunk()) else {
                return false;
            };
            if (u32::from_le_bytes(*text) ^ head.text) & head.mask != 0 {
                return false;
            }
            let value_at = at + head.length;
            let Some(end) = separators.next_behind(value_at) else { return false };
            *span = Span::new(value_at, end);
            at = end + 1;
        }
        at == bytes.len()
    }

    /// Becomes the layout of a plain message whose fields all have slots, unless there are too many.
    #[cold]
    fn learn(&mut self, tags: &[u32], places: &[u16; SLOTS], seen: Slots) {
        if tags.len() > LAYOUT_MAX {
            return;
        }
        for (place, tag) in tags.iter().enumerate() {
            let text = slot::text(slot::of(*tag));
            let others = text.leading_zeros() / 8;
            let length = 4 - others as usize;
            self.heads[place] = Head { text, mask: u32::MAX >> (others * 8), length };
            self.tags[place] = *tag;
        }
        (self.count, self.places, self.seen) = (tags.len(), *places, seen);
    }
}

/// The way through a message, field by field.
#[derive(Clone, Copy)]
struct Walk<'a> {
    bytes: &'a [u8],
    separators: Separators<'a>,
    /// Where the next field begins.
    at: usize,
    /// Fields so far.
    count: usize,
    /// Slots of the fields so far.
    seen: Slots,
    /// Slots that do not say all there is to say of their fields.
    hidden: Slots,
    bad_tag: Option<BadTag>,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], separators: Separators<'a>) -> Self {
        Self { bytes, separators, at: 0, count: 0, seen: 0, hidden: 0, bad_tag: None }
    }

    /// Takes fields as long as they have slots and values.
    #[inline]
    fn take_slotted(&mut self, fields: &mut Fields) {
        let Self { bytes, mut separators, mut at, mut count, mut seen, mut hidden, .. } = *self;
        while count < FIELDS_MAX {
            let Some((tag, slot, length)) = slot::read(bytes, at) else { break };
            let value_at = at + length;
            let Some(end) = separators.next_behind(value_at) else { break };
            fields.tags[count] = tag;
            fields.spans[count] = Span::new(value_at, end);
            fields.places[slot] = count as u16;
            count += 1;
            hidden |= seen & slot::NOT_BEFORE[slot];
            seen |= 1 << slot;
            at = end + 1;
        }
        *self = Self { separators, at, count, seen, hidden, ..*self };
    }

    /// Takes one field of any kind; whether there was room for it.
    fn take_other(&mut self, fields: &mut Fields) -> Result<bool, Garbled> {
        let (bytes, at, count) = (self.bytes, self.at, self.count);
        let (tag, value_at) = read_tag(bytes, at)?;
        let mut end = self.separators.next().ok_or(Garbled::Field)?;
        if let Some(tag) = tag.filter(|tag| is_data(*tag)) {
            let before = count.checked_sub(1);
            let before = before.map(|last| (fields.tags[last], fields.spans[last]));
            let data_end = data_end(bytes, value_at, tag, before)?;
            while end < data_end {
                end = self.separators.next().ok_or(Garbled::Field)?;
            }
        }
        if tag.is_some() && count == FIELDS_MAX {
            return Ok(false);
        }
        self.at = end + 1;
        let Some(tag) = tag else {
            let text = BadTag { start: at as u16, end: (value_at - 1) as u16 };
            self.bad_tag.get_or_insert(text);
            return Ok(true);
        };
        fields.tags[count] = tag;
        fields.spans[count] = Span::new(value_at, end);
        self.count += 1;
        let slot = slot::of(tag);
        self.seen |= 1 << slot;
        if slot != slot::OTHER {
            self.hidden |= 1 << slot;
        }
        Ok(true)
    }
}

/// Reads `tag=` at `at`: the tag, `None` when it's an integer that can't name a field, and where the value
/// starts.
#[inline]
fn read_tag(bytes: &[u8], at: usize) -> Result<(Option<u32>, usize), Garbled> {
    let mut tag = 0_u32;
    for (digits, &byte) in bytes[at..].iter().take(6).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            tag = tag * 10 + u32::from(digit);
        } else if byte == b'=' && digits > 0 && bytes[at] != b'0' {
            return Ok((Some(tag), at + digits + 1));
        } else {
            break;
        }
    }
    read_bad_tag(bytes, at)
}

#[cold]
fn read_bad_tag(bytes: &[u8], at: usize) -> Result<(Option<u32>, usize), Garbled> {
    let equals = memchr(b'=', &bytes[at..]).ok_or(Garbled::Field)?;
    let text = &bytes[at..at + equals];
    if !field::is_integer(text) || text.len() > RefTag::LENGTH_MAX {
        return Err(Garbled::Field);
    }
    Ok((None, at + equals + 1))
}

/// Data fields and the length field that stands before each, in any version.
const DATA_FIELDS: [(u32, u32); 27] = [
    (89, 93),
    (91, 90),
    (96, 95),
    (213, 212),
    (349, 348),
    (351, 350),
    (353, 352),
    (355, 354),
    (357, 356),
    (359, 358),
    (361, 360),
    (363, 362),
    (365, 364),
    (446, 445),
    (619, 618),
    (622, 621),
    (1185, 1184),
    (1278, 1277),
    (1281, 1280),
    (1283, 1282),
    (1398, 1397),
    (1402, 1401),
    (1404, 1403),
    (1469, 1468),
    (1527, 1525),
    (1579, 1578),
    (1621, 1620),
];

const DATA_BITS: [u64; TAGS / 64] = {
    let mut bits = [0; TAGS / 64];
    let mut at = 0;
    while at < DATA_FIELDS.len() {
        let tag = DATA_FIELDS[at].0;
        bits[tag as usize / 64] |= 1 << (tag % 64);
        at += 1;
    }
    bits
};

#[inline]
fn is_data(tag: u32) -> bool {
    DATA_BITS.get(tag as usize / 64).is_some_and(|word| word >> (tag % 64) & 1 == 1)
}

/// The end of a data field, which may have SOH inside: its length stands in the field before. Without a length
/// the value can't hold SOH, and it ends where others do.
#[cold]
fn data_end(
    bytes: &[u8],
    at: usize,
    tag: u32,
    before: Option<(u32, Span)>,
) -> Result<usize, Garbled> {
    let length_tag = DATA_FIELDS.iter().find(|(data, _)| *data == tag).map(|(_, length)| *length);
    let length = match before {
        Some((before, span)) if Some(before) == length_tag => field::parse_u64(span.of(bytes)).ok(),
        _ => None,
    };
    let Some(length) = length else { return Ok(at) };
    let end = usize::try_from(length).ok().and_then(|length| at.checked_add(length));
    end.filter(|end| bytes.get(*end) == Some(&SOH)).ok_or(Garbled::Field)
}
