//! A session alone against rows of text, and two sessions against each other under virtual time.

use super::*;
use crate::codec::{Framed, checksum, frame};
use crate::message::Fields;
use proptest::prelude::*;

const SECOND: u64 = NANOS_PER_SECOND;
/// 2024-03-01 00:00:00
const START: u64 = 1_709_251_200 * SECOND;

/// Text with `|` for SOH as a whole message. Names and times of the header are added where the row has none.
fn whole(now_ns: u64, row: &str) -> Vec<u8> {
    let mut header = TimestampText::new(Precision::Millis);
    let mut time = [0; crate::field::TIMESTAMP_TEXT_MAX];
    let length = header.write(&mut time, now_ns);
    let time = std::str::from_utf8(&time[..length]).unwrap();
    let has = |tag: &str| row.split('|').any(|field| field.starts_with(tag));
    let (first, rest) = row.split_once('|').unwrap_or((row, ""));
    let mut body = format!("{first}|");
    for (tag, value) in [("49=", "CLIENT"), ("56=", "VENUE"), ("52=", time)] {
        if !has(tag) {
            body += &format!("{tag}{value}|");
        }
    }
    body += rest;
    let (begin, body) = match body.strip_prefix("8=").and_then(|row| row.split_once('|')) {
        Some((begin, body)) => (begin.to_owned(), body.to_owned()),
        None => ("FIX.4.4".to_owned(), body),
    };
    let body = body.replace('|', "\x01");
    let mut out = format!("8={begin}\x019={}\x01{body}", body.len()).into_bytes();
    let sum = checksum(&out);
    out.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
    out
}

fn acceptor() -> Session {
    let config = SessionConfig::new(Role::Acceptor, "VENUE", "CLIENT");
    let mut session = Session::new(config, MsgSeqNum::FIRST, MsgSeqNum::FIRST);
    session.handle_connected(START);
    session
}

/// Gives a session one message, and those it was missing for, transmitting at once; what came of it as text.
fn play(session: &mut Session, now_ns: u64, row: &str) -> String {
    let (mut said, mut held, mut fields) = (Vec::new(), Vec::new(), Fields::new());
    let bytes = whole(now_ns, row);
    let message = Message::parse(&bytes, &mut fields).unwrap();
    match session.handle_message(now_ns, &message) {
        Handled::Application(seq) => said.push(format!("app {seq}")),
        Handled::Consumed => {}
        Handled::Held => said.push("held".to_owned()),
        Handled::Ignored => said.push("ignored".to_owned()),
    }
    drain(session, now_ns, &mut said);
    while session.release_held(&mut held) {
        let message = Message::parse(&held, &mut fields).unwrap();
        if let Handled::Application(seq) = session.handle_message(now_ns, &message) {
            said.push(format!("app {seq}"));
        }
        drain(session, now_ns, &mut said);
    }
    said.join("; ")
}

fn drain(session: &mut Session, now_ns: u64, said: &mut Vec<String>) {
    while let Some(output) = session.poll() {
        said.push(match output {
            Output::Send(request) => {
                let seq =
                    session.transmit(now_ns, request.msg_type(), request.body(), &mut Vec::new());
                let body = String::from_utf8_lossy(request.body()).replace('\x01', "|");
                format!("{} #{seq} {}", request.msg_type(), body.trim_end_matches('|'))
            }
            Output::Resend { begin, end } => format!("resend {begin}..{end}"),
            Output::ResendThroughLogon { begin } => format!("resend {begin} to Logon"),
            Output::ResetSequence => {
                session.reset_outbound();
                "reset".to_owned()
            }
            Output::LoggedOn => "on".to_owned(),
            Output::LoggedOut => "off".to_owned(),
            Output::Disconnect(reason) => format!("close {reason:?}"),
        });
    }
}

/// Rows of (message, what comes of it), each group a new acceptor.
fn scenario(rows: &[(&str, &str)]) {
    let mut session = acceptor();
    for (number, (row, expected)) in rows.iter().enumerate() {
        let got = play(&mut session, START, row);
        assert_eq!(got.replace(" ;", ";").trim_end(), *expected, "row {number}: {row}");
    }
}

const LOGON: (&str, &str) = ("35=A|34=1|98=0|108=30|", "A #1 98=0|108=30; on");
const ORDER: &str = "|11=1|55=A|54=1|60=20240301-00:00:00|38=1|40=1|";

#[test]
fn logon_and_logout() {
    scenario(&[LOGON, ("35=5|34=2|", "5 #2; off; close LoggedOut"), ("35=0|34=3|", "ignored")]);
}

#[test]
fn a_bad_first_message_learns_nothing() {
    for row in [
        "35=0|34=1|",
        "35=A|34=1|49=OTHER|98=0|108=30|",
        "35=A|34=1|56=OTHER|98=0|108=30|",
        "35=A|34=1|52=20010101-00:00:00|98=0|108=30|",
        "35=A|98=0|108=30|",
        "35=A|34=x|98=0|108=30|",
        "8=FIX.3.9|35=A|34=1|49=CLIENT|56=VENUE|52=20240301-00:00:00|98=0|108=30|",
        "8=FIX.5.0|35=A|34=1|49=CLIENT|56=VENUE|52=20240301-00:00:00|98=0|108=30|",
        "8=FIXT.1.1|35=A|34=1|49=CLIENT|56=VENUE|52=20240301-00:00:00|98=0|108=30|",
        "8=FIXT.1.1|35=A|34=1|49=CLIENT|56=VENUE|52=20240301-00:00:00|98=0|108=30|1137=1|",
    ] {
        let mut session = acceptor();
        let got = play(&mut session, START, row);
        assert_eq!(got, "ignored; close NotLogon", "{row}");
        assert_eq!(session.next_out(), MsgSeqNum::FIRST);
    }
}

#[test]
fn a_bad_logon_is_told_why() {
    for (row, text) in [
        ("35=A|34=1|98=0|", "HeartBtInt (108) is missing"),
        ("35=A|34=1|98=0|108=-1|", "HeartBtInt (108) is not a positive number"),
        ("35=A|34=1|98=0|108=0|", "HeartBtInt (108) is out of range"),
        ("35=A|34=1|98=0|108=61|", "HeartBtInt (108) is out of range"),
        ("35=A|34=1|98=1|108=30|", "EncryptMethod (98) must be 0"),
        ("35=A|34=1|98=0|108=30|55=A|", "Tag not defined for this message type"),
    ] {
        let got = play(&mut acceptor(), START, row);
        assert_eq!(got, format!("5 #1 58={text}; close BadLogon"), "{row}");
    }
    let mut session = acceptor();
    let got = play(&mut session, START, "35=A|34=2|98=0|108=30|141=Y|");
    assert_eq!(got, "5 #1 58=MsgSeqNum must be 1 with ResetSeqNumFlag; close BadLogon");
}

