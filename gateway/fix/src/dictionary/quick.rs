//! A quick look at a message, which finds most of those right that are: one pass, one small table for each
//! type of message, nothing kept beside it. What it does not find right is looked at in full, which says what
//! is wrong, if anything is.

use super::{Codes, Dictionary, FieldDef, HEADER_REQUIRED, Kind, MessageDef, Part};
use crate::field::{is_float, is_integer, parse_u64};
use crate::message::{Message, PLACES};

/// How a value is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// In full: the tag is none of this type of message, or of a rare kind.
    Full,
    /// Any printable text.
    Text,
    /// One character of a set.
    Character,
    /// An integer that isn't negative.
    Count,
    /// An integer.
    Int,
    /// A decimal number.
    Float,
    /// A time with its date.
    Timestamp,
}

/// What a tag is in a type of message.
#[derive(Debug, Clone, Copy)]
struct Rule {
    part: Part,
    look: Look,
}

/// What low tags are in a type of message.
#[derive(Debug, Clone)]
pub(super) struct Rules([Rule; PLACES]);

impl Rules {
    /// Nothing is found right.
    pub const NONE: Self = Self([Rule { part: Part::Header, look: Look::Full }; PLACES]);

    fn new(dictionary: &Dictionary, def: &MessageDef) -> Self {
        let mut rules = Self::NONE;
        for (tag, rule) in (0..).zip(&mut rules.0) {
            rule.part = dictionary.part(tag);
            let belongs =
                rule.part != Part::Body || def.body.as_ref().is_none_or(|body| body.has(tag));
            if belongs {
                rule.look = Look::at(&dictionary.fields[tag as usize]);
            }
        }
        rules
    }
}

impl Look {
    fn at(field: &FieldDef) -> Self {
        match (field.kind, &field.codes) {
            (Kind::Char | Kind::Boolean | Kind::MultipleValue, Codes::Any | Codes::Chars(_)) => {
                Self::Character
            }
            (Kind::Text, Codes::Any) => Self::Text,
            (Kind::Count, Codes::Any) => Self::Count,
            (Kind::Int, Codes::Any) => Self::Int,
            (Kind::Float, Codes::Any) => Self::Float,
            (Kind::Timestamp, Codes::Any) => Self::Timestamp,
            _ => Self::Full,
        }
    }
}

/// The characters that are a whole value of a field, a bit each.
fn characters(field: &FieldDef) -> u128 {
    let is_value = |byte: &u8| field.check(&[*byte], true).is_ok();
    (b' '..=b'~').filter(is_value).fold(0, |bits, byte| bits | 1 << byte)
}

impl Dictionary {
    /// Prepares the quick look, when the tables are whole.
    pub(super) fn prepare(&mut self) {
        for (bits, field) in self.characters.iter_mut().zip(self.fields.iter()) {
            *bits = characters(field);
        }
        for at in 0..self.messages.len() {
            let rules = Rules::new(self, &self.messages[at]);
            let def = &mut self.messages[at];
            *def.rules = rules;
            if let &[letter] = def.msg_type.text().as_ref()
                && let Some(place) = self.letters.get_mut(usize::from(letter))
            {
                *place = at as u16;
            }
        }
    }

