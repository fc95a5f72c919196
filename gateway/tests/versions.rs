//! Every version of FIX on one port: the same orders, in the words of each.

mod common;

use std::{collections::BTreeMap, net::SocketAddr};

use common::{FixClient, Flaw, Msg, TestVenue, assert_same, assert_valid, now, resend};
use ironbook_fix::version::{ApplVerId, Version};

/// What a version says otherwise than its neighbours, in the expectations of [`story`].
struct Words {
    version: Version,
    /// DefaultApplVerID (1137) of the Logon.
    logon: &'static str,
    /// A new order.
    new: &'static str,
    /// A fill of a part, and of the rest.
    trade: [&'static str; 2],
    replaced: &'static str,
    status: &'static str,
    canceled: &'static str,
    /// An order with a price off the tick, and one with something that the venue does not have.
    rejected: [&'static str; 2],
    /// A cancel of an unknown order.
    cancel_rejected: &'static str,
    /// A message of a type that the venue does not have, one of no type, a tag that does not exist.
    refused: [&'static str; 3],
    /// A mass cancel, and what follows for the order.
    mass_cancel: [&'static str; 2],
}

/// What most versions say.
const FIX_4_4: Words = Words {
    version: Version::FIX44,
    logon: "",
    new: "150=0|39=0|20=-|151=40|14=0",
    trade: [
        "150=F|39=1|20=-|32=40|31=10.00|527=*|880=-|851=1",
        "150=F|39=2|20=-|32=60|151=0|880=-",
    ],
    replaced: "150=5|39=0|20=-|41=b2",
    status: "150=I|39=0|20=-|17=0",
    canceled: "150=4|39=4|20=-|41=b3",
    rejected: ["150=8|39=8|103=99|37=NONE|20=-", "150=8|39=8|103=11|20=-"],
    cancel_rejected: "102=1|434=1|39=8|41=nobody|37=NONE",
    refused: [
        "35=j|372=6|380=3|45=*",
        "35=3|58=Invalid MsgType|372=ZZ|373=11",
        "35=3|58=Invalid tag number|371=4999|372=0|373=0",
    ],
    mass_cancel: ["35=r|531=7|533=1|11=m1|1369=-", "35=8|150=4|39=4|11=b4"],
};

const FIX_4_3: Words = Words {
    version: Version::of(ApplVerId::Fix43),
    trade: ["150=F|39=1|20=-|32=40|31=10.00|527=*|851=-", "150=F|39=2|20=-|32=60|151=0"],
    rejected: ["150=8|39=8|103=0|37=NONE|20=-", "150=8|39=8|103=11|20=-"],
    ..FIX_4_4
};

const FIX_4_2: Words = Words {
    version: Version::of(ApplVerId::Fix42),
    new: "150=0|39=0|20=0|151=40|14=0",
    trade: ["150=1|39=1|20=0|32=40|31=10.00|527=-|851=-", "150=2|39=2|20=0|32=60|151=0"],
    replaced: "150=5|39=5|20=0|41=b2",
    status: "150=0|39=0|20=3|17=0",
    canceled: "150=4|39=4|20=0|41=b3",
    rejected: ["150=8|39=8|103=0|37=NONE|20=0", "150=8|39=8|103=0|20=0"],
    mass_cancel: ["35=3|58=Invalid MsgType|372=q|373=11", ""],
    ..FIX_4_4
};

const FIX_4_1: Words = Words {
    version: Version::of(ApplVerId::Fix41),
    rejected: [
        "150=8|39=8|103=0|37=NONE|20=0|38=1|32=0|31=0",
        "150=8|39=8|103=0|20=0|38=1|32=0|31=0",
    ],
    cancel_rejected: "102=1|434=-|39=8|41=nobody|37=NONE|60=-",
    refused: [
        "35=3|58=Unsupported Message Type|45=*|372=-",
        "35=3|58=Invalid MsgType|45=*|372=-|373=-",
        "35=3|58=Invalid tag number (4999)|45=*|371=-|372=-|373=-",
    ],
    mass_cancel: ["35=3|58=Invalid MsgType|372=-|373=-", ""],
    ..FIX_4_2
};

const FIX_4_0: Words = Words {
    version: Version::of(ApplVerId::Fix40),
    new: "150=-|39=0|20=0|151=-|14=0|32=0",
    trade: ["150=-|39=1|20=0|32=40|31=10.00|151=-", "150=-|39=2|20=0|32=60|151=-"],
    replaced: "150=-|39=5|20=0|41=-|11=b3",
    status: "150=-|39=0|20=3|17=0",
    canceled: "150=-|39=4|20=0|41=-|11=b3c",
    rejected: ["150=-|39=8|103=0|37=NONE|20=0", "150=-|39=8|103=0|20=0"],
    cancel_rejected: "102=1|434=-|39=-|41=-|37=NONE",
    ..FIX_4_1
};

const FIX_5_0: Words = Words { version: Version::of(ApplVerId::Fix50), logon: "1137=7", ..FIX_4_4 };

const FIX_5_0_SP1: Words = Words {
    version: Version::of(ApplVerId::Fix50Sp1),
    logon: "1137=8",
    trade: [
        "150=F|39=1|20=-|32=40|31=10.00|527=*|880=*|851=1",
        "150=F|39=2|20=-|32=60|151=0|880=*",
    ],
    mass_cancel: ["35=r|531=7|533=1|11=m1|1369=*", "35=8|150=4|39=4|11=b4"],
    ..FIX_5_0
};

const FIX_5_0_SP2: Words =
    Words { version: Version::of(ApplVerId::Fix50Sp2), logon: "1137=9", ..FIX_5_0_SP1 };

const FIX_4_4_OVER_FIXT: Words =
    Words { version: Version { fixt: true, ..Version::FIX44 }, logon: "1137=6", ..FIX_4_4 };

const ALL: [Words; 9] = [
    FIX_4_0,
    FIX_4_1,
    FIX_4_2,
    FIX_4_3,
    FIX_4_4,
    FIX_4_4_OVER_FIXT,
    FIX_5_0,
    FIX_5_0_SP1,
    FIX_5_0_SP2,
];

/// A client that speaks a version, checks that what it gets is strictly of that version, and leaves out of
/// its requests what the version does not have.
struct Speaker {
    version: Version,
    fix: FixClient,
    originals: BTreeMap<u64, Msg>,
}

impl Speaker {
    #[track_caller]
    fn log_on(address: SocketAddr, comp_id: &str, version: Version) -> Self {
        Self::resume(address, comp_id, version, (1, 1)).0
    }

    #[track_caller]
    fn resume(
        address: SocketAddr,
        comp_id: &str,
        version: Version,
        (next_out, next_in): (u64, u64),
    ) -> (Self, Msg) {
        let mut fix = FixClient::connect(address, comp_id);
        fix.begin_string = version.begin_string();
        (fix.next_out, fix.next_in) = (next_out, next_in);
        let mut speaker = Self { version, fix, originals: BTreeMap::new() };
        speaker.fix.send("A", &speaker.logon());
        let answer = speaker.fix.receive().expect("an answer to the Logon");
        assert_eq!(answer.kind(), "A", "{version}: {answer:?}");
        speaker.fix.next_in = answer.seq() + 1;
        speaker.check(&answer);
        speaker.originals.insert(answer.seq(), answer.clone());
        (speaker, answer)
    }

    fn logon(&self) -> String {
        let code = char::from(self.version.application.code());
        let default = if self.version.fixt { format!("|1137={code}") } else { String::new() };
        format!("98=0|108=60{default}")
    }

    /// A message is one of the version, and says when it was sent as the version does.
    #[track_caller]
    fn check(&self, message: &Msg) {
        assert_valid(self.version, message);
        let fraction = self.version.session_layer() >= ApplVerId::Fix42;
        let sent = message.get(52).expect("SendingTime");
        assert_eq!(sent.contains('.'), fraction, "{message:?}");
    }

    /// Expects fields, where `tag=-` says that there is none.
    #[track_caller]
    fn expect(&mut self, spec: &str) -> Msg {
        let (absent, present): (Vec<&str>, Vec<&str>) =
            spec.split('|').partition(|part| part.ends_with("=-"));
        let message = self.fix.expect(&present.join("|"));
        for part in absent {
            let tag = part.trim_end_matches("=-").parse().expect("a number as tag");
            assert_eq!(message.get(tag), None, "{}: {spec}\n{message:?}", self.version);
        }
        self.check(&message);
        self.originals.insert(message.seq(), message.clone());
        message
    }

    /// Sends a request; its version decides on HandlInst, TransactTime, CxlType and OrderQty.
    fn ask(&mut self, kind: &str, body: &str) -> u64 {
        let version = self.version.application;
        let mut body = body.to_owned();
        if version < ApplVerId::Fix44 && matches!(kind, "D" | "G") {
            body += "|21=1";
        }
        if version == ApplVerId::Fix40 && kind == "F" {
            body += "|125=F|38=1";
        }
        if version >= ApplVerId::Fix42 && matches!(kind, "D" | "F" | "G" | "q") {
            body += &format!("|60={}", now());
        }
        self.fix.send(kind, &body)
    }
}

/// Everything an order session says, in the words of a version; gives the client with all it was told.
fn story(venue: &TestVenue, words: &Words) -> Speaker {
    let version = words.version;
    let (mut a, answer) = Speaker::resume(venue.address(), "A", version, (1, 1));
    assert!(answer.matches(&format!("98=0|108=60|{}", words.logon)), "{answer:?}");
    assert_eq!(answer.get(1137).is_some(), version.fixt);
    a.ask("D", "11=s1|1=ACC1|55=AAPL|54=2|38=100|40=2|44=10.00|59=1");
    a.expect("35=8|39=0|11=s1|1=ACC1|55=AAPL|54=2|38=100|44=10.00|59=1");
    a.ask("D", "11=b1|55=AAPL|54=1|38=40|40=2|44=10.00");
    a.expect(&format!("35=8|11=b1|{}", words.new));
    a.expect(&format!("35=8|11=s1|{}", words.trade[0]));
    a.expect("35=8|11=b1|39=2|14=40|6=10.00");
    a.ask("D", "11=b2|55=AAPL|54=1|38=60|40=1|59=3");
    a.expect("35=8|11=b2|39=0|40=1");
    a.expect(&format!("35=8|11=s1|{}", words.trade[1]));
    a.expect("35=8|11=b2|39=2");
    a.ask("D", "11=b2x|55=AAPL|54=1|38=5|40=1|59=3");
    a.expect("35=8|11=b2x|39=0");
    a.expect("35=8|11=b2x|39=4|58=market order: nothing left on the other side");

    a.ask("D", "11=b2|55=AAPL|54=1|38=5|40=2|44=1.00");
    a.expect("35=8|11=b2|39=8|58=this ClOrdID was used before by this session");
    a.ask("D", "11=b20|55=AAPL|54=1|38=5|40=2|44=1.00");
    a.expect("35=8|11=b20|39=0");
    a.ask("G", "41=b20|11=b3|55=AAPL|54=1|38=7|40=2|44=1.00");
    a.expect(&format!("35=8|11=b3|38=7|{}", words.replaced.replace("b2", "b20")));
    // What a request for the status of an order is called comes back in versions that have a word for it.
    let request = if version.application >= ApplVerId::Fix44 { "|790=Q1" } else { "" };
    a.ask("H", &format!("11=b3|55=AAPL|54=1{request}"));
    a.expect(&format!("35=8|11=b3{request}|{}", words.status));
    a.ask("F", "41=b3|11=b3c|55=AAPL|54=1");
    a.expect(&format!("35=8|11=b3c|{}", words.canceled));
    a.ask("H", &format!("11=none|55=AAPL|54=1{request}"));
    a.expect(&format!("35=8|11=none|39=8|37=NONE{request}"));

    a.ask("D", "11=r1|55=AAPL|54=1|38=1|40=2|44=0.001");
    a.expect(&format!("35=8|11=r1|{}", words.rejected[0]));
    a.ask("D", "11=r2|55=AAPL|54=1|38=1|40=2|44=1.00|110=1");
    a.expect(&format!("35=8|11=r2|{}", words.rejected[1]));
    a.ask("F", "41=nobody|11=c9|55=AAPL|54=1");
    a.expect(&format!("35=9|11=c9|{}", words.cancel_rejected));
    a.ask("G", "41=nobody|11=c10|55=AAPL|54=1|38=7|40=2|44=1.00|110=1");
    a.expect("35=9|11=c10|58=MinQty(110) is not supported here; leave it out");

    a.fix.send("6", "");
    a.expect(words.refused[0]);
    a.fix.send("ZZ", "");
    a.expect(words.refused[1]);
    a.fix.send("0", "4999=1");
    a.expect(words.refused[2]);

    a.ask("D", "11=b4|55=AAPL|54=1|38=1|40=2|44=1.00");
    a.expect("35=8|11=b4|39=0");
    a.ask("q", "11=m1|530=7");
    let [report, order] = words.mass_cancel;
    a.expect(report);
    if order.is_empty() {
        a.ask("F", "41=b4|11=b4c|55=AAPL|54=1");
        a.expect("35=8|11=b4c|39=4");
    } else {
        a.expect(order);
    }
    ask_of_instruments(&mut a, words);
    a.fix.ping();
    let pong = a.fix.next_in - 1;
    let answer = Msg(a.fix.build("0", pong, "", Flaw::None));
    a.originals.insert(pong, answer);
    a
}

/// Asks for the list of securities, and for the status of one.
fn ask_of_instruments(a: &mut Speaker, words: &Words) {
    let version = words.version.application;
    let refused = |kind: &str| {
        let [_, unknown, _] = words.refused;
        unknown.replace("372=ZZ", &format!("372={kind}"))
    };
    a.ask("x", "320=l1|559=4");
    let fields = match version {
        ApplVerId::Fix40 | ApplVerId::Fix41 | ApplVerId::Fix42 => None,
        ApplVerId::Fix43 => Some("893=-|969=-|1140=-|1149=-"),
        ApplVerId::Fix44 => Some("893=Y|969=-|1140=-|1149=-"),
        ApplVerId::Fix50 => Some("893=Y|969=0.01|1140=-|1149=-"),
        ApplVerId::Fix50Sp1 | ApplVerId::Fix50Sp2 => {
            Some("893=Y|969=0.01|1140=999999999999999999|1149=687194767.35")
        }
    };
    match fields {
        None => a.expect(&refused("x")),
        Some(fields) => {
            a.expect(&format!("35=y|320=l1|322=*|560=0|393=2|146=2|55=AAPL|561=1|562=1|{fields}"))
        }
    };
    a.ask("e", "324=s1|55=AAPL|263=0");
    match version < ApplVerId::Fix42 {
        true => a.expect(&refused("e")),
        false => a.expect("35=f|324=s1|55=AAPL|326=17"),
    };
}

#[test]
fn every_version_tells_the_same_story() {
    for words in &ALL {
        let mut venue = TestVenue::start();
        let mut a = story(&venue, words);
        let last = a.fix.next_in - 1;
        let infinity = if words.version.application < ApplVerId::Fix42 { 999_999 } else { 0 };
        let again = resend(&mut a.fix, (1, infinity), last, &mut Vec::new());
        assert_same(&again, &a.originals);
        for message in again.values().flatten() {
            a.check(message);
        }
        // A number is missing: the venue asks for it, up to what the version calls infinity.
        let missing = a.fix.next_out;
        a.fix.next_out += 1;
        a.fix.send("0", "");
        a.expect(&format!("35=2|7={missing}|16={infinity}"));
        a.fix.next_out = missing;
        a.fix.send("4", &format!("36={}|123=Y", missing + 2));
        a.fix.next_out = missing + 2;
        let (numbers, originals) = (a.fix.log_out(), a.originals);

        venue.restart();
        let (mut a, answer) = Speaker::resume(venue.address(), "A", words.version, numbers);
        assert_eq!(answer.seq(), numbers.1, "{}", words.version);
        let again = resend(&mut a.fix, (1, last), last, &mut Vec::new());
        assert_same(&again, &originals);
        common::replay(&venue.journal());
    }
}

#[test]
fn a_resend_speaks_the_version_of_its_connection() {
    let mut venue = TestVenue::start();
    let told = story(&venue, &FIX_5_0_SP2);
    let last = told.fix.next_in - 1;
    let (mut numbers, originals) = (told.fix.log_out(), told.originals);
    venue.restart();
    for words in &ALL {
        let version = words.version;
        let (mut a, _) = Speaker::resume(venue.address(), "A", version, numbers);
        let again = resend(&mut a.fix, (1, last), last, &mut Vec::new());
        let mut filled = Vec::new();
        for (seq, message) in again {
            let original = &originals[&seq];
            let Some(message) = message else {
                filled.push(original.kind().to_owned());
                continue;
            };
            a.check(&message);
            // Its content is that of the original, in other words.
            for tag in [35, 11, 37, 54, 55, 44, 6, 14] {
                assert_eq!(message.get(tag), original.get(tag), "{tag} of {version}: {message:?}");
            }
        }
        // Beside session messages only what the version has no message for.
        filled.retain(|kind| !matches!(kind.as_str(), "0" | "1" | "2" | "3" | "4" | "5" | "A"));
        let expected: &[&str] = match version.application {
            ApplVerId::Fix40 | ApplVerId::Fix41 => &["j", "r", "y", "f"],
            ApplVerId::Fix42 => &["r", "y"],
            _ => &[],
        };
        assert_eq!(filled, expected, "{version}");
        numbers = a.fix.log_out();
    }
}

#[test]
fn a_session_may_be_kept_to_some_versions() {
    let venue = TestVenue::start_with(|config| {
        config.sessions[0].versions = vec!["FIX.4.2".to_owned(), "FIX.5.0SP1".to_owned()];
    });
    let mut numbers = (1, 1);
    for version in Version::ALL {
        let allowed = matches!(version.application, ApplVerId::Fix42 | ApplVerId::Fix50Sp1);
        if allowed {
            numbers = Speaker::resume(venue.address(), "A", version, numbers).0.fix.log_out();
            continue;
        }
        let mut a = FixClient::connect(venue.address(), "A");
        a.begin_string = version.begin_string();
        (a.next_out, a.next_in) = numbers;
        let code = char::from(version.application.code());
        let default = if version.fixt { format!("|1137={code}") } else { String::new() };
        a.send("A", &format!("98=0|108=60{default}"));
        a.expect("35=5|58=This version of FIX is not allowed for this session");
        a.expect_closed();
        numbers.1 = a.next_in;
    }
    // Over FIXT.1.1 a message may be of another version, of those that are allowed.
    let version = Version::of(ApplVerId::Fix50Sp1);
    let (mut a, _) = Speaker::resume(venue.address(), "A", version, numbers);
    let order = "55=AAPL|54=1|38=5|40=2|44=1.00|60=20240301-00:00:00";
    a.fix.send("D", &format!("1128=4|11=x1|{order}|21=1"));
    a.expect("35=8|11=x1|150=0");
    a.fix.send("D", &format!("1128=4|11=x2|{order}"));
    a.expect("35=3|371=21|373=1");
    for other in ["9", "1", "44"] {
        a.fix.send("D", &format!("1128={other}|11=x3|{order}"));
        a.expect("35=3|371=1128|373=18|372=D");
    }
    a.fix.send("A", "98=0|108=60|1137=9|141=Y");
    a.expect("35=5|58=The version can't change while logged on");
    a.fix.expect_closed();
}

#[test]
fn a_drop_copy_of_an_old_version_misses_nothing_it_has_words_for() {
    let venue = TestVenue::start();
    let mut copy = Speaker::log_on(venue.address(), "COPY", FIX_4_2.version);
    let told = story(&venue, &FIX_4_4);
    let reports = told.originals.values().filter(|original| {
        matches!(original.kind(), "8" | "9" | "r")
            && !original
                .get(17)
                .is_some_and(|id| id.starts_with(|first: char| first.is_ascii_uppercase()))
            && original.get(58) != Some("MinQty(110) is not supported here; leave it out")
    });
    for original in reports {
        if original.kind() == "r" {
            let next = copy.fix.next_in + 1;
            copy.expect(&format!("35=4|123=Y|36={next}"));
        } else {
            let found = copy.expect(&format!("35={}", original.kind()));
            for tag in [11, 17, 37, 54, 14, 6] {
                assert_eq!(found.get(tag), original.get(tag), "{tag} of {found:?}");
            }
        }
    }
    copy.fix.send("D", "11=x");
    copy.expect("35=3|371=21|373=1");
    copy.ask("D", "11=d|55=AAPL|54=1|38=5|40=2|44=1.00");
    copy.expect("35=j|372=D|380=0");
    copy.fix.ping();
}

#[test]
fn an_average_price_has_more_decimals_than_prices_where_it_takes_them() {
    let venue = TestVenue::start();
    let mut a = Speaker::log_on(venue.address(), "A", FIX_4_4.version);
    for (number, price) in ["10.00", "10.01", "10.01"].into_iter().enumerate() {
        a.ask("D", &format!("11=s{number}|55=AAPL|54=2|38=1|40=2|44={price}"));
        a.expect("35=8|39=0");
    }
    a.ask("D", "11=b|55=AAPL|54=1|38=3|40=2|44=10.01");
    a.expect("35=8|11=b|39=0|6=0.00");
    for average in ["10.00", "10.005", "10.006667"] {
        a.expect("35=8|54=2|39=2");
        a.expect(&format!("35=8|11=b|150=F|6={average}"));
    }
}

#[test]
fn a_partial_cancel_of_fix_4_0_takes_nothing() {
    let venue = TestVenue::start();
    let mut a = Speaker::log_on(venue.address(), "A", FIX_4_0.version);
    a.ask("D", "11=b1|55=AAPL|54=1|38=5|40=2|44=1.00");
    a.expect("35=8|11=b1|39=0");
    a.fix.send("F", "41=b1|11=c1|55=AAPL|54=1|38=2|125=P");
    a.expect("35=9|11=c1|58=CxlType(125) P is not supported here; replace the order instead");
    a.ask("H", "11=b1|55=AAPL|54=1");
    a.expect("35=8|11=b1|39=0|14=0");
    a.ask("F", "41=b1|11=c2|55=AAPL|54=1");
    a.expect("35=8|11=c2|39=4");
}

#[test]
fn a_request_whose_answer_has_no_words_is_refused() {
    let venue = TestVenue::start();
    let order = "55=AAPL|54=1|38=5|44=1.00|60=20240301-00:00:00";
    let text = "58=the session's version has no words for the answer; log on with the request's";
    let mut numbers = (1, 1);
    for (application, refused) in [
        (ApplVerId::Fix44, "35=j|380=0|379=x1"),
        (ApplVerId::Fix42, "35=j|380=0|379=x1"),
        (ApplVerId::Fix41, "35=3"),
    ] {
        let version = Version { application, fixt: true };
        let (mut a, _) = Speaker::resume(venue.address(), "A", version, numbers);
        a.fix.send("D", &format!("1128=9|11=x1|{order}|40=Q"));
        a.expect(&format!("{refused}|372=D|{text}"));
        a.fix.send("q", "1128=9|11=x1|530=7|60=20240301-00:00:00");
        if application < ApplVerId::Fix43 {
            a.expect(&format!("{refused}|372=q|{text}"));
        } else {
            a.expect("35=r|11=x1|531=7");
        }
        // What it has words for is answered in them.
        a.fix.send("D", &format!("1128=9|11={application:?}|{order}|40=2"));
        a.expect("35=8|39=0");
        numbers = a.fix.log_out();
    }
}

#[test]
fn codes_of_a_later_version_are_not_sent_again_in_an_earlier_one() {
    let venue = TestVenue::start();
    let (mut a, _) = Speaker::resume(venue.address(), "A", FIX_5_0_SP2.version, (1, 1));
    a.ask("D", "11=x1|55=AAPL|54=1|38=5|40=Q|44=1.00");
    a.expect("35=8|11=x1|39=8|103=11|40=Q");
    a.ask("D", "11=x2|55=AAPL|54=1|38=5|40=P|44=1.00");
    a.expect("35=8|11=x2|39=8|103=11|40=P");
    let mut numbers = a.fix.log_out();
    for (words, sent) in [(&FIX_4_4, false), (&FIX_4_4_OVER_FIXT, false), (&FIX_5_0_SP2, true)] {
        let (mut a, _) = Speaker::resume(venue.address(), "A", words.version, numbers);
        let again = resend(&mut a.fix, (1, 3), 3, &mut Vec::new());
        for message in again.values().flatten() {
            a.check(message);
        }
        assert_eq!([again[&2].is_some(), again[&3].is_some()], [sent, true], "{}", words.version);
        numbers = a.fix.log_out();
    }
}
