//! What a version of FIX defines, as tables, and the check of a message against them.
//!
//! A version is data: which tags exist, the data type and code set of each, which tags each type of message
//! may and must have, and which form repeating groups. All versions stand in one text, `tables.txt`: the
//! later ones add to the earlier, and an item that is not for all says for which. Types that the tables name
//! without fields are known to exist, so that the application can say "unsupported" rather than "invalid".

mod quick;
mod tables;

use crate::field::{self, INTEGER_TEXT_MAX};
use crate::message::{Message, MsgType, Reject, SessionRejectReason};
use crate::slot::SLOTS;
use crate::version::Version;

/// Tags the tables cover: 0 to 1663, more than FIX 5.0 SP2 defines without later extension packs (1621).
pub const TAGS: usize = 1664;

/// Deepest nesting of repeating groups there is: entries of market data, their legs, allocations of those,
/// parties of these, their sub-ids.
const GROUP_DEPTH_MAX: usize = 5;

/// A set of tags, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagSet([u64; TAGS / 64]);

impl TagSet {
    const EMPTY: Self = Self([0; TAGS / 64]);

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
    /// Length, SeqNum, DayOfMonth: an integer that isn't negative.
    Count,
    /// NumInGroup: a number of instances, which follow.
    Group,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codes {
    /// Any value of the data type.
    Any,
    /// Single ASCII characters, a bit each.
    Chars(u128),
    /// Integers from 0 to 127, a bit each.
    Numbers(u128),
    /// Words.
    Words(Box<[&'static str]>),
}

impl Codes {
    #[inline]
    fn allow(&self, value: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Chars(bits) => {
                let allow =
                    |one: &[u8]| matches!(one, [byte] if *byte < 128 && *bits >> byte & 1 == 1);
                allow(value) || value.len() > 1 && value.split(|byte| *byte == b' ').all(allow)
            }
            Self::Numbers(bits) => {
                field::parse_u64(value).is_ok_and(|number| number < 128 && *bits >> number & 1 == 1)
            }
            Self::Words(words) => words.iter().any(|word| word.as_bytes() == value),
        }
    }
}

/// One tag of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
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
            Self::Count | Self::Group => field::parse_u64(value).is_ok(),
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
#[derive(Debug, Clone)]
pub struct MessageDef {
    /// MsgType(35)
    pub msg_type: MsgType,
    /// The standard's name.
    pub name: &'static str,
    /// Tags of the body that must be there, in the standard's order.
    pub required: Box<[u16]>,
    /// Tags that may be in the body, those of its repeating groups included; `None` when the type is known
    /// to exist and its fields aren't listed.
    pub body: Option<TagSet>,
    rules: quick::Rules,
}

/// A repeating group.
#[derive(Debug)]
struct GroupDef {
    /// The field of data type NumInGroup that starts it.
    count: u16,
    /// Its members and the counts of the groups within it. An instance starts with the first of them that
    /// the type of message has.
    members: Box<[u16]>,
}

/// The three parts of a message, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Header,
    Body,
    Trailer,
}

/// A version of FIX.
#[derive(Debug)]
pub struct Dictionary {
    version: Version,
    fields: Box<[FieldDef; TAGS]>,
    parts: [Part; TAGS],
    /// Tags of FIXT.1.1, where that is the session layer: its messages know no others.
    session_tags: TagSet,
    messages: Vec<MessageDef>,
    /// By MsgType of one character, the place in `messages`; past them where there is none.
    letters: [u16; 128],
    groups: Vec<GroupDef>,
    /// By slot, the characters that are a whole value, a bit each.
    characters: [[u64; 2]; SLOTS],
}

/// Header fields every message must have, in every version.
const HEADER_REQUIRED: [u16; 7] = [8, 9, 35, 49, 56, 34, 52];

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
    /// The version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The type of message with this MsgType(35).
    #[must_use]
    pub fn message(&self, msg_type: MsgType) -> Option<&MessageDef> {
        match msg_type.letter().and_then(|letter| self.letters.get(usize::from(letter))) {
            Some(place) => self.messages.get(usize::from(*place)),
            None => self.messages.iter().find(|def| def.msg_type == msg_type),
        }
    }

