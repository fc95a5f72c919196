//! What is read the quick way, by layouts, slots and plain values, against the same messages read in full: made
//! from many kinds of fields and mutated, in sequences, as a layout is that of a message before. Whatever comes,
//! both ways give the same fields, faults, orders and answers of a session.

use crate::codec::SOH;
use crate::dictionary::Strictness;
use crate::field::MsgSeqNum;
use crate::message::{Fields, Message, MsgType};
use crate::order::OrderMessage;
use crate::session::{Handled, Output, Role, Session, SessionConfig, State};
use crate::version::{ApplVerId, Version};
use proptest::prelude::*;

/// 2024-03-01, ns.
const NOW_NS: u64 = 1_709_251_200_123_000_000;

/// Fields of a body in an order that clients send them in; `|` is SOH.
const BODY: [&str; 40] = [
    "11=ID-1",
    "41=ID-0",
    "37=9",
    "1=ACCOUNT",
    "21=1",
    "55=AAPL",
    "54=1",
    "60=20240301-00:00:00.122",
    "38=100",
    "40=2",
    "44=12.50",
    "59=0",
    "18=6",
    "15=USD",
    "22=1",
    "48=US0378331005",
    "58=a text",
    "63=0",
    "99=3",
    "100=XNYS",
    "110=1",
    "111=2.",
    "114=Y",
    "125=F",
    "126=20240302-00:00:00",
    "167=CS",
    "207=N",
    "354=3|355=a|b",
    "453=2|448=A|447=D|452=3|448=B|447=D|452=4",
    "47=A",
    "528=A",
    "530=7",
    "790=S",
    "112=TEST",
    "7=1|16=0",
    "36=5",
    "123=Y",
    "17=1|20=0|39=0|150=0|151=1|14=0|6=0",
    "20005=own",
    "97=N",
];