#[test]
fn logon_over_a_gap() {
    scenario(&[
        ("35=A|34=5|98=0|108=30|", "A #1 98=0|108=30; on; 2 #2 7=1|16=0"),
        ("35=4|34=1|43=Y|36=6|123=Y|", ""),
        ("35=1|34=6|112=X|", "0 #3 112=X"),
    ]);
}

#[test]
fn logon_below_the_expected_number() {
    let config = SessionConfig::new(Role::Acceptor, "VENUE", "CLIENT");
    let mut session = Session::new(config, MsgSeqNum::new(7), MsgSeqNum::new(9));
    session.handle_connected(START);
    let got = play(&mut session, START, LOGON.0);
    let text = "58=MsgSeqNum too low, expecting 7 but received 1";
    assert_eq!(got, format!("5 #9 {text}; close MsgSeqNumTooLow"));
    assert_eq!(session.next_in(), MsgSeqNum::new(7));
}

#[test]
fn reset_by_logon() {
    scenario(&[
        LOGON,
        ("35=0|34=2|", ""),
        ("35=A|34=1|98=0|108=30|141=Y|", "reset; A #1 98=0|108=30|141=Y"),
        ("35=1|34=2|112=X|", "0 #2 112=X"),
        ("35=A|34=3|98=0|108=30|", "5 #3 58=Logon while logged on; off; close BadLogon"),
    ]);
}

#[test]
fn messages_past_a_gap_wait_for_it() {
    let held = format!("35=D|34=4{ORDER}");
    let missing = format!("35=D|34=2{ORDER}");
    scenario(&[
        LOGON,
        (&held, "held; 2 #2 7=2|16=0"),
        ("35=1|34=5|112=X|", "held"),
        (&missing, "app 2"),
        ("35=0|34=3|43=Y|122=20240301-00:00:00|", "app 4; 0 #3 112=X"),
        ("35=0|34=4|43=Y|122=20240301-00:00:00|", "ignored"),
        ("35=1|34=6|112=Y|", "0 #4 112=Y"),
    ]);
}

#[test]
fn a_hole_in_the_answer_is_asked_for_again() {
    let again = "|43=Y|122=20240301-00:00:00|";
    scenario(&[
        LOGON,
        ("35=0|34=6|", "held; 2 #2 7=2|16=0"),
        (&format!("35=0|34=2{again}"), ""),
        (&format!("35=0|34=4{again}"), "held; 2 #3 7=3|16=0"),
        (&format!("35=0|34=5{again}"), "held"),
        (&format!("35=0|34=3{again}"), ""),
        ("35=1|34=7|112=X|", "0 #4 112=X"),
    ]);
}

#[test]
fn a_gap_nobody_fills_is_asked_for_again() {
    let mut session = acceptor();
    play(&mut session, START, LOGON.0);
    assert_eq!(play(&mut session, START, "35=0|34=3|"), "held; 2 #2 7=2|16=0");
    assert_eq!(play(&mut session, START + 9 * SECOND, "35=0|34=4|"), "held");
    assert_eq!(play(&mut session, START + 10 * SECOND, "35=0|34=5|"), "held; 2 #3 7=2|16=0");
}

#[test]
fn sequence_faults() {
    let low = "5 #2 58=MsgSeqNum too low, expecting 2 but received 1; off; close MsgSeqNumTooLow";
    scenario(&[LOGON, ("35=0|34=1|", low)]);
    scenario(&[LOGON, ("35=0|34=1|43=Y|122=20240301-00:00:00|", "ignored")]);
    scenario(&[LOGON, ("35=4|34=1|43=Y|36=9|123=Y|", "ignored"), ("35=0|34=2|", "")]);
    scenario(&[
        LOGON,
        ("35=0|34=1|43=Y|", "3 #2 45=1|58=Required tag missing|371=122|372=0|373=1"),
        (
            "35=0|34=1|43=Y|122=20240301-00:00:01|",
            "3 #3 45=1|58=SendingTime accuracy problem|372=0|373=10; 5 #4",
        ),
        ("35=0|34=2|", "ignored"),
        ("35=5|34=2|", "off; close LogoutAnswered"),
    ]);
    scenario(&[
        LOGON,
        ("35=0|", "5 #2 58=Received message without MsgSeqNum; off; close BadMessage"),
    ]);
}

#[test]
fn sequence_reset() {
    let incorrect = "58=Value is incorrect (out of range) for this tag|372=4|373=5";
    scenario(&[
        LOGON,
        ("35=4|34=2|36=10|123=Y|", ""),
        ("35=1|34=10|112=X|", "0 #2 112=X"),
        ("35=4|34=0|36=20|", ""),
        ("35=4|34=0|36=20|123=N|", ""),
        ("35=4|34=0|36=19|", &format!("3 #3 45=0|{incorrect}")),
        ("35=4|34=20|36=20|123=Y|", &format!("3 #4 45=20|{incorrect}")),
        ("35=4|34=99|36=100|123=Y|", "held; 2 #5 7=21|16=0"),
        ("35=4|34=0|36=999999999999999999|", ""),
        ("35=0|34=999999999999999999|", ""),
    ]);
}

#[test]
fn resend_requests() {
    let incorrect = |tag, seq, out| {
        format!(
            "3 #{out} 45={seq}|58=Value is incorrect (out of range) for this tag|371={tag}|372=2|373=5"
        )
    };
    scenario(&[
        LOGON,
        ("35=1|34=2|112=X|", "0 #2 112=X"),
        ("35=2|34=3|7=1|16=0|", "resend 1..2"),
        ("35=2|34=4|7=2|16=2|", "resend 2..2"),
        ("35=2|34=5|7=1|16=999999|", "resend 1..2"),
        ("35=2|34=6|7=3|16=0|", ""),
        ("35=2|34=7|7=4|16=0|", &incorrect(7, 7, 3)),
        ("35=2|34=8|7=0|16=0|", &incorrect(7, 8, 4)),
        ("35=2|34=9|7=2|16=1|", &incorrect(16, 9, 5)),
        // Served whatever its number, and counted when its turn comes.
        ("35=2|34=12|7=1|16=1|", "resend 1..1; 2 #6 7=10|16=0"),
        ("35=0|34=10|", ""),
        ("35=0|34=11|", ""),
        // The gap is closed, so another one is asked for at once.
        ("35=1|34=14|112=Y|", "held; 2 #7 7=13|16=0"),
        ("35=0|34=13|", "0 #8 112=Y"),
        ("35=2|34=5|7=1|16=1|", "resend 1..1"),
        ("35=2|34=5|43=Y|122=20240301-00:00:00|7=1|16=1|", "ignored"),
    ]);
}

