//! A quick look at a message, which finds most of those right that are: a few words of bits for each type of
//! message. What it does not find right is looked at in full, which says what is wrong, if anything is.

use super::{Codes, Dictionary, FieldDef, HEADER_REQUIRED, Kind, MessageDef, Part};
use crate::message::Message;
use crate::slot::{self, SLOTS, Slots};

/// What the fields with a slot are in a type of message.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rules {
    /// Those that it may have. [`slot::OTHER`] is none of them.
    allowed: Slots,
    /// Those that it must have.
    required: Slots,
    /// Those whose values are not right already because the message is plain.
    choosy: Slots,
}

impl Rules {
    fn new(dictionary: &Dictionary, def: &MessageDef) -> Self {
        let required = HEADER_REQUIRED.iter().chain(&def.required);
        let required = required.fold(0, |slots, tag| slots | 1 << slot::of(u32::from(*tag)));
        let (mut allowed, mut choosy) = (0, 0);
        for slot in slot::each(!(1 << slot::OTHER)) {
            let tag = slot::tag(slot);
            let field = &dictionary.fields[tag as usize];
            let belongs = match dictionary.part(tag) {
                Part::Body => def.body.as_ref().is_none_or(|body| body.has(tag)),
                Part::Header | Part::Trailer => true,
            };
            let is_alone = !matches!(field.kind, Kind::Undefined | Kind::Group | Kind::Data);
            if belongs && is_alone && part_of(slot) == dictionary.part(tag) {
                allowed |= 1 << slot;
                choosy |= Slots::from(!is_right_if_plain(slot, field)) << slot;
            }
        }
        Self { allowed, required, choosy }
    }
}

/// The part of a message that a slot takes its field for.
fn part_of(slot: usize) -> Part {
    if slot::HEADER.contains(&slot) {
        Part::Header
    } else if slot::BODY.contains(&slot) {
        Part::Body
    } else {
        Part::Trailer
    }
}

/// Whether any value of a plain message is right: it was read as what it is here.
fn is_right_if_plain(slot: usize, field: &FieldDef) -> bool {
    let kinds = match field.kind {
        Kind::Count => slot::COUNTS,
        Kind::Timestamp => slot::TIMES,
        Kind::Float => slot::DECIMALS,
        Kind::Text => 0..SLOTS,
        _ => 0..0,
    };
    kinds.contains(&slot) && field.codes == Codes::Any
}

/// The characters that are a whole value of a field, a bit each.
fn characters(field: &FieldDef) -> [u64; 2] {
    let mut bits = [0; 2];
    for byte in (b' '..=b'~').filter(|byte| field.check(&[*byte], true).is_ok()) {
        bits[usize::from(byte / 64)] |= 1 << (byte % 64);
    }
    bits
}

impl Dictionary {
    /// Prepares the quick look, when the tables are whole.
    pub(super) fn prepare(&mut self) {
        for slot in slot::each(!(1 << slot::OTHER)) {
            self.characters[slot] = characters(&self.fields[slot::tag(slot) as usize]);
        }
        for at in 0..self.messages.len() {
            let rules = Rules::new(self, &self.messages[at]);
            let def = &mut self.messages[at];
            def.rules = rules;
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
        let (Rules { allowed, required, choosy }, seen) = (def.rules, message.seen());
        message.is_plain()
            && seen & !allowed == 0
            && required & !seen == 0
            && slot::each(seen & choosy).all(|slot| self.is_right(slot, message.in_slot(slot)))
    }

    #[inline]
    fn is_right(&self, slot: usize, value: &[u8]) -> bool {
        match *value {
            [byte @ ..=127] => {
                self.characters[slot][usize::from(byte / 64)] >> (byte % 64) & 1 == 1
            }
            _ => self.fields[slot::tag(slot) as usize].check(value, true).is_ok(),
        }
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
