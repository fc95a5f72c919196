//! Whatever a client says, the venue answers clearly, goes on with this session unless the rules
//! say otherwise, and serves all others as if nothing had happened.

mod common;

use common::{FixClient, Flaw, TestVenue, cancel, limit, replace, wait_for};

/// What a client does, and what it gets for it.
struct Row {
    name: &'static str,
    kind: &'static str,
    body: String,
    /// Fields of the one message that answers.
    answer: &'static str,
}

fn row(name: &'static str, kind: &'static str, body: String, answer: &'static str) -> Row {
    Row { name, kind, body, answer }
}

/// A good order with one more field.
fn with(field: &str) -> String {
    format!("{}|{field}", order("10", "100.00"))
}

/// A good order with another quantity and price; no order in the table is accepted, so one ClOrdID
/// does for all.
fn order(qty: &str, price: &str) -> String {
    limit("bad", "AAPL", "1", qty, price)
}

/// A good order with a field replaced.
fn instead(tag: &str, field: &str) -> String {
    let order = order("10", "100.00");
    let kept = order.split('|').filter(|kept| !kept.starts_with(&format!("{tag}=")));
    let kept: Vec<_> = kept.chain((!field.is_empty()).then_some(field)).collect();
    kept.join("|")
}

/// Messages that the session layer refuses.
fn session_rows() -> Vec<Row> {
    let long = "x".repeat(37);
    vec![
        row("unknown MsgType", "ZZ", String::new(), "35=3|373=11|372=ZZ|58=Invalid MsgType"),
        row("type not served", "6", "23=1".into(), "35=j|380=3|372=6|58=Unsupported Message Type"),
        row(
            "type served on another port",
            "V",
            "262=1|263=0|264=1|267=1|269=0|146=1|55=AAPL".into(),
            "35=j|380=3|372=V|58=Unsupported Message Type",
        ),
        row("unknown tag", "D", with("9999=x"), "35=3|373=0|371=9999|372=D|58=Invalid tag number"),
        row(
            "tag of another type",
            "D",
            with("530=7"),
            "35=3|373=2|371=530|372=D|58=Tag not defined for this message type",
        ),
        row("no ClOrdID", "D", instead("11", ""), "35=3|373=1|371=11|58=Required tag missing"),
        row(
            "no Price",
            "D",
            instead("44", ""),
            "35=j|380=5|372=D|379=bad|58=Price (44) is required for this OrdType",
        ),
        row(
            "empty value",
            "D",
            instead("44", "44="),
            "35=3|373=4|371=44|58=Tag specified without a value",
        ),
        row(
            "repeated tag",
            "D",
            with("44=1.00"),
            "35=3|373=13|371=44|58=Tag appears more than once",
        ),
        row(
            "header behind body",
            "D",
            with("50=desk"),
            "35=3|373=14|371=50|58=Tag specified out of required order",
        ),
        row(
            "price with exponent",
            "D",
            order("10", "1e2"),
            "35=3|373=6|371=44|372=D|58=Incorrect data format for value",
        ),
        row(
            "price of 19 digits",
            "D",
            order("10", "1000000000000000000"),
            "35=3|373=5|371=44|372=D|58=Number has more than 18 significant digits",
        ),
        row(
            "quantity of 19 digits",
            "D",
            order("1000000000000000001", "100.00"),
            "35=3|373=5|371=38|372=D|58=Number has more than 18 significant digits",
        ),
        row(
            "Side outside the code set",
            "D",
            instead("54", "54=Z"),
            "35=3|373=5|371=54|58=Value is incorrect (out of range) for this tag",
        ),
        row(
            "ClOrdID of 37 characters",
            "D",
            instead("11", &format!("11={long}")),
            "35=3|373=5|371=11|372=D|58=Identifier is longer than 36 characters",
        ),
        row(
            "Symbol of 37 characters",
            "D",
            instead("55", &format!("55={long}")),
            "35=3|373=5|371=55|58=Symbol is longer than 24 characters",
        ),
        row(
            "Account of 37 characters",
            "D",
            with(&format!("1={long}")),
            "35=3|373=5|371=1|58=Account is longer than 12 characters",
        ),
        row(
            "mass cancel outside the code set",
            "q",
            format!("11=m|530=9|60={}", common::now()),
            "35=3|373=5|371=530|58=Value is incorrect (out of range) for this tag",
        ),
    ]
}