#[test]
fn envelope_faults() {
    let reject = "3 #2 45=2|58=CompID problem|372=0|373=9; 5 #3";
    scenario(&[
        LOGON,
        ("35=0|34=2|49=OTHER|", reject),
        ("35=5|34=3|", "off; close LogoutAnswered"),
    ]);
    scenario(&[LOGON, ("35=0|34=2|56=OTHER|", reject)]);
    let reject = "3 #2 45=2|58=SendingTime accuracy problem|372=0|373=10; 5 #3";
    scenario(&[LOGON, ("35=0|34=2|52=20240229-23:57:59|", reject)]);
    scenario(&[LOGON, ("35=0|34=2|52=20240301-00:02:01|", reject)]);
    scenario(&[LOGON, ("35=0|34=2|52=20240301-00:02:00|", "")]);
    let begin = "8=FIX.4.2|35=0|34=2|49=CLIENT|56=VENUE|52=20240301-00:00:00|";
    scenario(&[LOGON, (begin, "5 #2 58=Incorrect BeginString")]);
}

#[test]
fn dictionary_faults() {
    let order = |rest: &str| format!("35=D|34=2|{rest}");
    let table = [
        ("35=0|34=2|999=HI|".to_owned(), "Invalid tag number|371=999|372=0|373=0"),
        ("35=0|34=2|0=HI|".to_owned(), "Invalid tag number|371=0|372=0|373=0"),
        ("35=0|34=2|-1=HI|".to_owned(), "Invalid tag number|371=-1|372=0|373=0"),
        ("35=0|34=2|5000=HI|".to_owned(), "Invalid tag number|371=5000|372=0|373=0"),
        ("35=0|34=2|55=A|".to_owned(), "Tag not defined for this message type|371=55|372=0|373=2"),
        ("35=0|34=2|112=|".to_owned(), "Tag specified without a value|371=112|372=0|373=4"),
        (order("55=A|54=1|60=20240301-00:00:00|40=1|"), "Required tag missing|371=11|372=D|373=1"),
        (
            order("11=1|55=A|54=Z|60=20240301-00:00:00|40=1|"),
            "Value is incorrect (out of range) for this tag|371=54|372=D|373=5",
        ),
        (
            order("11=1|55=A|54=1|60=20240301-00:00:00|40=1|38=+1|"),
            "Incorrect data format for value|371=38|372=D|373=6",
        ),
        (
            order("11=1|55=A|54=1|60=20240301-00:00:00|40=2|44=1e5|"),
            "Incorrect data format for value|371=44|372=D|373=6",
        ),
        (
            order("11=1|55=A|54=1|60=yesterday|40=1|"),
            "Incorrect data format for value|371=60|372=D|373=6",
        ),
        (order("11=1|11=2|55=A|54=1|40=1|"), "Tag appears more than once|371=11|372=D|373=13"),
        (
            order("11=1|97=Y|55=A|54=1|40=1|"),
            "Tag specified out of required order|371=97|372=D|373=14",
        ),
        (
            order("11=1|453=2|448=A|447=D|452=1|54=1|"),
            "Incorrect NumInGroup count for repeating group|371=453|372=D|373=16",
        ),
        (
            order("11=1|453=0|448=A|447=D|452=1|54=1|"),
            "Incorrect NumInGroup count for repeating group|371=453|372=D|373=16",
        ),
        (
            order("11=1|453=1|447=D|448=A|452=1|54=1|"),
            "Repeating group fields out of order|371=447|372=D|373=15",
        ),
        (
            order("11=1|453=1|448=A|452=1|452=2|54=1|"),
            "Tag appears more than once|371=452|372=D|373=13",
        ),
        ("35=*|34=2|".to_owned(), "Invalid MsgType|372=*|373=11"),
        ("35=ZZZZZ|34=2|".to_owned(), "Invalid MsgType|372=ZZZZZ|373=11"),
        // What no message may hold is not quoted in one.
        ("35=Z\u{7}|34=2|".to_owned(), "Invalid MsgType|373=11"),
        (
            "35=0|34=2|115=A\u{7f}|".to_owned(),
            "Incorrect data format for value|371=115|372=0|373=6",
        ),
    ];
    for (row, expected) in table {
        scenario(&[LOGON, (&row, &format!("3 #2 45=2|58={expected}")), ("35=0|34=3|", "")]);
    }
    let groups = order(
        "11=1|453=2|448=A|447=D|452=1|802=1|523=S|803=1|448=B|54=1|60=20240301-00:00:00|40=1|38=1|",
    );
    scenario(&[LOGON, (&groups, "app 2")]);
    scenario(&[LOGON, ("35=6|34=2|23=I|", "app 2")]);
}

/// A row in the session layer of a version.
fn row_in(version: Version, row: &str) -> String {
    let (msg_type, rest) = row.split_once('|').unwrap();
    let time = "20240301-00:00:00";
    format!("8={}|{msg_type}|49=CLIENT|56=VENUE|52={time}|{rest}", version.begin_string())
}

/// DefaultApplVerID of a Logon, where its version has one.
fn default_appl_ver_id(version: Version) -> String {
    let code = char::from(version.application.code());
    if version.fixt { format!("1137={code}|") } else { String::new() }
}

#[test]
fn each_version_has_its_session_layer() {
    use ApplVerId::{Fix40, Fix41, Fix42, Fix43, Fix44, Fix50, Fix50Sp2};
    let of = Version::of;
    let over_fixt = |application| Version { application, fixt: true };
    let order = "35=D|34=2|11=1|21=1|55=A|54=1|38=1|40=1|";
    let bad_tag = "35=0|34=2|4999=A|";
    let foreign_tag = "35=0|34=2|55=A|";
    let no_tag = "Tag not defined for this message type";
    let no_number = "Invalid tag number";
    let twice = format!("{order}40=1|60=20240301-00:00:00|");
    for (version, row, expected) in [
        (of(Fix40), bad_tag, format!("3 #2 45=2|58={no_number} (4999)")),
        (of(Fix41), bad_tag, format!("3 #2 45=2|58={no_number} (4999)")),
        (of(Fix42), bad_tag, format!("3 #2 45=2|58={no_number}|371=4999|372=0|373=0")),
        (of(Fix44), foreign_tag, format!("3 #2 45=2|58={no_tag}|371=55|372=0|373=2")),
        // FIXT.1.1 has no tag for a symbol, whatever the application.
        (of(Fix50Sp2), foreign_tag, format!("3 #2 45=2|58={no_number}|371=55|372=0|373=0")),
        (over_fixt(Fix44), foreign_tag, format!("3 #2 45=2|58={no_number}|371=55|372=0|373=0")),
        (of(Fix50Sp2), "35=0|34=2|58=A|", format!("3 #2 45=2|58={no_tag}|371=58|372=0|373=2")),
        // FIX 4.2 has no code for this.
        (of(Fix41), &twice, "3 #2 45=2|58=Tag appears more than once (40)".to_owned()),
        (of(Fix42), &twice, "3 #2 45=2|58=Tag appears more than once|371=40|372=D".to_owned()),
        (
            of(Fix43),
            &twice,
            "3 #2 45=2|58=Tag appears more than once|371=40|372=D|373=13".to_owned(),
        ),
        // Fields that came, went and are asked for.
        (of(Fix40), order, "app 2".to_owned()),
        (of(Fix41), order, "app 2".to_owned()),
        (of(Fix42), order, "3 #2 45=2|58=Required tag missing|371=60|372=D|373=1".to_owned()),
        (
            of(Fix43),
            "35=D|34=2|11=1|54=1|60=20240301-00:00:00|40=1|",
            "3 #2 45=2|58=Required tag missing|371=21|372=D|373=1".to_owned(),
        ),
        (of(Fix44), "35=D|34=2|11=1|54=1|60=20240301-00:00:00|40=1|", "app 2".to_owned()),
        (
            of(Fix42),
            "35=q|34=2|11=1|530=7|60=20240301-00:00:00|",
            "3 #2 45=2|58=Invalid MsgType|372=q|373=11".to_owned(),
        ),
        (of(Fix43), "35=q|34=2|11=1|530=7|60=20240301-00:00:00|", "app 2".to_owned()),
        (
            of(Fix50),
            "35=F|34=2|11=1|54=1|60=20240301-00:00:00|",
            "3 #2 45=2|58=Required tag missing|371=41|372=F|373=1".to_owned(),
        ),
        (of(Fix50Sp2), "35=F|34=2|11=1|54=1|60=20240301-00:00:00|", "app 2".to_owned()),
        // A gap.
        (of(Fix41), "35=0|34=3|", "held; 2 #2 7=2|16=999999".to_owned()),
        (of(Fix42), "35=0|34=3|", "held; 2 #2 7=2|16=0".to_owned()),
    ] {
        let mut session = acceptor();
        let default = default_appl_ver_id(version);
        let logon = format!("35=A|34=1|98=0|108=30|{default}");
        let got = play(&mut session, START, &row_in(version, &logon));
        assert_eq!(got, format!("A #1 98=0|108=30|{default}; on").replace("|;", ";"));
        assert_eq!(session.version(), version);
        assert_eq!(play(&mut session, START, &row_in(version, row)), expected, "{version}: {row}");
    }
}