    /// Whether all is plainly right. False says nothing.
    #[inline]
    pub(super) fn is_plainly_right(&self, message: &Message<'_>, def: &MessageDef) -> bool {
        if !message.is_printable() || message.repeats() {
            return false;
        }
        let mut part = Part::Header;
        for at in 0..message.len() {
            let tag = message.tag(at);
            let Some(rule) = def.rules.0.get(tag as usize) else { return false };
            if rule.part < part {
                return false;
            }
            part = rule.part;
            let value = message.value(at);
            let right = match rule.look {
                Look::Full => false,
                Look::Text => !value.is_empty(),
                Look::Character => {
                    matches!(value, [byte @ ..=127] if self.characters[tag as usize] >> byte & 1 == 1)
                }
                Look::Count => parse_u64(value).is_ok(),
                Look::Int => is_integer(value),
                Look::Float => is_float(value),
                Look::Timestamp => message.parse_timestamp(value).is_ok(),
            };
            if !right {
                return false;
            }
        }
        let has = |tags: &[u16]| tags.iter().all(|tag| message.has_low(*tag));
        has(&HEADER_REQUIRED) && has(&def.required)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::Strictness;
    use crate::message::{Fields, MsgType};
    use crate::version::Version;
    use proptest::prelude::*;

    fn values(tag: u32) -> BoxedStrategy<String> {
        let good = match tag {
            8 => "FIX.4.4",
            52 | 60 | 126 => "20240301-00:00:00.123",
            _ => "1",
        };
        let other = prop_oneof![
            Just(String::new()),
            Just("Y".to_owned()),
            Just("1 2".to_owned()),
            Just("-1".to_owned()),
            Just("1.5".to_owned()),
            Just("1.".to_owned()),
            Just("20240230-00:00:00".to_owned()),
            Just("é".to_owned()),
            Just("\t".to_owned()),
            "[ -~]{1,3}",
        ];
        prop_oneof![12 => Just(good.to_owned()), 1 => other].boxed()
    }

    fn messages() -> impl Strategy<Value = Vec<(u32, String)>> {
        let header = [8, 9, 35, 34, 49, 52, 56];
        let body = [11, 1, 21, 38, 40, 44, 54, 55, 59, 60, 18, 110, 111, 453, 9999, 58, 43];
        let field = prop_oneof![6 => prop::sample::select(body.to_vec()), 1 => 1_u32..200];
        let fields = prop::collection::vec(field, 0..16);
        let whole = fields.prop_flat_map(move |mut tags| {
            // Most messages have no field twice, and the fields that an order needs.
            tags.splice(0..0, header.into_iter().chain([11, 21, 55, 54, 60, 38, 40]));
            let mut seen = std::collections::HashSet::new();
            tags.retain(|tag| seen.insert(*tag));
            tags.push(10);
            let fields: Vec<_> = tags
                .into_iter()
                .map(|tag| values(tag).prop_map(move |value| (tag, value)))
                .collect();
            fields
        });
        (whole, any::<(prop::sample::Index, prop::sample::Index)>(), 0..6).prop_map(
            |(mut fields, (one, other), change)| {
                let (one, other) = (one.index(fields.len()), other.index(fields.len()));
                match change {
                    0 => fields.swap(one, other),
                    1 => fields.insert(other, fields[one].clone()),
                    2 => drop(fields.remove(one)),
                    _ => {}
                }
                fields
            },
        )
    }

    /// Whether the quick look finds a message right, and whether the full one does.
    fn looks(fields: &[(u32, String)], version: Version, msg_type: &str) -> (bool, bool) {
        let mut bytes = Vec::new();
        for (tag, value) in fields {
            let value = if *tag == 35 { msg_type } else { value };
            bytes.extend_from_slice(format!("{tag}={value}\u{1}").as_bytes());
        }
        let mut table = Fields::new();
        let message = Message::parse(&bytes, &mut table).expect("fields");
        let dictionary = version.dictionary();
        let def = message.msg_type().and_then(|msg_type| dictionary.message(msg_type));
        let quick = message.syntax().is_ok()
            && def.is_some_and(|def| dictionary.is_plainly_right(&message, def));
        (quick, dictionary.check_in_full(&message, Strictness::Strict).is_ok())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn what_is_plainly_right_is_right(
            fields in messages(),
            version in prop::sample::select(Version::ALL.to_vec()),
            msg_type in prop::sample::select(vec!["D", "0", "F", "AE", "5"]),
        ) {
            let (quick, full) = looks(&fields, version, msg_type);
            prop_assert!(!quick || full);
        }
    }

    #[test]
    fn an_order_is_plainly_right_in_every_version() {
        let order = |text: &str| -> Vec<(u32, String)> {
            let field = |field: &str| {
                let (tag, value) = field.split_once('=').expect("a field");
                (tag.parse().expect("a tag"), value.to_owned())
            };
            text.split('|').map(field).collect()
        };
        let whole = "8=FIX.4.4|9=1|35=D|34=2|49=A|52=20240301-00:00:00|56=B|11=x|1=A|18=6|21=1|38=100|\
                     40=2|44=1.5|54=1|55=AAPL|59=0|60=20240301-00:00:00.123|10=000";
        for version in Version::ALL {
            // TransactTime is one of its fields from FIX 4.2 on.
            let has_time = version.dictionary().has(MsgType::NEW_ORDER_SINGLE, 60);
            let time = if has_time { "" } else { "|60=20240301-00:00:00.123" };
            let whole = whole.replace(time, "");
            assert_eq!(looks(&order(&whole), version, "D"), (true, true), "{version}");
        }
        for (from, to) in [
            ("34=2", "34=x"),
            ("|54=1", ""),
            ("|52=20240301-00:00:00", ""),
            ("11=x", "11=x|11=x"),
            ("54=1", "54=Z"),
            ("44=1.5", "44=1,5"),
            ("59=0", "59="),
            ("40=2", "34=2|40=2"),
            ("|10=000", "|10=000|58=late"),
        ] {
            let wrong = order(&whole.replace(from, to));
            assert_eq!(looks(&wrong, Version::FIX44, "D"), (false, false), "{from} -> {to}");
        }
    }
}
