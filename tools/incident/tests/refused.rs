//! Requests that the gateway refused before the engine saw them: all overviews count them alike.

mod common;

use common::{AAPL, C1, C7, Script, index, memory_dir};
use ironbook_engine::{SessionId, Side};
use ironbook_gateway::session_record::SessionRecord;
use ironbook_incident::{
    index::Index,
    picture::{Columns, activity},
    question::{Span, client::client, top::top, why::why},
};

const THROTTLE: &str = "throttle: this session may send 2 orders and replaces a second, 2 at once; this is 5 us \
                        too early";
const RIGHT: &str = "this session may not trade: it may cancel orders and ask for their status";

/// An answer of the gateway with a text.
fn refuse(day: &mut Script, session: SessionId, msg_type: &[u8], text: &str) -> u64 {
    let (msg_type, body) = (msg_type.to_vec(), format!("58={text}\u{1}").into_bytes());
    day.record(&SessionRecord::Outbound { session, msg_type, body })
}

fn whole(index: &Index) -> Span {
    Span { first: index.first_sequence(), last: index.last_sequence() }
}

#[test]
fn what_the_gateway_refused_is_a_request_and_a_reject_under_its_rule() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    day.order((C1, "a"), AAPL, Side::Buy, (10, 10_000));
    day.order((C7, "b"), AAPL, Side::Buy, (10, 10_000));
    day.order((C7, "b"), AAPL, Side::Buy, (10, 10_000));
    let first = refuse(&mut day, C7, b"8", THROTTLE);
    refuse(&mut day, C7, b"9", THROTTLE);
    refuse(&mut day, C7, b"8", THROTTLE);
    let right = refuse(&mut day, C1, b"j", RIGHT);
    // A message that refuses nothing is no request.
    refuse(&mut day, C7, b"0", "");
    day.close();
    let index = index(&dir);
    let found = top(&index, whole(&index), 10).expect("an answer");
    let clients: Vec<_> =
        found.clients.iter().map(|row| (&*row.comp_id, row.requests, row.rejects)).collect();
    assert_eq!(clients, [("C7", 5, 4), ("C1", 2, 1)]);
    let rules: Vec<_> =
        found.rules.iter().map(|(rule, count, at)| (&**rule, *count, *at)).collect();
    assert_eq!(rules[0], ("throttle of the session", 3, first));
    assert!(rules.contains(&("right of the session", 1, right)), "{rules:?}");
    let [(_, second)] = &found.seconds[..] else { panic!("{:?}", found.seconds) };
    assert_eq!((second.requests, second.rejects), (7, 5));

    let of = client(&index, "C7", whole(&index)).expect("an answer");
    assert_eq!((of.requests["NewOrder"], of.requests["refused by the gateway"]), (2, 3));
    assert_eq!(of.busiest.0, 5);
    assert_eq!(of.rejects["throttle of the session"], (3, first));
    let rows = of.head_room.rows.iter();
    let rows = rows.fold((0, 0), |sum, (_, row)| (sum.0 + row.requests, sum.1 + row.refused));
    assert_eq!(rows, (5, 4), "as its rows have it");
    let text = of.to_string();
    for line in [
        "Requests     2 NewOrder, 3 refused by the gateway\n",
        &format!("Rejects      3 throttle of the session, first at sequence {first}\n"),
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    // What comes next explains it.
    assert_eq!(of.first_reject(), Some(first - 1));
    assert!(why(&index, &format!("seq:{first}")).expect("an answer").verdict.contains(THROTTLE));

    let columns = Columns::over(index.first_time_ns(), index.last_time_ns());
    let rates = activity(&index, whole(&index), columns).expect("an answer").rates;
    let sums = rates.iter().fold((0, 0), |sum, of| (sum.0 + of.requests, sum.1 + of.rejects));
    assert_eq!(sums, (7, 5));
}