#[test]
fn the_version_is_that_of_the_last_logon() {
    let mut session = acceptor();
    for version in Version::ALL.into_iter().chain([Version::FIX44]) {
        let default = default_appl_ver_id(version);
        let seq = session.next_in();
        let logon = format!("35=A|34={seq}|98=0|108=30|{default}");
        play(&mut session, START, &row_in(version, &logon));
        assert_eq!((session.state(), session.version()), (State::LoggedOn, version));
        let mut out = Vec::new();
        session.transmit(START, MsgType::HEARTBEAT, b"", &mut out);
        assert!(out.starts_with(format!("8={}\x01", version.begin_string()).as_bytes()));
        session.handle_disconnected();
        session.handle_connected(START);
    }
}

#[test]
fn an_initiator_takes_no_other_version() {
    let config = SessionConfig::new(Role::Initiator, "VENUE", "CLIENT");
    let mut session = Session::new(config, MsgSeqNum::FIRST, MsgSeqNum::FIRST);
    session.handle_connected(START);
    session.logon(START);
    drain(&mut session, START, &mut Vec::new());
    let row = row_in(Version::of(ApplVerId::Fix42), "35=A|34=1|98=0|108=60|");
    let text = "The version is not the one that was asked for";
    assert_eq!(play(&mut session, START, &row), format!("5 #2 58={text}; close BadLogon"));
}

#[test]
fn a_logon_may_be_refused_by_who_drives() {
    let refuse = |session: &mut Session, row: &str| {
        let (bytes, mut fields, mut said) = (whole(START, row), Fields::new(), Vec::new());
        let message = Message::parse(&bytes, &mut fields).unwrap();
        session.refuse_logon(START, &message, "Not you", Some(5));
        drain(session, START, &mut said);
        said.join("; ")
    };
    for version in Version::ALL {
        let mut session = acceptor();
        let logon = format!("35=A|34=7|98=0|108=30|141=Y|{}", default_appl_ver_id(version));
        let status = if version.fixt { "|1409=5" } else { "" };
        let got = refuse(&mut session, &row_in(version, &logon));
        assert_eq!(got, format!("5 #1 58=Not you{status}; close BadLogon"));
        // In its version, and without a number of the counterparty.
        assert_eq!((session.version(), session.next_in()), (version, MsgSeqNum::FIRST));
        assert_eq!(play(&mut session, START, LOGON.0), "ignored");
    }
    // Nobody learns from it what he could not know before, and a session that is up stays up.
    for row in ["35=A|34=1|56=OTHER|98=0|108=30|", "35=0|34=1|", "35=A|98=0|108=30|"] {
        assert_eq!(refuse(&mut acceptor(), row), "close NotLogon", "{row}");
    }
    let mut session = acceptor();
    play(&mut session, START, LOGON.0);
    assert_eq!(refuse(&mut session, "35=A|34=2|98=0|108=30|"), "");
    assert_eq!(session.state(), State::LoggedOn);
}

#[test]
fn infinity_has_no_bound() {
    for (application, infinity) in [(ApplVerId::Fix40, 999_999), (ApplVerId::Fix42, 0)] {
        let version = Version::of(application);
        let config =
            SessionConfig { version, ..SessionConfig::new(Role::Acceptor, "VENUE", "CLIENT") };
        let mut session = Session::new(config, MsgSeqNum::FIRST, MsgSeqNum::new(1_500_000));
        session.handle_connected(START);
        play(&mut session, START, &row_in(version, "35=A|34=1|98=0|108=30|"));
        for (seq, begin) in [(2, 1), (3, 999_999), (4, 1_000_001)] {
            let row = format!("35=2|34={seq}|7={begin}|16={infinity}|");
            let got = play(&mut session, START, &row_in(version, &row));
            assert_eq!(got, format!("resend {begin}..1500000"), "{version}");
        }
    }
    // In other versions it is a number as any other.
    let mut session = acceptor();
    session.resume_outbound(MsgSeqNum::new(1_500_000));
    play(&mut session, START, LOGON.0);
    assert_eq!(play(&mut session, START, "35=2|34=2|7=1|16=999999|"), "resend 1..999999");
}

/// FIX 4.0 has no ResetSeqNumFlag.
#[test]
fn a_logon_has_what_its_version_has() {
    for version in Version::ALL {
        let config = SessionConfig {
            version,
            reset_on_logon: true,
            ..SessionConfig::new(Role::Initiator, "VENUE", "CLIENT")
        };
        let mut session = Session::new(config, MsgSeqNum::new(7), MsgSeqNum::new(9));
        session.handle_connected(START);
        session.logon(START);
        assert_eq!(session.poll(), Some(Output::ResetSequence));
        session.reset_outbound();
        let Some(Output::Send(request)) = session.poll() else { panic!("no Logon") };
        let mut out = Vec::new();
        session.transmit(START, request.msg_type(), request.body(), &mut out);
        let mut fields = Fields::new();
        let message = Message::parse(&out, &mut fields).unwrap();
        let checked = version.dictionary().check(&message, Strictness::Strict);
        assert_eq!(checked, Ok(()), "{version}");
        assert_eq!(message.get(141).is_some(), version.application != ApplVerId::Fix40);
        // The answer says as much.
        let answer = format!("35=A|34=1|98=0|108=60|{}", default_appl_ver_id(version));
        let answer = play(&mut session, START, &row_in(version, &answer));
        assert_eq!((answer.as_str(), session.next_in()), ("on", MsgSeqNum::new(2)), "{version}");
    }
}