/// Orders that break a rule of the venue.
fn order_rows() -> Vec<Row> {
    vec![
        row(
            "price zero",
            "D",
            order("10", "0.00"),
            "35=8|150=8|39=8|37=NONE|11=bad|103=99|44=0.00|58=price 0.00 is not greater than zero",
        ),
        row(
            "price negative",
            "D",
            order("10", "-1.00"),
            "35=8|150=8|103=99|58=price -1.00 is not greater than zero",
        ),
        row(
            "price off tick",
            "D",
            order("10", "100.005"),
            "35=8|150=8|103=99|58=price 100.005 is not a multiple of the tick 0.01",
        ),
        row(
            "price too high",
            "D",
            order("10", "687194767.36"),
            "35=8|150=8|103=99|58=price 687194767.36 is above the largest price 687194767.35",
        ),
        row(
            "quantity zero",
            "D",
            order("0", "100.00"),
            "35=8|150=8|103=13|38=0|58=quantity 0 is not greater than zero",
        ),
        row(
            "quantity negative",
            "D",
            order("-5", "100.00"),
            "35=8|150=8|103=13|58=quantity -5 is not greater than zero",
        ),
        row(
            "quantity off lot",
            "D",
            order("1.5", "100.00"),
            "35=8|150=8|103=13|58=quantity 1.5 is not a multiple of the lot 1",
        ),
        row(
            "quantity too large for the scale",
            "D",
            limit("bad", "BTC-USD", "1", "10000000000", "100.00"),
            "35=8|150=8|103=3|58=quantity 10000000000 is above the largest quantity 9999999999.99999999",
        ),
        row(
            "unknown symbol",
            "D",
            limit("bad", "NOSUCH", "1", "10", "100.00"),
            "35=8|150=8|39=8|103=1|55=NOSUCH|54=1|38=10|44=100.00|58=unknown symbol",
        ),
        row(
            "halted instrument",
            "D",
            limit("bad", "HALT", "1", "10", "100.00"),
            "35=8|150=8|103=2|55=HALT|58=the instrument is halted; cancels are accepted",
        ),
        row(
            "closed instrument",
            "D",
            limit("bad", "SHUT", "1", "10", "100.00"),
            "35=8|150=8|103=2|55=SHUT|58=the instrument is closed; cancels are accepted",
        ),
        row(
            "ClOrdID of a live order",
            "D",
            limit("live", "AAPL", "1", "10", "100.00"),
            "35=8|150=8|103=6|11=live|58=this ClOrdID was used before by this session",
        ),
        row(
            "ClOrdID of a closed order",
            "D",
            limit("gone", "AAPL", "1", "10", "100.00"),
            "35=8|150=8|103=6|11=gone|58=this ClOrdID was used before by this session",
        ),
        row(
            "stop order",
            "D",
            format!("{}|99=90", instead("40", "40=3")),
            "35=8|150=8|103=11|40=3|58=OrdType(40) is not supported here: 1 (market) and 2 (limit) are",
        ),
        row(
            "good till date",
            "D",
            with("59=6"),
            "35=8|150=8|103=11|59=6|58=TimeInForce(59) is not supported here: 0 (day), 1 (GTC), 3 (IOC) and 4 (FOK) are",
        ),
        row(
            "sell short",
            "D",
            instead("54", "54=5"),
            "35=8|150=8|103=11|54=5|58=Side(54) is not supported here: 1 (buy) and 2 (sell) are",
        ),
        row(
            "MinQty",
            "D",
            with("110=5"),
            "35=8|150=8|103=11|58=MinQty(110) is not supported here; leave it out",
        ),
        row(
            "MaxFloor",
            "D",
            with("111=5"),
            "35=8|150=8|103=11|58=MaxFloor(111) is not supported here; leave it out",
        ),
        row(
            "ExecInst all or none",
            "D",
            with("18=G"),
            "35=8|150=8|103=11|58=ExecInst(18) is not supported here; leave it out",
        ),
    ]
}

