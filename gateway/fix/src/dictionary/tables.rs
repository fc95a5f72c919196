//! The text of the tables, read for one version.

use super::quick::Rules;
use super::{Codes, Dictionary, FieldDef, GroupDef, Kind, MessageDef, Part, TAGS, TagSet};
use crate::message::MsgType;
use crate::slot::SLOTS;
use crate::version::{ApplVerId, Version};
use std::collections::HashMap;

/// What every version defines, in one text; its head explains it.
const TEXT: &str = include_str!("tables.txt");

impl Dictionary {
    /// The tables of one version. The text is part of the program, so a fault in it is a bug: it panics.
    pub(crate) fn new(version: Version) -> Self {
        let mut reader = Reader::new(version);
        for statement in statements(TEXT) {
            reader.read(&statement);
        }
        reader.dictionary.prepare();
        reader.dictionary
    }
}

/// Words of a statement; a line that is indented goes on with the one before, unless it says what a message
/// requires or is made with.
fn statements(text: &'static str) -> Vec<Vec<&'static str>> {
    let mut statements: Vec<Vec<_>> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut words: Vec<_> = line.split_ascii_whitespace().collect();
        match statements.last_mut() {
            Some(last) if line.starts_with(' ') && !matches!(words[0], "require" | "with") => {
                last.append(&mut words);
            }
            _ => statements.push(words),
        }
    }
    statements
}