#[test]
fn a_type_that_a_version_lacks_is_a_filled_gap() {
    let report = crate::report::OrderMassCancelReport {
        cl_ord_id: None,
        order_id: b"1",
        request_type: crate::order::MassCancelRequestType::All,
        response: crate::report::MassCancelResponse::All,
        reject_reason: None,
        total_affected_orders: None,
        symbol: None,
        side: None,
        transact_time_ns: None,
        text: None,
    };
    for (application, expected) in
        [(ApplVerId::Fix42, "|35=4|34=1|"), (ApplVerId::Fix43, "|35=r|34=1|")]
    {
        let version = Version::of(application);
        let config = SessionConfig { version, ..SessionConfig::new(Role::Acceptor, "V", "C") };
        let mut session = Session::new(config, MsgSeqNum::FIRST, MsgSeqNum::FIRST);
        let mut out = Vec::new();
        session.transmit_typed(START, &report, &mut out);
        let text = String::from_utf8_lossy(&out).replace('\x01', "|");
        assert!(text.contains(expected), "{text}");
        assert_eq!(text.contains("|36=2|123=Y|"), application == ApplVerId::Fix42, "{text}");
        assert_eq!(session.next_out(), MsgSeqNum::new(2));
    }
}

#[test]
fn lenient_sessions_ignore_tags_they_do_not_know() {
    let mut session = acceptor();
    session.config.strictness = Strictness::Lenient;
    for row in ["35=A|34=1|98=0|108=30|9001=Y|", "35=0|34=2|999=HI|55=A|"] {
        let got = play(&mut session, START, row);
        assert!(!got.contains("373="), "{got}");
    }
    assert_eq!(session.next_in(), MsgSeqNum::new(3));
}

#[test]
fn routes_are_reversed() {
    let row = format!("35=6|34=2|115=A|116=B|144=C|128=D|129=E|145=F|23=1|58={}|", "x".repeat(300));
    let bytes = whole(START, &row);
    let mut fields = Fields::new();
    let message = Message::parse(&bytes, &mut fields).unwrap();
    let mut session = acceptor();
    play(&mut session, START, LOGON.0);
    session.handle_message(START, &message);
    session.refuse(START, &message, &Refusal::unsupported());
    let mut said = Vec::new();
    drain(&mut session, START, &mut said);
    let route = "128=A|129=B|145=C|115=D|116=E|144=F";
    assert_eq!(said, [format!("j #2 {route}|45=2|58=Unsupported Message Type|372=6|380=3")]);
}

#[test]
fn the_longest_request_fits() {
    let id = "x".repeat(COMP_ID_MAX);
    let row = format!("35=6|34=2|115={id}|116={id}|144={id}|128={id}|129={id}|145={id}|23=1|");
    let bytes = whole(START, &row);
    let mut fields = Fields::new();
    let message = Message::parse(&bytes, &mut fields).unwrap();
    let mut session = acceptor();
    play(&mut session, START, LOGON.0);
    let (long, text) = ([b'y'; 200], "z".repeat(500));
    let reject = crate::message::BusinessReject {
        reason: crate::message::BusinessRejectReason::Other,
        ref_id: Some(&long[..64]),
        text: &text,
    };
    session.refuse(START, &message, &reject.into());
    session.logout(START, Some(&text));
    let mut said = Vec::new();
    drain(&mut session, START, &mut said);
    assert_eq!(said.len(), 2);
}

#[test]
fn garbled_bytes_count_only_before_the_logon() {
    let mut session = acceptor();
    session.handle_garbled(START);
    let mut said = Vec::new();
    drain(&mut session, START, &mut said);
    assert_eq!(said, ["close NotLogon"]);
    let mut session = acceptor();
    play(&mut session, START, LOGON.0);
    session.handle_garbled(START);
    assert_eq!(session.poll(), None);
}

#[test]
fn a_connection_without_logon_is_closed_in_time() {
    let mut session = acceptor();
    let deadline = session.next_deadline().unwrap();
    assert_eq!(deadline, START + 10 * SECOND);
    session.handle_timeout(deadline - 1);
    assert_eq!(session.poll(), None);
    session.handle_timeout(deadline);
    assert_eq!(session.poll(), Some(Output::Disconnect(DisconnectReason::LogonTimeout)));
    assert_eq!(session.next_deadline(), None);
}

#[test]
fn silence_is_answered_by_heartbeat_test_request_and_the_end() {
    let mut session = acceptor();
    play(&mut session, START, "35=A|34=1|98=0|108=10|");
    let mut log = Vec::new();
    while let Some(deadline) = session.next_deadline() {
        session.handle_timeout(deadline);
        let mut said = Vec::new();
        drain(&mut session, deadline, &mut said);
        let at = (deadline - START) as f64 / SECOND as f64;
        log.extend(said.into_iter().map(|said| format!("{at} {}", said.trim_end())));
    }
    let id = START / SECOND + 12;
    assert_eq!(
        log,
        ["10 0 #2", &format!("12 1 #3 112={id}"), "20 off", "20 close HeartbeatTimeout"]
    );
}

#[test]
fn whatever_is_sent_postpones_the_heartbeat() {
    let mut session = acceptor();
    play(&mut session, START, "35=A|34=1|98=0|108=10|");
    session.transmit(START + 9 * SECOND, MsgType::NEW_ORDER_SINGLE, b"", &mut Vec::new());
    play(&mut session, START + 10 * SECOND, "35=0|34=2|");
    session.handle_timeout(START + 10 * SECOND);
    assert_eq!(session.poll(), None);
    assert_eq!(session.next_deadline(), Some(START + 19 * SECOND));
}

/// One end of a connection with a driver that transmits at once.
struct End {
    session: Session,
    input: Vec<u8>,
    output: Vec<u8>,
    fields: Box<Fields>,
    sent: Vec<(MsgType, Vec<u8>, u64)>,
    /// ClOrdIDs of the orders received.
    orders: Vec<String>,
    events: Vec<Output>,
}

impl End {
    fn new(role: Role) -> Self {
        let (sender, target) = match role {
            Role::Acceptor => ("VENUE", "CLIENT"),
            Role::Initiator => ("CLIENT", "VENUE"),
        };
        let config = SessionConfig::new(role, sender, target);
        Self {
            session: Session::new(config, MsgSeqNum::FIRST, MsgSeqNum::FIRST),
            input: Vec::new(),
            output: Vec::new(),
            fields: Fields::new(),
            sent: Vec::new(),
            orders: Vec::new(),
            events: Vec::new(),
        }
    }