/// Requests about orders that can't be changed.
fn request_rows() -> Vec<Row> {
    let aapl = ("AAPL", "2");
    let status = |id: &str| format!("11={id}|55=AAPL|54=2");
    vec![
        row(
            "cancel of an unknown order",
            "F",
            cancel("c", "nobody", "AAPL", "2"),
            "35=9|434=1|102=1|37=NONE|39=8|11=c|41=nobody|58=this session has no such order",
        ),
        row(
            "cancel of a closed order",
            "F",
            cancel("c", "gone", "AAPL", "2"),
            "35=9|434=1|102=0|39=4|11=c|41=gone|58=the order is closed already",
        ),
        row(
            "cancel of another's order",
            "F",
            cancel("c", "theirs", "AAPL", "2"),
            "35=9|434=1|102=1|37=NONE|39=8|58=this session has no such order",
        ),
        row(
            "cancel on the other side",
            "F",
            cancel("c", "live", "AAPL", "1"),
            "35=9|434=1|102=99|39=0|58=the order has another symbol or side",
        ),
        row(
            "cancel with another symbol",
            "F",
            cancel("c", "live", "BTC-USD", "2"),
            "35=9|434=1|102=99|39=0|58=the order has another symbol or side",
        ),
        row(
            "cancel with an unknown symbol",
            "F",
            cancel("c", "live", "NOSUCH", "2"),
            "35=9|434=1|102=99|39=0|58=the order has another symbol or side",
        ),
        row(
            "cancel on a side that no order has",
            "F",
            cancel("c", "live", "AAPL", "5"),
            "35=9|434=1|102=99|39=0|58=the order has another symbol or side",
        ),
        row(
            "replace with an unknown symbol",
            "G",
            replace("g", "live", ("NOSUCH", "2"), "5", "301.00"),
            "35=9|434=2|102=99|39=0|58=the order has another symbol or side",
        ),
        row(
            "replace of an unknown order",
            "G",
            replace("g", "nobody", aapl, "5", "301.00"),
            "35=9|434=2|102=1|37=NONE|39=8|11=g|41=nobody|58=this session has no such order",
        ),
        row(
            "replace of a closed order",
            "G",
            replace("g", "gone", aapl, "5", "301.00"),
            "35=9|434=2|102=0|39=4|58=the order is closed already",
        ),
        row(
            "replace of another's order",
            "G",
            replace("g", "theirs", aapl, "5", "301.00"),
            "35=9|434=2|102=1|37=NONE|58=this session has no such order",
        ),
        row(
            "replace to a price off tick",
            "G",
            replace("g", "live", aapl, "5", "300.001"),
            "35=9|434=2|102=99|39=0|11=g|41=live|58=price 300.001 is not a multiple of the tick 0.01",
        ),
        row(
            "replace under a used ClOrdID",
            "G",
            replace("gone", "live", aapl, "5", "301.00"),
            "35=9|434=2|102=6|39=0|58=this ClOrdID was used before by this session",
        ),
        row(
            "replace with MaxFloor",
            "G",
            format!("{}|111=1", replace("g", "live", aapl, "5", "301.00")),
            "35=9|434=2|102=99|11=g|41=live|58=MaxFloor(111) is not supported here; leave it out",
        ),
        row(
            "status of a live order",
            "H",
            status("live"),
            "35=8|150=I|39=0|11=live|17=0|38=5|151=5|14=0|44=300.00",
        ),
        row("status of a closed order", "H", status("gone"), "35=8|150=I|39=4|11=gone|151=0|14=0"),
        row(
            "status of an unknown order",
            "H",
            status("nobody"),
            "35=8|150=I|39=8|37=NONE|11=nobody|58=this session has no such order",
        ),
        row(
            "status of another's order",
            "H",
            status("theirs"),
            "35=8|150=I|39=8|37=NONE|11=theirs|58=this session has no such order",
        ),
        row(
            "mass cancel by product",
            "q",
            format!("11=m|530=3|60={}", common::now()),
            "35=r|530=3|531=0|532=0|58=MassCancelRequestType(530) is not supported here: 1 (security) and 7 (all) are",
        ),
        row(
            "mass cancel of an unknown symbol",
            "q",
            format!("11=m|530=1|55=NOSUCH|60={}", common::now()),
            "35=r|530=1|531=0|532=1|58=unknown symbol or side; give a Symbol(55) of this venue",
        ),
    ]
}