    /// The field with this tag; `None` when the version has no such tag.
    #[must_use]
    pub fn field(&self, tag: u32) -> Option<&FieldDef> {
        let def = self.fields.get(tag as usize)?;
        (def.kind != Kind::Undefined).then_some(def)
    }

    /// Whether a value is one that this version knows for this tag.
    #[must_use]
    pub fn allows(&self, tag: u32, value: &[u8]) -> bool {
        self.field(tag).is_some_and(|field| field.check(value, true).is_ok())
    }

    /// [`Dictionary::allows`] for a number.
    #[must_use]
    pub fn allows_number(&self, tag: u32, number: u64) -> bool {
        let mut text = [0; INTEGER_TEXT_MAX];
        let length = field::write_u64(&mut text, number);
        self.allows(tag, &text[..length])
    }

    /// Whether messages of this type may have the tag in their body; of types whose fields aren't listed,
    /// any that is defined.
    #[must_use]
    pub fn has(&self, msg_type: MsgType, tag: u32) -> bool {
        let body = self.message(msg_type).map(|def| &def.body);
        body.is_some_and(|body| body.is_none_or(|body| body.has(tag))) && self.field(tag).is_some()
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
        let def = message.msg_type().and_then(|msg_type| self.message(msg_type));
        match def {
            Some(def) if self.is_plainly_right(message, def) => Ok(()),
            _ => self.check_in_full(message, strictness),
        }
    }

    #[cold]
    fn check_in_full(&self, message: &Message<'_>, strictness: Strictness) -> Result<(), Reject> {
        message.syntax()?;
        self.check_order(message)?;
        let Some(def) = message.msg_type().and_then(|msg_type| self.message(msg_type)) else {
            return Err(Reject::new(SessionRejectReason::InvalidMsgType, None));
        };
        let seen = self.check_fields(message, def, strictness)?;
        let missing = |tags: &[u16]| tags.iter().find(|tag| !seen.has(u32::from(**tag))).copied();
        match missing(&HEADER_REQUIRED).or_else(|| missing(&def.required)) {
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
        let mut seen = TagSet::EMPTY;
        let printable = message.is_printable();
        let mut at = 0;
        while at < message.len() {
            let tag = message.tag(at);
            self.check_field((tag, message.value(at), printable), def, strictness)?;
            if (tag as usize) < TAGS && !seen.insert(tag) {
                return Err(Reject::new(SessionRejectReason::TagRepeated, Some(tag)));
            }
            at += 1;
            if self.fields.get(tag as usize).is_some_and(|field| field.kind == Kind::Group)
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
            return Err(Reject::new(self.misplaced(tag, def), Some(tag)));
        }
        Ok(())
    }

    /// Why a tag that this version defines isn't one of this type of message.
    #[cold]
    fn misplaced(&self, tag: u32, def: &MessageDef) -> SessionRejectReason {
        let foreign = self.version.fixt && def.msg_type.is_admin() && !self.session_tags.has(tag);
        if foreign {
            SessionRejectReason::InvalidTagNumber
        } else {
            SessionRejectReason::TagNotDefinedForMsgType
        }
    }

    fn group(&self, count: u32) -> Option<&GroupDef> {
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
        let known = |tag| self.def.body.as_ref().is_none_or(|body| body.has(tag));
        let mut firsts = group.members.iter().map(|member| u32::from(*member));
        let first = firsts.find(|tag| known(*tag)).unwrap_or(0);
        let mut instances = 0;
        let mut seen = TagSet::EMPTY;
        while at < self.message.len() {
            let tag = self.message.tag(at);
            if !group.members.iter().any(|member| u32::from(*member) == tag) {
                break;
            }
            if tag == first {
                instances += 1;
                seen = TagSet::EMPTY;
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