    fn send(&mut self, now_ns: u64, msg_type: MsgType, body: &[u8]) {
        self.session.transmit(now_ns, msg_type, body, &mut self.output);
        self.sent.push((msg_type, body.to_vec(), now_ns));
    }

    fn send_order(&mut self, now_ns: u64, id: usize) {
        let body = ORDER[1..].replace("11=1|", &format!("11={id}|")).replace('|', "\x01");
        self.send(now_ns, MsgType::NEW_ORDER_SINGLE, body.as_bytes());
    }

    fn drive(&mut self, now_ns: u64) {
        while let Framed::Message { len } = frame(&self.input) {
            let mut bytes: Vec<u8> = self.input.drain(..len).collect();
            loop {
                let message = Message::parse(&bytes, &mut self.fields).unwrap();
                if let Handled::Application(_) = self.session.handle_message(now_ns, &message) {
                    self.orders.push(String::from_utf8_lossy(message.get(11).unwrap()).into());
                }
                self.poll(now_ns);
                if !self.session.release_held(&mut bytes) {
                    break;
                }
            }
        }
        self.session.handle_timeout(now_ns);
        self.poll(now_ns);
    }

    fn poll(&mut self, now_ns: u64) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(request) => self.send(now_ns, request.msg_type(), request.body()),
                Output::Resend { begin, end } => self.resend(now_ns, begin, end),
                Output::ResetSequence => {
                    self.session.reset_outbound();
                    self.sent.clear();
                }
                event => self.events.push(event),
            }
        }
    }

    fn resend(&mut self, now_ns: u64, begin: MsgSeqNum, end: MsgSeqNum) {
        for seq in begin.get()..=end.get() {
            let (msg_type, body, time_ns) = &self.sent[seq as usize - 1];
            let seq = MsgSeqNum::new(seq);
            if msg_type.is_admin() {
                self.session.encode_gap_fill(seq, seq.next(), now_ns, &mut self.output);
            } else {
                self.session.encode_resend(
                    seq,
                    *time_ns,
                    now_ns,
                    *msg_type,
                    body,
                    &mut self.output,
                );
            }
        }
    }
}

/// Two ends and the time between them.
struct Wire {
    client: End,
    venue: End,
    now_ns: u64,
}

impl Wire {
    fn connected() -> Self {
        let (mut client, mut venue) = (End::new(Role::Initiator), End::new(Role::Acceptor));
        venue.session.handle_connected(START);
        client.session.handle_connected(START);
        client.session.logon(START);
        client.poll(START);
        Self { client, venue, now_ns: START }
    }

    /// Delivers everything, `chunk` bytes at a time, until both ends are quiet.
    fn run(&mut self, chunk: usize) {
        while !self.client.output.is_empty() || !self.venue.output.is_empty() {
            Self::deliver(&mut self.client, &mut self.venue, self.now_ns, chunk);
            Self::deliver(&mut self.venue, &mut self.client, self.now_ns, chunk);
        }
    }

    fn deliver(from: &mut End, to: &mut End, now_ns: u64, chunk: usize) {
        for bytes in std::mem::take(&mut from.output).chunks(chunk) {
            to.input.extend_from_slice(bytes);
            to.drive(now_ns);
        }
    }

    /// Turns the clock to the next deadline of either end.
    fn advance(&mut self) {
        let deadlines = [self.client.session.next_deadline(), self.venue.session.next_deadline()];
        self.now_ns = deadlines.into_iter().flatten().min().expect("an end is connected");
        self.client.drive(self.now_ns);
        self.venue.drive(self.now_ns);
    }
}

#[test]
fn two_ends_talk_whatever_the_pieces() {
    for chunk in 1..120 {
        let mut wire = Wire::connected();
        wire.run(chunk);
        assert_eq!(wire.client.session.state(), State::LoggedOn);
        assert_eq!(wire.venue.session.heart_bt_int(), 60);
        for id in 0..3 {
            wire.client.send_order(wire.now_ns, id);
            wire.venue.send_order(wire.now_ns, id);
        }
        wire.run(chunk);
        wire.client.session.logout(wire.now_ns, None);
        wire.client.poll(wire.now_ns);
        wire.run(chunk);
        for (end, reason) in [
            (&wire.client, DisconnectReason::LogoutAnswered),
            (&wire.venue, DisconnectReason::LoggedOut),
        ] {
            assert_eq!(end.orders, ["0", "1", "2"]);
            let closed = Output::Disconnect(reason);
            assert_eq!(end.events, [Output::LoggedOn, Output::LoggedOut, closed]);
            assert_eq!(end.session.next_in(), MsgSeqNum::new(6));
            assert_eq!(end.session.next_out(), MsgSeqNum::new(6));
        }
    }
}

#[test]
fn two_quiet_ends_stay_connected() {
    let mut wire = Wire::connected();
    wire.run(7);
    for _ in 0..100 {
        wire.advance();
        wire.run(7);
    }
    assert_eq!(wire.client.session.state(), State::LoggedOn);
    assert_eq!(wire.venue.session.state(), State::LoggedOn);
    assert!(wire.now_ns - START > 1000 * SECOND);
    // Heartbeats alone: nobody had to ask.
    let asked = |end: &End| end.sent.iter().any(|sent| sent.0 == MsgType::TEST_REQUEST);
    assert!(!asked(&wire.client) && !asked(&wire.venue));
}

#[test]
fn a_dead_peer_is_noticed() {
    let mut wire = Wire::connected();
    wire.run(7);
    while wire.client.session.state() == State::LoggedOn {
        wire.advance();
        wire.client.output.clear();
        wire.venue.output.clear();
    }
    assert_eq!(wire.now_ns, START + 120 * SECOND);
    let closed = Output::Disconnect(DisconnectReason::HeartbeatTimeout);
    assert_eq!(wire.client.events.last(), Some(&closed));
}