/// A venue with orders to ask about, its client A, and B who must never notice anything.
fn furnished() -> (TestVenue, FixClient, FixClient) {
    let venue = TestVenue::start_with(|config| {
        use ironbook_gateway::config::StatusConfig;
        for (symbol, status) in [("HALT", StatusConfig::Halted), ("SHUT", StatusConfig::Closed)] {
            let mut known = common::instrument(symbol, "0.01", "1");
            known.status = status;
            config.instruments.push(known);
        }
    });
    let mut a = venue.client("A");
    let mut b = venue.client("B");
    a.rest("live", "AAPL", "2", "5", "300.00");
    a.rest("gone", "AAPL", "2", "5", "300.00");
    a.send("F", &cancel("c0", "gone", "AAPL", "2"));
    a.expect("35=8|150=4|39=4|11=c0|41=gone");
    b.rest("theirs", "AAPL", "2", "5", "300.00");
    (venue, a, b)
}

#[test]
fn every_bad_message_has_its_answer() {
    let (mut venue, mut a, mut b) = furnished();
    for row in session_rows().into_iter().chain(order_rows()).chain(request_rows()) {
        let seq = a.send(row.kind, &row.body);
        let answer = a.next_in_sequence().expect("the session goes on");
        assert!(
            answer.matches(row.answer),
            "{}:\nsent     {} {}\nexpected {}\ngot      {answer:?}",
            row.name,
            row.kind,
            row.body,
            row.answer
        );
        if matches!(answer.kind(), "3" | "j") {
            assert_eq!(answer.number(45), seq, "{}: RefSeqNum", row.name);
        }
        a.ping();
        a.trade();
        b.trade();
    }
    venue.stop();
    common::replay(&venue.journal());
}

#[test]
fn garbled_bytes_count_for_nothing() {
    let (_venue, mut a, mut b) = furnished();
    let flawed =
        |client: &FixClient, flaw| client.build("D", client.next_out, &order("10", "100.00"), flaw);
    let no_field = {
        let text =
            format!("35=D|34={}|49=A|56=IRONBOOK|52={}|nonsense|", a.next_out, common::now());
        common::assemble(&text, Flaw::None)
    };
    let stimuli = [
        ("bytes that are no FIX", b"hello\r\n\x01\x02\xff garbage".to_vec()),
        ("another BeginString without an end", b"8=FAX.4.4\x019=12\x01".to_vec()),
        ("a wrong checksum", flawed(&a, Flaw::CheckSum)),
        ("a wrong body length", flawed(&a, Flaw::BodyLength)),
        ("a field without tag", no_field),
        ("MsgType in the wrong place", b"8=FIX.4.4\x019=5\x0134=1\x0135=0\x0110=000\x01".to_vec()),
        ("a body length that is no number", b"8=FIX.4.4\x019=abc\x0135=0\x0110=000\x01".to_vec()),
    ];
    for (name, bytes) in stimuli {
        a.send_raw(&bytes);
        // The number was not used, so the next message has it, and its answer is the next one.
        println!("{name}");
        a.ping();
        a.trade();
        b.trade();
    }
}

#[test]
fn a_garbled_message_is_asked_for_again() {
    let (_venue, mut a, _b) = furnished();
    let lost = a.next_out;
    let body = limit("lost", "AAPL", "1", "10", "100.00");
    a.send_raw(&a.build("D", lost, &body, Flaw::CheckSum));
    a.next_out += 1;
    a.send("D", &limit("after", "AAPL", "1", "10", "101.00"));
    a.expect(&format!("35=2|7={lost}|16=0"));
    // The second order was held; it follows by itself once the first one has come.
    let again = format!("43=Y|122={}|{body}", common::now());
    a.send_raw(&a.build("D", lost, &again, Flaw::None));
    a.expect("35=8|150=0|11=lost");
    a.expect("35=8|150=0|11=after");
    a.ping();
}

