//! What a version of FIX defines, as tables, and the check of a message against them.
//!
//! A version is data: which tags exist, the data type and code set of each, which tags each type of message
//! may and must have, and which form repeating groups. Types that the tables name without fields are known
//! to exist, so that the application can say "unsupported" rather than "invalid".

pub mod fix44;

use crate::field;
use crate::message::{Message, MsgType, Reject, SessionRejectReason};

/// Tags the tables cover: 0 to 1023, more than FIX 4.4 defines (956).
pub const TAGS: usize = 1024;

/// Deepest nesting of repeating groups that is followed. FIX 4.4 has three: legs, parties, sub-ids.
const GROUP_DEPTH_MAX: usize = 4;

/// A set of tags, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagSet([u64; TAGS / 64]);

impl TagSet {
    /// The set of all tags of some blocks.
    #[must_use]
    pub const fn of(blocks: &[&[u16]]) -> Self {
        let mut bits = [0; TAGS / 64];
        let mut block = 0;
        while block < blocks.len() {
            let mut at = 0;
            while at < blocks[block].len() {
                let tag = blocks[block][at] as usize;
                bits[tag / 64] |= 1 << (tag % 64);
                at += 1;
            }
            block += 1;
        }
        Self(bits)
    }

    /// Whether the tag is in the set; tags past the tables never are.
    #[inline]
    #[must_use]
    pub const fn has(&self, tag: u32) -> bool {
        (tag as usize) < TAGS && self.0[tag as usize / 64] >> (tag % 64) & 1 == 1
    }

    /// Adds a tag below [`TAGS`]; whether it was new.
    #[inline]
    fn insert(&mut self, tag: u32) -> bool {
        let (word, bit) = (&mut self.0[tag as usize / 64], 1 << (tag % 64));
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

/// The data type of a field, as far as its syntax differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The version defines no such tag.
    Undefined,
    /// String, Exchange: anything printable.
    Text,
    /// One printable character.
    Char,
    /// `Y` or `N`.
    Boolean,
    /// An integer, perhaps negative.
    Int,
    /// Length, SeqNum, NumInGroup, DayOfMonth: an integer that isn't negative.
    Count,
    /// Price, Qty, Amt, Percentage, PriceOffset, float.
    Float,
    /// UTCTimestamp
    Timestamp,
    /// UTCTimeOnly
    Time,
    /// LocalMktDate, UTCDateOnly
    Date,
    /// MonthYear: `YYYYMM`, `YYYYMMDD` or `YYYYMMwN`
    MonthYear,
    /// Three letters of ISO 4217.
    Currency,
    /// Two letters of ISO 3166.
    Country,
    /// Characters separated by single spaces.
    MultipleValue,
    /// Any bytes; the length stands in the field before.
    Data,
}

/// The values a field may have beyond its syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codes {
    /// Any value of the data type.
    Any,
    /// Single ASCII characters, a bit each.
    Chars(u128),
    /// Integers from 0 to 127, a bit each.
    Numbers(u128),
    /// Words.
    Words(&'static [&'static str]),
}

impl Codes {
    /// Each character of the text is a value.
    #[must_use]
    pub const fn chars(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut bits = 0;
        let mut at = 0;
        while at < bytes.len() {
            bits |= 1 << bytes[at];
            at += 1;
        }
        Self::Chars(bits)
    }

    /// The integers from `first` to `last`, and those of `more`.
    #[must_use]
    pub const fn numbers(first: u8, last: u8, more: &[u8]) -> Self {
        let mut bits = 0;
        let mut number = first;
        while number <= last {
            bits |= 1 << number;
            number += 1;
        }
        let mut at = 0;
        while at < more.len() {
            bits |= 1 << more[at];
            at += 1;
        }
        Self::Numbers(bits)
    }

    #[inline]
    fn allow(self, value: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Chars(bits) => {
                let allow =
                    |one: &[u8]| matches!(one, [byte] if *byte < 128 && bits >> byte & 1 == 1);
                allow(value) || value.len() > 1 && value.split(|byte| *byte == b' ').all(allow)
            }
            Self::Numbers(bits) => {
                field::parse_u64(value).is_ok_and(|number| number < 128 && bits >> number & 1 == 1)
            }
            Self::Words(words) => words.iter().any(|word| word.as_bytes() == value),
        }
    }
}