proptest! {
    /// Whole batches of bytes are lost in either direction; in the end every order has come once, in order.
    #[test]
    fn lost_messages_are_recovered(lost in prop::collection::vec((any::<bool>(), any::<bool>()), 1..12), chunk in 1_usize..300) {
        let mut wire = Wire::connected();
        wire.run(chunk);
        let mut id = 0;
        for (client, venue) in lost {
            wire.client.send_order(wire.now_ns, id);
            wire.venue.send_order(wire.now_ns, id);
            id += 1;
            if client {
                wire.client.output.clear();
            }
            if venue {
                wire.venue.output.clear();
            }
            wire.run(chunk);
        }
        // A request that was lost too is made again after a while.
        wire.now_ns += RESEND_RETRY_NS;
        wire.client.send_order(wire.now_ns, id);
        wire.venue.send_order(wire.now_ns, id);
        wire.run(chunk);
        let expected: Vec<String> = (0..=id).map(|id| id.to_string()).collect();
        prop_assert_eq!(&wire.client.orders, &expected);
        prop_assert_eq!(&wire.venue.orders, &expected);
        for (one, other) in [(&wire.client, &wire.venue), (&wire.venue, &wire.client)] {
            prop_assert_eq!(one.session.next_in(), other.session.next_out());
            prop_assert_eq!(one.session.state(), State::LoggedOn);
        }
    }

    /// Whatever valid messages come, the expected number falls only with a reset.
    #[test]
    fn the_expected_number_falls_only_with_a_reset(
        rows in prop::collection::vec((0_usize..ROWS.len(), 0_u64..12, 0_u64..12, any::<bool>(), 0_u64..70), 1..60),
    ) {
        let mut session = acceptor();
        let mut now_ns = START;
        play(&mut session, now_ns, LOGON.0);
        for (row, seq, other, poss_dup, seconds) in rows {
            now_ns += seconds * SECOND;
            let mut row = ROWS[row].replace("SEQ", &seq.to_string()).replace("NUM", &other.to_string());
            if poss_dup {
                let at = row.find("|34=").unwrap();
                row.insert_str(at, "|43=Y|122=20240301-00:00:00");
            }
            let before = session.next_in();
            let said = play(&mut session, now_ns, &row);
            let reset = said.contains("reset");
            prop_assert!(session.next_in() >= before || reset, "{} {}", row, said);
            if session.next_deadline().is_some_and(|deadline| deadline <= now_ns) {
                session.handle_timeout(now_ns);
                drain(&mut session, now_ns, &mut Vec::new());
            }
            if session.state() == State::Closing {
                session.handle_disconnected();
                session.handle_connected(now_ns);
            }
        }
    }
}

/// Messages of every kind, right and wrong.
const ROWS: &[&str] = &[
    "35=A|34=SEQ|98=0|108=30|",
    "35=A|34=1|98=0|108=30|141=Y|",
    "35=A|34=SEQ|98=0|108=NUM|",
    "35=0|34=SEQ|",
    "35=0|34=SEQ|55=A|",
    "35=1|34=SEQ|112=X|",
    "35=2|34=SEQ|7=NUM|16=0|",
    "35=2|34=SEQ|7=1|16=NUM|",
    "35=3|34=SEQ|45=NUM|",
    "35=4|34=SEQ|36=NUM|",
    "35=4|34=SEQ|36=NUM|123=Y|",
    "35=4|34=SEQ|123=Y|",
    "35=5|34=SEQ|",
    "35=D|34=SEQ|11=1|55=A|54=1|60=20240301-00:00:00|38=1|40=1|",
    "35=D|34=SEQ|11=1|",
    "35=6|34=SEQ|49=OTHER|",
    "35=zz|34=SEQ|",
    "35=0|34=SEQ|52=20010101-00:00:00|",
];

/// An acceptor that expects message `next_in` and will send `next_out`.
fn acceptor_at(next_in: u64, next_out: u64, change: impl FnOnce(&mut SessionConfig)) -> Session {
    let mut config = SessionConfig::new(Role::Acceptor, "VENUE", "CLIENT");
    change(&mut config);
    let mut session = Session::new(config, MsgSeqNum::new(next_in), MsgSeqNum::new(next_out));
    session.handle_connected(START);
    session
}

/// The acceptor expects 5 and will send 10.
#[test]
fn a_logon_says_what_is_expected_next() {
    let too_high = |expected, got| {
        format!(
            "58=NextExpectedMsgSeqNum (789) too high, expecting {expected} but received {got}; \
             close BadLogon"
        )
    };
    for (row, expected, next_in) in [
        // Nobody misses anything, if nothing is on its way before the Logon.
        ("34=5|789=10|", "A #10 98=0|108=30|789=6; on; resend 10 to Logon".to_owned(), 6),
        // The client does, the venue does, both do.
        ("34=5|789=7|", "A #10 98=0|108=30|789=6; on; resend 7 to Logon".to_owned(), 6),
        ("34=8|789=10|", "A #10 98=0|108=30|789=5; on; resend 10 to Logon".to_owned(), 5),
        ("34=8|789=1|", "A #10 98=0|108=30|789=5; on; resend 1 to Logon".to_owned(), 5),
        // It expects what was never sent.
        ("34=5|789=11|", format!("5 #10 {}", too_high(10, 11)), 5),
        // It has forgotten what it sent: that comes first.
        (
            "34=4|789=10|",
            "5 #10 58=MsgSeqNum too low, expecting 5 but received 4; close MsgSeqNumTooLow"
                .to_owned(),
            5,
        ),
        // Both numbers start anew, so nothing but the first message can be expected.
        (
            "34=1|141=Y|789=1|",
            "reset; A #1 98=0|108=30|141=Y|789=2; on; resend 1 to Logon".to_owned(),
            2,
        ),
        ("34=1|141=Y|789=2|", format!("5 #10 {}", too_high(1, 2)), 5),
        (
            "34=3|141=Y|789=1|",
            "5 #10 58=MsgSeqNum must be 1 with ResetSeqNumFlag; close BadLogon".to_owned(),
            5,
        ),
        (
            "34=5|789=0|",
            "5 #10 58=NextExpectedMsgSeqNum (789) is not a positive number; close BadLogon"
                .to_owned(),
            5,
        ),
        // Without it, as ever.
        ("34=8|", "A #10 98=0|108=30; on; 2 #11 7=5|16=0".to_owned(), 5),
    ] {
        let mut session = acceptor_at(5, 10, |_| {});
        let got = play(&mut session, START, &format!("35=A|{row}98=0|108=30|"));
        assert_eq!((got, session.next_in().get()), (expected, next_in), "{row}");
    }
    // FIX 4.3 has no such field.
    let mut session = acceptor_at(5, 10, |_| {});
    let row = row_in(Version::of(ApplVerId::Fix43), "35=A|34=5|98=0|108=30|789=10|");
    let text = "Tag not defined for this message type";
    let got = play(&mut session, START, &row).replace("Invalid tag number", text);
    assert_eq!(got, format!("5 #10 58={text}; close BadLogon"));
}

#[test]
fn an_acceptor_may_always_say_what_it_expects() {
    let always = |config: &mut SessionConfig| config.next_expected_msg_seq_num = true;
    for (version, row, expected) in [
        (ApplVerId::Fix44, "34=5|", "A #10 98=0|108=30|789=6; on"),
        // A client that does not say so itself does not send by itself either.
        (ApplVerId::Fix44, "34=8|", "A #10 98=0|108=30|789=5; on; 2 #11 7=5|16=0"),
        (ApplVerId::Fix43, "34=5|", "A #10 98=0|108=30; on"),
    ] {
        let mut session = acceptor_at(5, 10, always);
        let row = format!("35=A|{row}98=0|108=30|");
        assert_eq!(play(&mut session, START, &row_in(Version::of(version), &row)), expected);
    }
}