#[test]
fn strangers_learn_nothing() {
    let venue = TestVenue::start_with(|config| {
        config.sessions[2].allow_from = vec!["10.1.2.3".parse().unwrap()];
    });
    let mut b = venue.client("B");
    let logon = "98=0|108=30";
    let connect = |comp_id| FixClient::connect(venue.address(), comp_id);

    let mut unknown = connect("NOBODY");
    unknown.send("A", logon);
    unknown.expect_closed();

    let mut wrong_target = connect("A");
    wrong_target.venue = "OTHER".to_owned();
    wrong_target.send("A", logon);
    wrong_target.expect_closed();

    let mut elsewhere = connect("C");
    elsewhere.send("A", logon);
    elsewhere.expect_closed();

    let mut early = connect("A");
    early.send("D", &order("10", "100.00"));
    early.expect_closed();

    let mut garbled = connect("A");
    garbled.send_raw(b"GET / HTTP/1.1\r\nHost: venue\r\n\r\n");
    garbled.expect_closed();

    let mut late = connect("A");
    late.sending_time = Some("20200101-00:00:00.000".to_owned());
    late.send("A", logon);
    late.expect_closed();

    // Nothing of that holds the session or used a number.
    b.trade();
    let mut a = venue.client("A");
    a.trade();
}

#[test]
fn a_refused_logon_says_why() {
    let venue = TestVenue::start();
    let mut b = venue.client("B");
    let mut expected_in = 1;
    for (body, text) in [
        ("98=0|108=0", "HeartBtInt (108) is out of range"),
        ("98=0|108=61", "HeartBtInt (108) is out of range"),
        ("98=0|108=x", "HeartBtInt (108) is not a positive number"),
        ("98=0", "HeartBtInt (108) is missing"),
        ("98=1|108=30", "EncryptMethod (98) must be 0"),
    ] {
        let mut a = FixClient::connect(venue.address(), "A");
        a.next_in = expected_in;
        a.send("A", body);
        a.expect(&format!("35=5|58={text}"));
        a.expect_closed();
        expected_in += 1;
        b.trade();
    }
    // A Logout is a message like any other: it has used a number of the venue's.
    let (mut a, answer) = venue.resume("A", (1, expected_in));
    assert_eq!(answer.seq(), expected_in);
    a.trade();
    let (next_out, next_in) = a.log_out();

    let mut low = FixClient::connect(venue.address(), "A");
    low.next_in = next_in;
    low.send("A", "98=0|108=30");
    let text = format!("MsgSeqNum too low, expecting {next_out} but received 1");
    low.expect(&format!("35=5|58={text}"));
    low.expect_closed();
    let (mut a, _) = venue.resume("A", (next_out, next_in + 1));
    a.trade();
}

#[test]
fn wrong_comp_ids_in_a_session_end_it() {
    let venue = TestVenue::start();
    let mut b = venue.client("B");
    let mut numbers = (1, 1);
    for (own, venues) in [("C", "IRONBOOK"), ("A", "OTHER")] {
        let (mut a, _) = venue.resume("A", numbers);
        (a.comp_id, a.venue) = (own.to_owned(), venues.to_owned());
        let seq = a.send("D", &order("10", "100.00"));
        (a.comp_id, a.venue) = ("A".to_owned(), "IRONBOOK".to_owned());
        a.expect(&format!("35=3|45={seq}|373=9|372=D|58=CompID problem"));
        a.expect("35=5");
        a.send("5", "");
        a.expect_closed();
        numbers = a.numbers();
        b.trade();
    }
    let (mut a, _) = venue.resume("A", numbers);
    a.trade();
}

#[test]
fn a_used_number_ends_the_session() {
    let venue = TestVenue::start();
    let mut b = venue.client("B");
    let mut a = venue.client("A");
    a.trade();
    let expected = a.next_out;
    a.send_raw(&a.build("D", 2, &order("10", "100.00"), Flaw::None));
    a.expect(&format!("35=5|58=MsgSeqNum too low, expecting {expected} but received 2"));
    a.expect_closed();
    b.trade();
    let (mut a, _) = venue.resume("A", a.numbers());
    a.trade();
}

#[test]
fn a_live_session_stays_with_its_connection() {
    let venue = TestVenue::start();
    let mut a = venue.client("A");
    let mut second = FixClient::connect(venue.address(), "A");
    second.send("A", "98=0|108=30");
    second.expect_closed();
    a.ping();
    a.trade();
}

#[test]
fn whoever_does_not_log_on_is_closed() {
    let venue = TestVenue::start_with(|config| config.fix.logon_timeout_ms = 100);
    let mut silent = FixClient::connect(venue.address(), "A");
    let mut half = FixClient::connect(venue.address(), "A");
    half.send_raw(b"8=FIX.4.4\x019=");
    silent.expect_closed();
    half.expect_closed();
    venue.client("A").trade();
}