/// One tag of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldDef {
    /// The data type.
    pub kind: Kind,
    /// The code set.
    pub codes: Codes,
}

impl FieldDef {
    const UNDEFINED: Self = Self { kind: Kind::Undefined, codes: Codes::Any };

    /// Checks a value that isn't empty; `printable` says that it has no control characters.
    #[inline]
    fn check(&self, value: &[u8], printable: bool) -> Result<(), SessionRejectReason> {
        if self.kind == Kind::Text && printable && self.codes == Codes::Any {
            return Ok(());
        }
        if !self.kind.accepts(value) {
            return Err(SessionRejectReason::IncorrectDataFormat);
        }
        if !self.codes.allow(value) {
            return Err(SessionRejectReason::ValueIncorrect);
        }
        Ok(())
    }
}

impl Kind {
    #[inline]
    fn accepts(self, value: &[u8]) -> bool {
        match self {
            Self::Text => !value.iter().any(u8::is_ascii_control),
            Self::Char => field::parse_char(value).is_ok(),
            Self::Boolean => field::parse_bool(value).is_ok(),
            Self::Int => field::is_integer(value),
            Self::Count => field::parse_u64(value).is_ok(),
            Self::Float => field::is_float(value),
            Self::Timestamp => field::parse_timestamp(value).is_ok(),
            Self::Time => field::parse_time(value).is_ok(),
            Self::Date => field::parse_date(value).is_ok(),
            Self::MonthYear => is_month_year(value),
            Self::Currency => value.len() == 3 && value.iter().all(u8::is_ascii_alphabetic),
            Self::Country => value.len() == 2 && value.iter().all(u8::is_ascii_alphabetic),
            Self::MultipleValue => {
                value.split(|byte| *byte == b' ').all(|one| field::parse_char(one).is_ok())
            }
            Self::Data | Self::Undefined => true,
        }
    }
}

/// `YYYYMM`, with a day or with a week `w1` to `w5`.
fn is_month_year(value: &[u8]) -> bool {
    let Some((month, rest)) = value.split_at_checked(6) else { return false };
    let [year @ .., tens, ones] = month else { return false };
    let month = [*tens, *ones];
    year.iter().all(u8::is_ascii_digit)
        && (*b"01"..=*b"12").contains(&month)
        && ones.is_ascii_digit()
        && match rest {
            [] => true,
            [b'w', b'1'..=b'5'] => true,
            [_, _] => field::parse_date(value).is_ok(),
            _ => false,
        }
}

/// A type of message.
#[derive(Debug, Clone, Copy)]
pub struct MessageDef {
    /// MsgType(35)
    pub msg_type: MsgType,
    /// The standard's name.
    pub name: &'static str,
    /// Tags of the body that must be there, in the standard's order.
    pub required: &'static [u16],
    /// Tags that may be in the body, those of its repeating groups included; `None` when the type is known
    /// to exist and its fields aren't listed.
    pub body: Option<TagSet>,
}

/// A repeating group.
#[derive(Debug, Clone, Copy)]
pub struct GroupDef {
    /// The field of data type NumInGroup that starts it.
    pub count: u16,
    /// Its members: first the one every instance starts with, then the others and the counts of the groups
    /// within it.
    pub members: &'static [u16],
}

/// The three parts of a message, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Header,
    Body,
    Trailer,
}

/// Builds the table of parts.
const fn parts(header: &[u16], trailer: &[u16]) -> [Part; TAGS] {
    let mut table = [Part::Body; TAGS];
    let mut at = 0;
    while at < header.len() {
        table[header[at] as usize] = Part::Header;
        at += 1;
    }
    at = 0;
    while at < trailer.len() {
        table[trailer[at] as usize] = Part::Trailer;
        at += 1;
    }
    table
}

