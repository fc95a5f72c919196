//! What sessions may do: refusals say which right is missing, and are the same when they are sent again.

mod common;

use std::collections::BTreeMap;

use common::{FixClient, TestVenue, assert_same, cancel, keep, limit, replace, resend};

const NO_SYMBOL: &str = "58=this session may not trade this Symbol(55): it is not in its symbols";
const NO_ACCOUNT: &str =
    "58=this session may not trade for this Account(1): it is not in its accounts";
const NO_TRADE: &str =
    "58=this session may not trade: it may cancel orders and ask for their status";

/// Session A trades AAPL for two accounts.
fn start() -> TestVenue {
    TestVenue::start_with(|config| {
        config.sessions[0].symbols = vec!["AAPL".to_owned()];
        config.sessions[0].accounts = vec!["ACC1".to_owned(), "ACC2".to_owned()];
    })
}

#[test]
fn orders_are_in_instruments_and_for_accounts_of_the_session() {
    let mut venue = start();
    let mut a = venue.client("A");
    let mut originals = BTreeMap::new();
    let order = |id: &str, symbol: &str, account: &str| {
        format!("{}|{account}", limit(id, symbol, "1", "1", "1.00"))
            .trim_end_matches('|')
            .to_owned()
    };
    let refused = "35=8|150=8|39=8|37=NONE";
    for (id, symbol, account, expected) in [
        ("a1", "AAPL", "1=ACC1", "35=8|150=0|1=ACC1".to_owned()),
        ("a2", "AAPL", "1=ACC2", "35=8|150=0|1=ACC2".to_owned()),
        ("a3", "BTC-USD", "1=ACC1", format!("{refused}|103=99|55=BTC-USD|{NO_SYMBOL}")),
        ("a4", "NOSUCH", "1=ACC1", format!("{refused}|103=99|55=NOSUCH|{NO_SYMBOL}")),
        ("a5", "AAPL", "1=ACC3", format!("{refused}|103=15|1=ACC3|{NO_ACCOUNT}")),
        ("a6", "AAPL", "1=ACC11", format!("{refused}|103=15|{NO_ACCOUNT}")),
        ("a7", "AAPL", "", format!("{refused}|103=15|{NO_ACCOUNT}")),
    ] {
        a.send("D", &order(id, symbol, account));
        keep(&mut a, &mut originals, &format!("11={id}|{expected}"));
    }
    let refused = "35=9|434=2|102=99";
    for (id, symbol, account, expected) in [
        ("r1", "BTC-USD", "", format!("{refused}|{NO_SYMBOL}")),
        ("r2", "AAPL", "|1=ACC3", format!("{refused}|{NO_ACCOUNT}")),
        ("r3", "AAPL", "|1=ACC1", "35=8|150=5|1=ACC1".to_owned()),
        ("r4", "AAPL", "", "35=8|150=5|1=ACC1".to_owned()),
    ] {
        let orig = if id == "r4" { "r3" } else { "a1" };
        a.send("G", &format!("{}{account}", replace(id, orig, (symbol, "1"), "2", "1.01")));
        keep(&mut a, &mut originals, &format!("11={id}|{expected}"));
    }
    // All of it is in the journal: told again, and played back to the same state.
    let last = a.next_in - 1;
    let again = resend(&mut a, (2, last), last, &mut Vec::new());
    assert_eq!(again.len(), 11);
    assert_same(&again, &originals);
    // Others have all rights; in an early version the codes are those it has.
    let mut b = venue.client("B");
    b.rest("b1", "BTC-USD", "1", "1", "1.00");
    drop(a);
    let ended = venue.stop();
    let replayed = common::replay(&venue.journal());
    assert_eq!(replayed.engine.expect("a state").state_hash(), ended.state_hash);
}

#[test]
fn refusals_are_in_the_words_of_the_version() {
    let venue = start();
    for (begin_string, expected) in [("FIX.4.2", "103=0|20=0"), ("FIX.4.4", "103=15")] {
        let mut a = FixClient::connect(venue.address(), "A");
        a.begin_string = begin_string;
        a.send("A", "98=0|108=60|141=Y");
        a.expect("35=A");
        a.send("D", &format!("{}|21=1", limit("x1", "AAPL", "1", "1", "1.00")));
        a.expect(&format!("35=8|150=8|39=8|{expected}|{NO_ACCOUNT}"));
        a.send("5", "");
        a.expect("35=5");
        a.expect_closed();
    }
}

#[test]
fn a_session_that_may_not_trade_takes_its_orders_back() {
    let mut venue = TestVenue::start();
    let mut a = venue.client("A");
    for id in ["a1", "a2", "a3"] {
        a.rest(id, "AAPL", "1", "10", "1.00");
    }
    let numbers = a.log_out();
    venue
        .restart_with(|config| {
            config.sessions[0].trade = false;
            config.sessions[0].symbols = vec!["BTC-USD".to_owned()];
            config.sessions[0].accounts = vec!["ACC1".to_owned()];
        })
        .expect("it starts");
    let mut a = venue.resume("A", numbers).0;
    let seq = a.send("D", &limit("a4", "AAPL", "1", "1", "1.00"));
    a.expect(&format!("35=j|372=D|380=6|45={seq}|{NO_TRADE}"));
    let seq = a.send("G", &replace("a5", "a1", ("AAPL", "1"), "2", "1.00"));
    a.expect(&format!("35=j|372=G|380=6|45={seq}|{NO_TRADE}"));
    a.send("H", "11=a1|55=AAPL|54=1");
    a.expect("35=8|150=I|39=0|11=a1|38=10");
    a.send("F", &cancel("c1", "a1", "AAPL", "1"));
    a.expect("35=8|150=4|11=c1");
    a.send("q", &format!("11=m1|530=7|60={}", common::now()));
    a.expect("35=r|531=7|533=2");
    a.expect("35=8|150=4|11=a2");
    a.expect("35=8|150=4|11=a3");
    a.ping();
}