#[test]
fn a_message_without_end_is_closed_at_its_bound() {
    let mut config_max = 0;
    let venue = TestVenue::start_with(|config| {
        config.fix.message_bytes_max = 1_024;
        config_max = config.fix.message_bytes_max;
    });
    let mut b = venue.client("B");
    let mut a = venue.client("A");
    let head = "8=FIX.4.4\u{1}9=50000\u{1}35=D\u{1}58=";
    a.send_raw(head.as_bytes());
    // Up to the bound the venue waits for more; one byte past it is one too many.
    a.send_raw(&vec![b'x'; config_max - head.len()]);
    b.trade();
    assert!(a.pending().is_empty(), "nothing is said about half a message");
    a.send_raw(b"y");
    a.expect_closed();
    b.trade();
    let (mut a, _) = venue.resume("A", (2, 2));
    a.trade();
}

#[test]
fn a_whole_message_past_the_bound_closes_the_connection_too() {
    let venue = TestVenue::start_with(|config| config.fix.message_bytes_max = 1_024);
    let mut b = venue.client("B");
    let mut a = venue.client("A");
    a.send("D", &with(&format!("58={}", "x".repeat(1_024))));
    a.expect_closed();
    b.trade();
    // At the bound itself it is a message.
    let (mut a, _) = venue.resume("A", (2, 2));
    let short = a.build("D", a.next_out, &with("58="), Flaw::None).len();
    let fill = "x".repeat(1_024 - short - 1);
    let bytes = a.build("D", a.next_out, &with(&format!("58={fill}")), Flaw::None);
    assert_eq!(bytes.len(), 1_024, "the bound exactly, BodyLength has a digit more");
    a.next_out += 1;
    a.send_raw(&bytes);
    a.expect("35=8|150=0|11=bad");
    a.trade();
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    let venue = TestVenue::start_with(|config| config.fix.connections_max = 2);
    let mut a = venue.client("A");
    let mut b = venue.client("B");
    let mut c = FixClient::connect(venue.address(), "C");
    c.expect_closed();
    a.trade();
    b.trade();
    b.log_out();
    wait_for("the place of the connection that left is free", || {
        let mut c = FixClient::connect(venue.address(), "C");
        let sent = c.try_send_raw(&c.build("A", 1, "98=0|108=30", Flaw::None));
        sent.is_ok() && c.receive().is_some()
    });
    a.trade();
}

#[test]
fn a_mass_cancel_covers_its_scope_and_no_more() {
    let venue = TestVenue::start();
    let mut a = venue.client("A");
    let mut b = venue.client("B");
    a.rest("a1", "AAPL", "1", "5", "100.00");
    a.rest("a2", "AAPL", "2", "5", "200.00");
    a.rest("a3", "AAPL", "1", "5", "101.00");
    a.rest("a4", "BTC-USD", "1", "0.5", "100.00");
    b.rest("b1", "AAPL", "1", "5", "100.00");
    let mass = |fields: &str| format!("11=m|{fields}|60={}", common::now());

    a.send("q", &mass("530=1|55=AAPL|54=1"));
    a.expect("35=r|11=m|530=1|531=1|533=2|55=AAPL");
    a.expect("35=8|150=4|39=4|11=a1|58=mass cancel");
    a.expect("35=8|150=4|39=4|11=a3|58=mass cancel");
    a.send("q", &mass("530=1|55=AAPL"));
    a.expect("35=r|530=1|531=1|533=1");
    a.expect("35=8|150=4|39=4|11=a2");
    a.send("q", &mass("530=1|55=AAPL"));
    a.expect("35=r|530=1|531=1|533=0");
    a.rest("a5", "AAPL", "1", "5", "100.00");
    a.send("q", &mass("530=7"));
    a.expect("35=r|530=7|531=7|533=2");
    a.expect("35=8|150=4|39=4|11=a4|55=BTC-USD");
    a.expect("35=8|150=4|39=4|11=a5|55=AAPL");
    a.ping();
    b.send("H", "11=b1|55=AAPL|54=1");
    b.expect("35=8|150=I|39=0|11=b1|151=5");
}
