//! What a client learns of instruments: the list of securities, and the status of one.

mod common;

use std::collections::BTreeMap;

use common::{
    FixClient, Msg, TestVenue, assert_same, instrument, keep, resend,
    stepped::{LOOK, Stepped},
};
use ironbook_engine::{
    InstrumentId, InstrumentStatus, Timestamp,
    command::{Origin, SetInstrumentStatus},
};
use ironbook_fix::version::Version;
use ironbook_gateway::config::StatusConfig;

/// Securities of a list: a line each of what stands behind its Symbol (55).
fn securities(message: &Msg) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (tag, value) in message.fields().filter(|(tag, _)| *tag != 10) {
        if tag == 55 {
            lines.push(value.to_owned());
        } else if let Some(line) = lines.last_mut() {
            *line += &format!(" {tag}={value}");
        }
    }
    lines
}

#[test]
fn a_list_tells_the_terms_of_the_configuration() {
    let mut venue = Stepped::start(|config| {
        config.instruments[1].order_qty_max = Some("1000".to_owned());
        config.instruments[1].price_max = Some("250000.00".to_owned());
    });
    let version = Version::ALL.into_iter().next_back().expect("a version");
    let mut a = venue.log_on_with("A", version, (1, 1));
    venue.send(&mut a, "x", "320=all|559=4|263=0");
    venue.advance(LOOK);
    let got = venue.receive(&mut a, 1).remove(0);
    assert!(got.matches("35=y|320=all|560=0|393=2|893=Y|146=2"), "{got:?}");
    let terms = [
        "AAPL 969=0.01 561=1 562=1 1140=999999999999999999 1149=687194767.35",
        "BTC-USD 969=0.01 561=0.00000001 562=0.00000001 1140=1000.00000000 1149=250000.00",
    ];
    assert_eq!(securities(&got), terms);
    // One by its symbol, one that there is not, and what is not served.
    for (request, answer, listed) in [
        ("559=0|55=BTC-USD", "560=0|393=1|893=Y", 1),
        ("559=0|55=NOSUCH", "560=2|393=0|893=Y", 0),
        ("559=0", "560=1|393=0", 0),
        ("559=2", "560=1|393=0", 0),
        ("559=4|263=1", "560=1|393=0", 0),
    ] {
        venue.send(&mut a, "x", &format!("320=one|{request}"));
        venue.advance(LOOK);
        let got = venue.receive(&mut a, 1).remove(0);
        assert!(got.matches(&format!("35=y|320=one|{answer}")), "{request}: {got:?}");
        assert_eq!(securities(&got).len(), listed, "{request}: {got:?}");
    }
}

#[test]
fn a_long_list_comes_in_parts_and_again_after_a_restart() {
    let mut venue = TestVenue::start_with(|config| {
        config.instruments =
            (0..95).map(|number| instrument(&format!("S{number:02}"), "0.01", "1")).collect();
    });
    let mut a = venue.client("A");
    let (mut told, mut symbols) = (BTreeMap::new(), Vec::new());
    a.send("x", "320=l1|559=4");
    for (count, last) in [(40, "N"), (40, "N"), (15, "Y")] {
        let spec = format!("35=y|320=l1|560=0|393=95|893={last}|146={count}");
        keep(&mut a, &mut told, &spec);
        symbols.extend(securities(&told[&(a.next_in - 1)]));
    }
    assert_eq!(symbols.len(), 95);
    let is_next = |(number, line): (usize, &String)| line.starts_with(&format!("S{number:02} "));
    assert!(symbols.iter().enumerate().all(is_next), "{symbols:?}");
    a.ping();
    let numbers = a.log_out();
    venue.restart();
    let mut a = venue.resume("A", numbers).0;
    let again = resend(&mut a, (2, 4), 4, &mut Vec::new());
    assert_eq!(again.values().flatten().count(), 3);
    assert_same(&again, &told);
}

#[test]
fn status_is_that_of_the_journal() {
    let mut venue = Stepped::start(|config| config.instruments[1].status = StatusConfig::Closed);
    let mut a = venue.log_on("A", 30);
    let mut copy = venue.log_on("COPY", 30);
    venue.ask(&mut a, "e", "324=s1|55=AAPL|263=0", "35=f|324=s1|55=AAPL|326=17");
    venue.ask(&mut a, "e", "324=s2|55=BTC-USD|263=0", "35=f|324=s2|55=BTC-USD|326=18");
    venue.ask(&mut a, "e", "324=s3|55=NOSUCH|263=0", "35=f|324=s3|55=NOSUCH|326=20");
    let halted = InstrumentStatus::Halted;
    let halt = SetInstrumentStatus::new(Origin::venue(Timestamp(0)), InstrumentId(1), halted);
    venue.core.as_mut().expect("a core").apply_now(halt.into());
    venue.settle();
    venue.ask(&mut a, "e", "324=s4|55=AAPL|263=0", "35=f|324=s4|55=AAPL|326=2");
    // A drop copy may ask, too. Updates are not served, and an id has its bounds.
    venue.ask(&mut copy, "e", "324=c1|55=AAPL|263=0", "35=f|324=c1|326=2");
    let text = "58=SubscriptionRequestType(263) is not supported here but for 0: ask again";
    venue.ask(&mut a, "e", "324=s5|55=AAPL|263=1", &format!("35=j|372=e|380=0|379=s5|{text}"));
    venue.ask(&mut a, "e", "324=s6|55=AAPL", "35=3|372=e|371=263|373=1");
    let long = "x".repeat(65);
    venue.ask(&mut a, "e", &format!("324={long}|55=AAPL|263=0"), "35=3|372=e|371=324|373=5");
    let long = "x".repeat(25);
    venue.ask(&mut a, "e", &format!("324=s7|55={long}|263=0"), "35=3|372=e|371=55|373=5");
    venue.ask(&mut a, "x", &format!("320=l1|559=0|55={long}"), "35=3|372=x|371=55|373=5");
}

#[test]
fn a_session_waits_for_so_many_lists() {
    let mut venue = Stepped::start(|_| {});
    let mut a = venue.log_on("A", 30);
    // Lists are ahead while the clock stands.
    for number in 1..=6 {
        venue.send(&mut a, "x", &format!("320=l{number}|559=4"));
    }
    let refused = venue.receive(&mut a, 2);
    assert!(refused[0].matches("35=y|320=l5|560=4|393=0|893=Y"), "{refused:?}");
    assert!(refused[1].matches("35=y|320=l6|560=4"), "{refused:?}");
    venue.advance(LOOK);
    let lists = venue.receive(&mut a, 4);
    assert!(lists[0].matches("35=y|320=l1|560=0|146=2"), "{lists:?}");
    assert!(lists[3].matches("35=y|320=l4|560=0|146=2"), "{lists:?}");
}

#[test]
fn a_client_that_leaves_takes_its_list_along() {
    let mut venue = Stepped::start(|_| {});
    let mut a = venue.log_on("A", 30);
    venue.send(&mut a, "x", "320=l1|559=4");
    venue.settle();
    drop(a);
    venue.settle();
    let mut a: FixClient = venue.log_on("A", 30);
    venue.advance(LOOK);
    venue.expect_silence(&mut a);
}