/// What of an item is for one version: its name, if the item is.
fn item(word: &'static str, version: ApplVerId) -> Option<&'static str> {
    let Some((name, spans)) = word.split_once(':') else { return Some(word) };
    let within = |span: &str| {
        let (first, last) = span.split_once('-').unwrap_or((span, span));
        let at = |name: &str, open: usize| match name {
            "" => open,
            name => VERSION_NAMES.iter().position(|known| *known == name).expect("a version"),
        };
        (at(first, 0)..=at(last, usize::MAX)).contains(&version.index())
    };
    spans.split(',').any(within).then_some(name)
}

/// Names of the versions in the text, in the order of [`ApplVerId::ALL`].
const VERSION_NAMES: [&str; ApplVerId::ALL.len()] =
    ["40", "41", "42", "43", "44", "50", "51", "52"];

/// A number, or a run of numbers.
fn numbers(name: &str) -> std::ops::RangeInclusive<u16> {
    let (first, last) = name.split_once('-').unwrap_or((name, name));
    first.parse().expect("a number")..=last.parse().expect("a number")
}

/// Builds a dictionary statement by statement.
struct Reader {
    dictionary: Dictionary,
    blocks: HashMap<&'static str, Vec<u16>>,
    /// The version that items of the last statement `message` are read for; none when it's not a message of
    /// this version.
    message: Option<ApplVerId>,
}

impl Reader {
    fn new(version: Version) -> Self {
        let fields = vec![FieldDef::UNDEFINED; TAGS].into_boxed_slice();
        let dictionary = Dictionary {
            version,
            fields: fields.try_into().expect("as many as there are tags"),
            parts: [Part::Body; TAGS],
            session_tags: TagSet::EMPTY,
            messages: Vec::new(),
            letters: [u16::MAX; 128],
            groups: Vec::new(),
            characters: [[0; 2]; SLOTS],
        };
        Self { dictionary, blocks: HashMap::new(), message: None }
    }

    fn read(&mut self, statement: &[&'static str]) {
        let (keyword, words) = statement.split_first().expect("a statement has a word");
        match *keyword {
            "tags" => self.define(words),
            "session" => self.define_session(words),
            "header" => self.place(words, Part::Header),
            "trailer" => self.place(words, Part::Trailer),
            "type" => self.set_kind(words),
            "chars" => self.set_codes(words, chars),
            "numbers" => self.set_codes(words, small_numbers),
            "words" => self.set_codes(words, |words| Codes::Words(words.into())),
            "group" => self.add_group(words),
            "block" => {
                let tags = self.tags(&words[1..], self.dictionary.version.application);
                self.blocks.insert(words[0], tags);
            }
            "message" => self.add_message(words, true),
            "known" => self.add_message(words, false),
            "require" => self.require(words),
            "with" => self.extend(words),
            other => panic!("no such statement: {other}"),
        }
    }

    /// Tags that items stand for in one version; those that the version doesn't define are left out.
    fn tags(&self, words: &[&'static str], version: ApplVerId) -> Vec<u16> {
        let mut tags = Vec::new();
        for name in words.iter().filter_map(|word| item(word, version)) {
            match self.blocks.get(name) {
                Some(block) => tags.extend(block),
                None => tags.extend(numbers(name).filter(|tag| self.defines(*tag))),
            }
        }
        tags
    }

    fn defines(&self, tag: u16) -> bool {
        self.dictionary.fields[usize::from(tag)].kind != Kind::Undefined
    }

    fn define(&mut self, words: &[&'static str]) {
        let application = self.dictionary.version.application;
        for tag in words.iter().filter_map(|word| item(word, application)).flat_map(numbers) {
            assert!(!self.defines(tag), "tag {tag} is defined twice");
            self.dictionary.fields[usize::from(tag)].kind = Kind::Text;
        }
    }

    fn define_session(&mut self, words: &[&'static str]) {
        if !self.dictionary.version.fixt {
            return;
        }
        for tag in words.iter().flat_map(|word| numbers(word)) {
            self.dictionary.fields[usize::from(tag)].kind = Kind::Text;
            let new = self.dictionary.session_tags.insert(u32::from(tag));
            assert!(new, "session tag {tag} is defined twice");
        }
    }

    fn place(&mut self, words: &[&'static str], part: Part) {
        for tag in self.tags(words, self.dictionary.version.session_layer()) {
            let place = &mut self.dictionary.parts[usize::from(tag)];
            assert!(*place == Part::Body, "tag {tag} is placed twice");
            *place = part;
        }
    }

    fn set_kind(&mut self, words: &[&'static str]) {
        let kind = Kind::named(words[0]);
        for tag in self.tags(&words[1..], self.dictionary.version.application) {
            let field = &mut self.dictionary.fields[usize::from(tag)];
            assert!(field.kind == Kind::Text, "tag {tag} has two data types");
            field.kind = kind;
        }
    }

    fn set_codes(&mut self, words: &[&'static str], codes: impl FnOnce(&[&'static str]) -> Codes) {
        let tag: u16 = words[0].parse().expect("a tag");
        let version = self.layer(tag);
        let known: Vec<_> = words[1..].iter().filter_map(|word| item(word, version)).collect();
        if self.defines(tag) && !known.is_empty() {
            let field = &mut self.dictionary.fields[usize::from(tag)];
            assert!(field.codes == Codes::Any, "tag {tag} has two code sets");
            field.codes = codes(&known);
        }
    }

    fn add_group(&mut self, words: &[&'static str]) {
        let count: u16 = words[0].parse().expect("a tag");
        let members = self.tags(&words[1..], self.layer(count));
        if self.defines(count) && !members.is_empty() {
            self.dictionary.groups.push(GroupDef { count, members: members.into() });
        }
    }

    /// The version that defines what a tag means: FIXT.1.1 has its own.
    fn layer(&self, tag: u16) -> ApplVerId {
        let Version { application, .. } = self.dictionary.version;
        let session = self.dictionary.session_tags.has(u32::from(tag));
        if session { self.dictionary.version.session_layer() } else { application }
    }

    fn add_message(&mut self, words: &[&'static str], listed: bool) {
        let &[type_and_versions, name] = words else { panic!("a message has a type and a name") };
        let text = type_and_versions.split(':').next().expect("a type");
        let msg_type = MsgType::of(text.as_bytes());
        let Version { application, .. } = self.dictionary.version;
        let session_layer = self.dictionary.version.session_layer();
        let layer = if msg_type.is_admin() { session_layer } else { application };
        self.message = item(type_and_versions, layer).map(|_| layer);
        if self.message.is_some() {
            let body = listed.then_some(TagSet::EMPTY);
            let def = MessageDef {
                msg_type,
                name,
                required: Box::default(),
                body,
                rules: Rules::default(),
            };
            self.dictionary.messages.push(def);
        }
    }

    fn require(&mut self, words: &[&'static str]) {
        let Some(version) = self.message else { return };
        let required = self.tags(words, version).into();
        self.dictionary.messages.last_mut().expect("a message came before").required = required;
    }

    fn extend(&mut self, words: &[&'static str]) {
        let Some(version) = self.message else { return };
        let tags = self.tags(words, version);
        let def = self.dictionary.messages.last_mut().expect("a message came before");
        for tag in tags {
            def.body.get_or_insert(TagSet::EMPTY).insert(u32::from(tag));
        }
    }
}

/// Code sets of single characters.
fn chars(words: &[&'static str]) -> Codes {
    let bytes = words.iter().flat_map(|word| word.bytes());
    Codes::Chars(bytes.fold(0, |bits, byte| bits | 1 << byte))
}

/// Code sets of numbers.
fn small_numbers(words: &[&'static str]) -> Codes {
    let numbers = words.iter().flat_map(|word| numbers(word));
    Codes::Numbers(numbers.fold(0, |bits, number| bits | 1 << number))
}

impl Kind {
    /// The data type with its name in the text.
    fn named(name: &str) -> Self {
        let all = [
            Self::Char,
            Self::Boolean,
            Self::Int,
            Self::Count,
            Self::Group,
            Self::Float,
            Self::Timestamp,
            Self::Time,
            Self::Date,
            Self::MonthYear,
            Self::Currency,
            Self::Country,
            Self::MultipleValue,
            Self::Data,
        ];
        all.into_iter().find(|kind| format!("{kind:?}") == name).expect("a data type")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::{GROUP_DEPTH_MAX, HEADER_REQUIRED, Strictness};
    use crate::message::{Fields, Message};
    use proptest::prelude::*;

    /// Tags and types of each version as its specification has them; from FIX 5.0 on with those of FIXT.1.1,
    /// FIX 5.0 SP2 up to tag 1621.
    #[test]
    fn every_version_is_whole() {
        let counts: Vec<_> = Version::ALL
            .into_iter()
            .map(|version| {
                let dictionary = Dictionary::new(version);
                let tags = (0..TAGS as u32).filter(|tag| dictionary.field(*tag).is_some());
                (tags.count(), dictionary.messages.len())
            })
            .collect();
        assert_eq!(counts, COUNTS);
    }

    const COUNTS: [(usize, usize); 8] = [
        (138, 27),
        (206, 28),
        (405, 46),
        (635, 68),
        (912, 93),
        (1101, 101),
        (1373, 113),
        (1570, 164),
    ];

    #[test]
    fn the_tables_agree_with_themselves() {
        let fixt = ApplVerId::ALL.map(|application| Version { application, fixt: true });
        for version in Version::ALL.into_iter().chain(fixt) {
            let dictionary = Dictionary::new(version);
            for def in &dictionary.messages {
                let known = |tag: &u16| dictionary.has(def.msg_type, u32::from(*tag));
                assert!(def.required.iter().all(known), "{version} {}", def.name);
                let alike =
                    dictionary.messages.iter().filter(|other| other.msg_type == def.msg_type);
                assert_eq!(alike.count(), 1, "{version} {}", def.name);
            }
            for group in &dictionary.groups {
                let count = u32::from(group.count);
                assert_eq!(
                    dictionary.field(count).map(|def| def.kind),
                    Some(Kind::Group),
                    "{count}"
                );
                assert!(
                    group.members.iter().all(|tag| dictionary.field(u32::from(*tag)).is_some())
                );
                let alike = dictionary.groups.iter().filter(|other| other.count == group.count);
                assert_eq!(alike.count(), 1, "{version} {count}");
            }
            assert!(HEADER_REQUIRED.iter().all(|tag| dictionary.is_header(u32::from(*tag))));
            assert!(dictionary.is_trailer(10));
        }
    }

    #[test]
    fn groups_are_nested_as_deep_as_is_followed() {
        fn depth(dictionary: &Dictionary, count: u16) -> usize {
            let group = dictionary.group(count.into());
            let within = |group: &GroupDef| {
                group.members.iter().map(|member| depth(dictionary, *member)).max().unwrap_or(0)
            };
            group.map_or(0, |group| 1 + within(group))
        }
        let deepest = Version::ALL.into_iter().map(|version| {
            let dictionary = Dictionary::new(version);
            let groups = dictionary.groups.iter().map(|group| depth(&dictionary, group.count));
            groups.max().unwrap_or(0)
        });
        assert_eq!(deepest.max(), Some(GROUP_DEPTH_MAX));
    }

    #[test]
    fn what_the_text_says_twice_is_refused() {
        for text in [
            "tags 1-9 9",
            "tags 1\ntags 1",
            "session 8 8",
            "tags 8\nheader 8\ntrailer 8",
            "tags 6\ntype Char 6\ntype Float 6",
            "tags 6\nchars 6 A\nnumbers 6 1",
        ] {
            let read = || {
                let mut reader = Reader::new(Version::of(ApplVerId::Fix50));
                statements(text).iter().for_each(|statement| reader.read(statement));
            };
            assert!(std::panic::catch_unwind(read).is_err(), "{text}");
        }
    }

    /// A NumInGroup field without members would let any of its instances pass.
    #[test]
    fn groups_of_listed_messages_have_members() {
        /// Groups of which only the count is known: allocations of orders, reported by others.
        const COUNT_ONLY: [u16; 1] = [73];
        for version in Version::ALL {
            let dictionary = Dictionary::new(version);
            let counts = (0..TAGS as u16).filter(|tag| {
                let field = dictionary.field(u32::from(*tag));
                field.is_some_and(|def| def.kind == Kind::Group) && !COUNT_ONLY.contains(tag)
            });
            for count in counts {
                let group = dictionary.groups.iter().find(|group| group.count == count);
                assert!(group.is_some(), "{version} {count}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_checked_never_panics(
            fields in prop::collection::vec((1_u32..1_700, "[0-9A-Z]{0,2}|[0-9]{8}-[0-9:]{8}"), 0..40),
            msg_type in prop::sample::select(&["D", "8", "F", "q", "A", "d", "C", "5", "zz"][..]),
        ) {
            let fields: String = fields.iter().map(|(tag, value)| format!("{tag}={value}\x01")).collect();
            let bytes = format!("8=FIX\x019=1\x0135={msg_type}\x0149=A\x0156=B\x0134=1\x0152=20240301-00:00:00\x01{fields}");
            let mut table = Fields::new();
            if let Ok(message) = Message::parse(bytes.as_bytes(), &mut table) {
                for version in Version::ALL {
                    let dictionary = version.dictionary();
                    let strict = dictionary.check(&message, Strictness::Strict);
                    let lenient = dictionary.check(&message, Strictness::Lenient);
                    prop_assert!(strict.is_err() || lenient.is_ok());
                }
            }
        }
    }

    #[test]
    fn items_are_for_the_versions_they_name() {
        use ApplVerId::{Fix40, Fix41, Fix42, Fix43, Fix44, Fix50, Fix50Sp1, Fix50Sp2};
        for (word, versions) in [
            ("9", &ApplVerId::ALL[..]),
            ("9:42", &[Fix42]),
            ("9:50-", &[Fix50, Fix50Sp1, Fix50Sp2]),
            ("9:-41", &[Fix40, Fix41]),
            ("9:41-43", &[Fix41, Fix42, Fix43]),
            ("9:-40,42,44-50,52", &[Fix40, Fix42, Fix44, Fix50, Fix50Sp2]),
        ] {
            let known =
                ApplVerId::ALL.into_iter().filter(|version| item(word, *version) == Some("9"));
            assert!(known.eq(versions.iter().copied()), "{word}");
        }
        assert!(numbers("7").eq([7]) && numbers("7-9").eq([7, 8, 9]));
    }
}