/// A version of FIX.
#[derive(Debug)]
pub struct Dictionary {
    /// BeginString(8)
    pub begin_string: &'static str,
    fields: [FieldDef; TAGS],
    parts: [Part; TAGS],
    header_required: &'static [u16],
    messages: &'static [MessageDef],
    groups: &'static [GroupDef],
}

/// How much of the dictionary a session insists on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// A tag the version doesn't define, or not for this type of message, is rejected: as the standard's
    /// test cases want it.
    #[default]
    Strict,
    /// Such tags are ignored, as most clients send a few; all else is checked.
    Lenient,
}

impl Dictionary {
    /// The type of message with this MsgType(35).
    #[must_use]
    pub fn message(&self, msg_type: MsgType) -> Option<&'static MessageDef> {
        self.messages.iter().find(|def| def.msg_type == msg_type)
    }

    /// The field with this tag; `None` when the version has no such tag.
    #[must_use]
    pub fn field(&self, tag: u32) -> Option<&FieldDef> {
        let def = self.fields.get(tag as usize)?;
        (def.kind != Kind::Undefined).then_some(def)
    }

    /// Whether the tag belongs to the standard header.
    #[inline]
    #[must_use]
    pub fn is_header(&self, tag: u32) -> bool {
        self.part(tag) == Part::Header
    }

    /// Whether the tag belongs to the standard trailer.
    #[inline]
    #[must_use]
    pub fn is_trailer(&self, tag: u32) -> bool {
        self.part(tag) == Part::Trailer
    }

    #[inline]
    fn part(&self, tag: u32) -> Part {
        self.parts.get(tag as usize).copied().unwrap_or(Part::Body)
    }

    /// Checks a message against the tables.
    ///
    /// The order of header, body and trailer comes first, then the type, then each field as it stands in
    /// the message, then what is missing; the first fault found is the one reported.
    ///
    /// # Errors
    /// What to put into a Reject(3).
    #[inline]
    pub fn check(&self, message: &Message<'_>, strictness: Strictness) -> Result<(), Reject> {
        message.syntax()?;
        self.check_order(message)?;
        let Some(def) = message.msg_type().and_then(|msg_type| self.message(msg_type)) else {
            return Err(Reject::new(SessionRejectReason::InvalidMsgType, None));
        };
        let seen = self.check_fields(message, def, strictness)?;
        let missing = |tags: &[u16]| tags.iter().find(|tag| !seen.has(u32::from(**tag))).copied();
        match missing(self.header_required).or_else(|| missing(def.required)) {
            None => Ok(()),
            Some(tag) => {
                Err(Reject::new(SessionRejectReason::RequiredTagMissing, Some(u32::from(tag))))
            }
        }
    }

    /// Header before body before trailer.
    #[inline]
    fn check_order(&self, message: &Message<'_>) -> Result<(), Reject> {
        let mut part = Part::Header;
        for at in 0..message.len() {
            let tag = message.tag(at);
            let of = self.part(tag);
            if of < part {
                return Err(Reject::new(SessionRejectReason::TagOutOfOrder, Some(tag)));
            }
            part = of;
        }
        Ok(())
    }

    /// Each field by itself; gives the tags that are there.
    #[inline]
    fn check_fields(
        &self,
        message: &Message<'_>,
        def: &MessageDef,
        strictness: Strictness,
    ) -> Result<TagSet, Reject> {
        let mut seen = TagSet([0; TAGS / 64]);
        let printable = message.is_printable();
        let mut at = 0;
        while at < message.len() {
            let tag = message.tag(at);
            self.check_field((tag, message.value(at), printable), def, strictness)?;
            if (tag as usize) < TAGS && !seen.insert(tag) {
                return Err(Reject::new(SessionRejectReason::TagRepeated, Some(tag)));
            }
            at += 1;
            if self.fields.get(tag as usize).is_some_and(|field| field.kind == Kind::Count)
                && let Some(group) = self.group(tag)
            {
                let known = Group { dictionary: self, message, def, strictness };
                at = known.check(group, at, 1)?;
            }
        }
        Ok(seen)
    }

    #[inline]
    fn check_field(
        &self,
        (tag, value, printable): (u32, &[u8], bool),
        def: &MessageDef,
        strictness: Strictness,
    ) -> Result<(), Reject> {
        let field = self.fields.get(tag as usize).unwrap_or(&FieldDef::UNDEFINED);
        if field.kind == Kind::Undefined && strictness == Strictness::Strict {
            return Err(Reject::new(SessionRejectReason::InvalidTagNumber, Some(tag)));
        }
        if value.is_empty() {
            return Err(Reject::new(SessionRejectReason::TagWithoutValue, Some(tag)));
        }
        field.check(value, printable).map_err(|reason| Reject::new(reason, Some(tag)))?;
        let allowed =
            def.body.as_ref().is_none_or(|body| body.has(tag)) || self.part(tag) != Part::Body;
        if !allowed && strictness == Strictness::Strict {
            return Err(Reject::new(SessionRejectReason::TagNotDefinedForMsgType, Some(tag)));
        }
        Ok(())
    }

    fn group(&self, count: u32) -> Option<&'static GroupDef> {
        self.groups.iter().find(|group| u32::from(group.count) == count)
    }
}