#[test]
fn nobody_asks_for_what_the_logon_brings_about() {
    let mut session = acceptor_at(5, 10, |_| {});
    let logon = "35=A|34=8|98=0|108=30|789=7|";
    let expected = "A #10 98=0|108=30|789=5; on; resend 7 to Logon";
    assert_eq!(play(&mut session, START, logon), expected);
    for (row, expected) in [
        // What is missing, and a gap for the rest: with the Logon, or up to it.
        (format!("35=D|34=5|43=Y|122=20240301-00:00:00{ORDER}").as_str(), "app 5"),
        ("35=4|34=6|43=Y|122=20240301-00:00:00|123=Y|36=8|", ""),
        // A ResendRequest that begins where the Logon said so has crossed the messages that it asks for; a
        // second one is meant.
        ("35=2|34=9|7=7|16=0|", ""),
        ("35=2|34=10|7=7|16=0|", "resend 7..10"),
        ("35=0|34=11|", ""),
        ("35=0|34=13|", "held; 2 #11 7=12|16=0"),
    ] {
        assert_eq!(play(&mut session, START, row), expected, "{row}");
    }
    // A request from elsewhere is one, and so is one that comes late.
    for (begin, after_s, expected) in [(8, 0, "resend 8..10"), (7, 10, "resend 7..10")] {
        let mut session = acceptor_at(8, 10, |_| {});
        play(&mut session, START, logon);
        let row = format!("35=2|34=9|7={begin}|16=0|");
        assert_eq!(play(&mut session, START + after_s * SECOND, &row), expected);
    }
}

/// NextExpectedMsgSeqNum(789) of both Logons says that the client sends what is missing before anything else.
#[test]
fn a_client_that_goes_on_without_filling_the_gap_of_its_logon_is_asked() {
    for (row, expected) in [
        ("35=0|34=9|".to_owned(), "held; 2 #11 7=5|16=0"),
        (format!("35=D|34=9{ORDER}"), "held; 2 #11 7=5|16=0"),
        ("35=2|34=9|7=7|16=0|".to_owned(), "2 #11 7=5|16=0"),
    ] {
        let mut session = acceptor_at(5, 10, |_| {});
        play(&mut session, START, "35=A|34=8|98=0|108=30|789=7|");
        assert_eq!(play(&mut session, START, &row), expected);
        // Once, as ever.
        assert_eq!(play(&mut session, START, "35=0|34=10|"), "held");
        let late = START + RESEND_RETRY_NS;
        assert_eq!(play(&mut session, late, "35=0|34=11|"), "held; 2 #12 7=5|16=0");
    }
    // A message of those that are missing is no new one.
    let mut session = acceptor_at(5, 10, |_| {});
    play(&mut session, START, "35=A|34=9|98=0|108=30|789=10|");
    let filling = format!("35=D|34=6|43=Y|122=20240301-00:00:00{ORDER}");
    assert_eq!(play(&mut session, START, &filling), "held");
}

#[test]
fn an_initiator_says_and_does_the_same() {
    for (answer, expected, next_in) in [
        ("34=10|789=6|", "on", 11),
        ("34=10|789=3|", "on; resend 3 to Logon", 11),
        ("34=12|789=6|", "on", 10),
        ("34=12|789=5|", "on; resend 5 to Logon", 10),
        (
            "34=10|789=7|",
            "5 #6 58=NextExpectedMsgSeqNum (789) too high, expecting 6 but received 7; close BadLogon",
            10,
        ),
        ("34=12|", "on; 2 #6 7=10|16=0", 10),
    ] {
        let config = SessionConfig {
            next_expected_msg_seq_num: true,
            ..SessionConfig::new(Role::Initiator, "VENUE", "CLIENT")
        };
        let mut session = Session::new(config, MsgSeqNum::new(10), MsgSeqNum::new(5));
        session.handle_connected(START);
        session.logon(START);
        let mut said = Vec::new();
        drain(&mut session, START, &mut said);
        assert_eq!(said, ["A #5 98=0|108=60|789=10"]);
        let got = play(&mut session, START, &format!("35=A|{answer}98=0|108=60|"));
        assert_eq!((got.as_str(), session.next_in().get()), (expected, next_in), "{answer}");
    }
}

#[test]
fn a_long_gap_is_asked_for_in_parts() {
    let filled =
        |from: u64, to: u64| format!("35=4|34={from}|43=Y|122=20240301-00:00:00|123=Y|36={to}|");
    let mut session = acceptor_at(2, 1, |config| config.resend_request_chunk = 10);
    play(&mut session, START, "35=A|34=2|98=0|108=30|");
    for (row, expected) in [
        ("35=0|34=30|".to_owned(), "held; 2 #2 7=3|16=12"),
        ("35=0|34=31|".to_owned(), "held"),
        (filled(3, 12), ""),
        (filled(12, 13), "2 #3 7=13|16=22"),
        // More than was asked for.
        (filled(13, 25), "2 #4 7=25|16=30"),
        (filled(25, 30), ""),
        ("35=0|34=32|".to_owned(), ""),
        // One message is missing, and another one has gone when there was no room for it.
        ("35=0|34=34|".to_owned(), "held; 2 #5 7=33|16=33"),
        (filled(33, 34), ""),
        ("35=0|34=35|".to_owned(), ""),
    ] {
        assert_eq!(play(&mut session, START, &row), expected, "{row}");
    }
    // What could not be held is asked for, too.
    session.held.clear();
    let long = format!("35=0|34=46|112={}|", "x".repeat(199));
    assert_eq!(play(&mut session, START, &long), "held; 2 #6 7=36|16=45");
    session.held.clear();
    assert_eq!(play(&mut session, START, &filled(36, 46)), "2 #7 7=46|16=46");
}

#[test]
fn a_header_says_what_was_processed() {
    for (application, configured, says) in [
        (ApplVerId::Fix41, true, false),
        (ApplVerId::Fix42, true, true),
        (ApplVerId::Fix42, false, false),
        (ApplVerId::Fix44, true, true),
        (ApplVerId::Fix50Sp2, true, true),
    ] {
        let version = Version::of(application);
        let config = SessionConfig {
            version,
            last_msg_seq_num_processed: configured,
            ..SessionConfig::new(Role::Acceptor, "VENUE", "CLIENT")
        };
        let mut session = Session::new(config, MsgSeqNum::FIRST, MsgSeqNum::FIRST);
        let (mut out, mut sent) = (Vec::new(), Vec::new());
        session.note_processed(MsgSeqNum::new(41));
        session.transmit(START, MsgType::HEARTBEAT, b"", &mut out);
        sent.push(std::mem::take(&mut out));
        session.note_processed(MsgSeqNum::new(42));
        let (seq, heartbeat) = (MsgSeqNum::FIRST, MsgType::HEARTBEAT);
        session.encode_resend(seq, START, START, heartbeat, b"", &mut out);
        sent.push(out);
        for (bytes, processed) in sent.iter().zip(["41", "42"]) {
            let mut fields = Fields::new();
            let message = Message::parse(bytes, &mut fields).unwrap();
            let found = message.get(369).map(|value| std::str::from_utf8(value).unwrap());
            assert_eq!(found, says.then_some(processed), "{version}");
            let checked = version.dictionary().check(&message, Strictness::Strict);
            assert_eq!(checked, Ok(()), "{version}");
        }
    }
}