/// Which fields of the body a message has: those of the five requests, and with others.
const KINDS: [(&str, &[usize]); 14] = [
    ("D", &[0, 3, 5, 6, 7, 8, 9, 10, 11]),
    ("D", &[0, 4, 5, 6, 7, 8, 9, 10, 11]),
    ("D", &[0, 4, 5, 6, 8, 9, 10]),
    ("D", &[0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
    ("D", &[0, 5, 6, 7, 8, 9, 18, 20, 21, 23, 24, 19, 17, 22, 30]),
    ("D", &[0, 3, 28, 5, 6, 7, 8, 9, 10, 11]),
    ("F", &[1, 0, 5, 6, 7, 8]),
    ("F", &[1, 2, 0, 3, 5, 6, 7, 8, 23]),
    ("G", &[2, 1, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    ("q", &[0, 31, 7]),
    ("H", &[0, 5, 6]),
    ("H", &[2, 0, 32, 3, 5, 6]),
    ("0", &[]),
    ("8", &[2, 0, 37, 5, 6, 8]),
];

/// Values of other types, that are too long or large, or nothing.
const VALUES: [&str; 30] = [
    "",
    "1",
    "2",
    "Y",
    "Z",
    "0",
    "-1",
    "-0",
    "007",
    "1.5",
    "1.",
    ".5",
    ".",
    "1..2",
    "1.2.3",
    "-12.5",
    "12345678",
    "1234567.8",
    "123456789",
    "999999999999999999",
    "1000000000000000000",
    "0.0000000000000000001",
    "20240301-00:00:00",
    "20240301-00:00:00.123456",
    "20240230-00:00:00",
    "1 2",
    "a=b",
    "tab\t",
    "é",
    "a text that is longer than any identifier may be",
];

/// Tags that mean something, some that do not, and some that can't.
const TAGS: [&str; 30] = [
    "8", "9", "10", "11", "1", "34", "35", "38", "43", "44", "49", "52", "54", "55", "56", "58",
    "59", "60", "95", "96", "97", "122", "151", "530", "1128", "99999", "0", "-1", "011", "x",
];

/// How a message is changed: where, and with what.
#[derive(Debug, Clone, Copy)]
enum Change {
    Repeat(usize, usize),
    Remove(usize),
    Swap(usize, usize),
    Value(usize, usize),
    Tag(usize, usize),
    Insert(usize, usize, usize),
    Byte(usize, u8),
    Cut(usize),
}

#[derive(Debug, Clone)]
struct Recipe {
    kind: usize,
    /// How much the number is beyond the expected one.
    ahead: u64,
    /// Fields of the body that it has besides.
    more: Vec<usize>,
    values: Vec<(usize, usize)>,
    changes: Vec<Change>,
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let place = 0_usize..60;
    let change = prop_oneof![
        (place.clone(), place.clone()).prop_map(|(at, to)| Change::Repeat(at, to)),
        place.clone().prop_map(Change::Remove),
        (place.clone(), place.clone()).prop_map(|(at, to)| Change::Swap(at, to)),
        (place.clone(), 0..VALUES.len()).prop_map(|(at, value)| Change::Value(at, value)),
        (place.clone(), 0..TAGS.len()).prop_map(|(at, tag)| Change::Tag(at, tag)),
        (place, 0..TAGS.len(), 0..VALUES.len())
            .prop_map(|(at, tag, value)| Change::Insert(at, tag, value)),
        (0_usize..300, any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (0_usize..300).prop_map(Change::Cut),
    ];
    let changes = prop_oneof![
        4 => Just(Vec::new()),
        3 => prop::collection::vec(change.clone(), 1),
        1 => prop::collection::vec(change, 2..4),
    ];
    // Mostly values that are right, of other lengths than before.
    let value = prop_oneof![3 => 15_usize..19, 1 => 0..VALUES.len()];
    let value =
        (prop_oneof![3 => prop::sample::select(vec![8_usize, 10]), 1 => 0..BODY.len()], value);
    let more = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(0..BODY.len(), 1..3)];
    let ahead = prop_oneof![12 => Just(0_u64), 1 => 1_u64..3];
    (0..KINDS.len(), ahead, more, prop::collection::vec(value, 0..3), changes).prop_map(
        |(kind, ahead, more, values, changes)| Recipe { kind, ahead, more, values, changes },
    )
}

impl Recipe {
    fn bytes(&self, version: Version, number: u64) -> Vec<u8> {
        let (msg_type, body) = KINDS[self.kind];
        let mut fields: Vec<String> = [
            format!("8={}", version.begin_string()),
            "9=100".to_owned(),
            format!("35={msg_type}"),
            format!("34={}", number + self.ahead),
            "49=CLIENT".to_owned(),
            "52=20240301-00:00:00.123".to_owned(),
            "56=VENUE".to_owned(),
        ]
        .into();
        for field in body.iter().chain(&self.more) {
            let tag = BODY[*field].split_once('=').expect("a field").0;
            match self.values.iter().find(|(other, _)| other == field) {
                Some((_, value)) => fields.push(format!("{tag}={}", VALUES[*value])),
                None => fields.extend(BODY[*field].split('|').map(str::to_owned)),
            }
        }
        fields.push("10=000".to_owned());
        for change in &self.changes {
            change.fields(&mut fields);
        }
        let mut bytes = fields.join("\x01").into_bytes();
        bytes.push(SOH);
        for change in &self.changes {
            change.bytes(&mut bytes);
        }
        bytes
    }
}

impl Change {
    fn fields(self, fields: &mut Vec<String>) {
        let count = fields.len();
        if count == 0 {
            return;
        }
        let split = |field: &str| {
            let (tag, value) = field.split_once('=').unwrap_or((field, ""));
            (tag.to_owned(), value.to_owned())
        };
        match self {
            Self::Repeat(at, to) => fields.insert(to % count, fields[at % count].clone()),
            Self::Remove(at) => drop(fields.remove(at % count)),
            Self::Swap(at, to) => fields.swap(at % count, to % count),
            Self::Value(at, value) => {
                let (tag, _) = split(&fields[at % count]);
                fields[at % count] = format!("{tag}={}", VALUES[value]);
            }
            Self::Tag(at, tag) => {
                let (_, value) = split(&fields[at % count]);
                fields[at % count] = format!("{}={value}", TAGS[tag]);
            }
            Self::Insert(at, tag, value) => {
                fields.insert(at % count, format!("{}={}", TAGS[tag], VALUES[value]));
            }
            Self::Byte(..) | Self::Cut(_) => {}
        }
    }

    fn bytes(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Byte(at, byte) if !bytes.is_empty() => {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            Self::Cut(length) => bytes.truncate(length),
            _ => {}
        }
    }
}

/// All that can be asked about the fields of a message.
fn assert_same_fields(quick: &Message<'_>, full: &Message<'_>) {
    assert!(quick.iter().eq(full.iter()));
    assert_eq!(quick.len(), full.len());
    assert_eq!(quick.msg_type(), full.msg_type());
    for tag in quick.iter().map(|(tag, _)| tag).chain(0..160).chain([527, 528, 530, 790, 851, 1128])
    {
        assert_eq!(quick.get(tag), full.get(tag), "{tag}");
    }
    assert_eq!(quick.msg_seq_num(), full.msg_seq_num());
    assert_eq!(quick.sending_time_ns(), full.sending_time_ns());
    assert_eq!(quick.is_printable(), full.is_printable());
    assert_eq!(quick.syntax(), full.syntax());
}

/// A session of a client who has logged on.
fn session(version: Version, strictness: Strictness, number: MsgSeqNum) -> Session {
    let config = SessionConfig {
        strictness,
        version,
        ..SessionConfig::new(Role::Acceptor, "VENUE", "CLIENT")
    };
    let mut session = Session::new(config, number, MsgSeqNum::FIRST);
    let application = char::from(version.application.code());
    let logon = format!(
        "8={}|9=1|35=A|34={number}|49=CLIENT|52=20240301-00:00:00|56=VENUE|98=0|108=30|{}10=000|",
        version.begin_string(),
        if version.fixt { format!("1137={application}|") } else { String::new() },
    );
    let bytes = logon.replace('|', "\x01").into_bytes();
    session.handle_connected(NOW_NS);
    let mut fields = Fields::new();
    session.handle_message(NOW_NS, &Message::parse(&bytes, &mut fields).expect("a Logon"));
    while session.poll().is_some() {}
    assert_eq!(session.state(), State::LoggedOn, "{logon}");
    session
}

/// What a session makes of a message.
fn handled(session: &mut Session, message: &Message<'_>) -> (Handled, Vec<Output>, MsgSeqNum) {
    let handled = session.handle_message(NOW_NS, message);
    (handled, std::iter::from_fn(|| session.poll()).collect(), session.next_in())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn both_ways_read_the_same(
        recipes in prop::collection::vec(recipe(), 1..24),
        version in prop::sample::select(Version::ALL.to_vec()),
        strictness in prop::sample::select(vec![Strictness::Strict, Strictness::Lenient]),
    ) {
        let number = MsgSeqNum::new(98);
        let (mut quick_fields, mut full_fields) = (Fields::new(), Fields::new());
        let mut sessions = [session(version, strictness, number), session(version, strictness, number)];
        for recipe in recipes {
            let bytes = recipe.bytes(version, sessions[0].next_in().get());
            let quick = Message::parse(&bytes, &mut quick_fields);
            let full = Message::parse_in_full(&bytes, &mut full_fields);
            let (quick, full) = match (&quick, &full) {
                (Ok(quick), Ok(full)) => (quick, full),
                _ => {
                    prop_assert_eq!(quick.err(), full.err());
                    continue;
                }
            };
            assert_same_fields(quick, full);
            for version in Version::ALL {
                for strictness in [Strictness::Strict, Strictness::Lenient] {
                    let checked = version.dictionary().check(full, strictness);
                    prop_assert_eq!(version.dictionary().check(quick, strictness), checked);
                }
            }
            for version in ApplVerId::ALL {
                let order = OrderMessage::parse(full, version);
                prop_assert_eq!(OrderMessage::parse(quick, version), order);
            }
            let expected = handled(&mut sessions[1], full);
            prop_assert_eq!(handled(&mut sessions[0], quick), expected);
            if sessions[0].state() != State::LoggedOn {
                sessions = [session(version, strictness, number), session(version, strictness, number)];
            }
        }
    }
}

/// Without this the comparison would be one of the full way with itself.
#[test]
fn orders_are_read_the_quick_way() {
    for (kind, (msg_type, body)) in KINDS.into_iter().enumerate() {
        let recipe =
            Recipe { kind, ahead: 0, more: Vec::new(), values: Vec::new(), changes: Vec::new() };
        let mut fields = Fields::new();
        let mut read = |number| {
            let bytes = recipe.bytes(Version::FIX44, number);
            let message = Message::parse(&bytes, &mut fields).expect("fields");
            assert_eq!(message.msg_type(), MsgType::parse(msg_type.as_bytes()));
            assert!(message.is_plain());
            fields.has_layout()
        };
        assert!(!read(9));
        let has_group = body.contains(&28);
        assert_eq!(read(1_000_000), !has_group, "{msg_type}");
        assert_eq!(read(10), !has_group, "{msg_type}");
    }
}