/// The walk through a repeating group.
struct Group<'a> {
    dictionary: &'a Dictionary,
    message: &'a Message<'a>,
    def: &'a MessageDef,
    strictness: Strictness,
}

impl Group<'_> {
    /// Checks the instances that start at field `at`, after the count; gives the field after them.
    #[cold]
    fn check(&self, group: &GroupDef, mut at: usize, depth: usize) -> Result<usize, Reject> {
        let count = u32::from(group.count);
        let wrong = |reason, tag| Err(Reject::new(reason, Some(tag)));
        let expected = field::parse_u64(self.message.value(at - 1)).unwrap_or(u64::MAX);
        let first = u32::from(group.members[0]);
        let mut instances = 0;
        let mut seen = TagSet([0; TAGS / 64]);
        while at < self.message.len() {
            let tag = self.message.tag(at);
            if !group.members.iter().any(|member| u32::from(*member) == tag) {
                break;
            }
            if tag == first {
                instances += 1;
                seen = TagSet([0; TAGS / 64]);
            } else if instances == 0 {
                return wrong(SessionRejectReason::GroupOutOfOrder, tag);
            }
            let field = (tag, self.message.value(at), self.message.is_printable());
            self.dictionary.check_field(field, self.def, self.strictness)?;
            if !seen.insert(tag) {
                return wrong(SessionRejectReason::TagRepeated, tag);
            }
            at += 1;
            if let Some(inner) = self.dictionary.group(tag) {
                if depth == GROUP_DEPTH_MAX {
                    return wrong(SessionRejectReason::GroupOutOfOrder, tag);
                }
                at = self.check(inner, at, depth + 1)?;
            }
        }
        if instances != expected {
            return wrong(SessionRejectReason::GroupCount, count);
        }
        Ok(at)
    }
}

/// Builds the table of fields of a version: every tag up to `last` that isn't in `unused` is text unless
/// `kinds` says otherwise.
const fn fields(
    last: u16,
    unused: &[u16],
    kinds: &[(Kind, &[u16])],
    codes: &[(u16, Codes)],
) -> [FieldDef; TAGS] {
    let mut table = [FieldDef::UNDEFINED; TAGS];
    let mut tag = 1;
    while tag <= last as usize {
        table[tag].kind = Kind::Text;
        tag += 1;
    }
    let mut at = 0;
    while at < unused.len() {
        table[unused[at] as usize].kind = Kind::Undefined;
        at += 1;
    }
    let mut kind = 0;
    while kind < kinds.len() {
        let mut at = 0;
        while at < kinds[kind].1.len() {
            let tag = kinds[kind].1[at] as usize;
            assert!(matches!(table[tag].kind, Kind::Text), "a tag has one data type and exists");
            table[tag].kind = kinds[kind].0;
            at += 1;
        }
        kind += 1;
    }
    let mut at = 0;
    while at < codes.len() {
        let tag = codes[at].0 as usize;
        assert!(matches!(table[tag].codes, Codes::Any), "a tag has one code set");
        table[tag].codes = codes[at].1;
        at += 1;
    }
    table
}
