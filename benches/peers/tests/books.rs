//! Each book gets a flow made by hand right, or is known not to.

use ironbook_benches::book::{Action, Request};
use ironbook_engine::Side;
use ironbook_peers::book::{BOOKS, Trades, flow, order_max};

fn request(action: Action, order: u64, side: Side, qty: u32, ticks: u64) -> Request {
    Request { order, ticks, qty, instrument: 0, action, side }
}

/// Requests, and the trades of each as price in ticks and quantity.
fn steps() -> Vec<(Request, &'static [(u64, u64)])> {
    use Action::{Cancel, Ioc, New, Replace};
    use Side::{Buy, Sell};
    vec![
        (request(New, 1, Sell, 10, 101), &[]),
        (request(New, 2, Sell, 10, 101), &[]),
        (request(New, 3, Sell, 5, 102), &[]),
        (request(New, 4, Buy, 10, 99), &[]),
        // The first in the queue trades first, and keeps its place with what is left.
        (request(Ioc, 5, Buy, 4, 101), &[(101, 4)]),
        (request(Ioc, 6, Buy, 8, 101), &[(101, 6), (101, 2)]),
        // A replace is a new place, at a new price here.
        (request(Replace, 3, Sell, 7, 101), &[]),
        (request(Ioc, 7, Buy, 9, 101), &[(101, 8), (101, 1)]),
        // A limit binds: the rest of an immediate order is gone ...
        (request(Ioc, 8, Buy, 50, 100), &[]),
        (request(Ioc, 9, Sell, 5, 98), &[(99, 5)]),
        // ... and that of another rests, and trades as a maker then.
        (request(New, 10, Buy, 20, 101), &[(101, 6)]),
        (request(New, 11, Sell, 6, 101), &[(101, 6)]),
        // Orders that are gone are neither canceled nor entered again.
        (request(Replace, 1, Sell, 9, 50), &[]),
        (request(Cancel, 10, Buy, 0, 0), &[]),
        (request(Replace, 10, Buy, 9, 150), &[]),
        (request(Ioc, 12, Sell, 90, 1), &[(99, 5)]),
        // Two levels, of which the limit lets one trade.
        (request(New, 13, Sell, 3, 110), &[]),
        (request(New, 14, Sell, 3, 111), &[]),
        (request(New, 15, Buy, 9, 110), &[(110, 3)]),
        (request(Ioc, 16, Sell, 9, 110), &[(110, 6)]),
        (request(Ioc, 17, Buy, 9, 200), &[(111, 3)]),
    ]
}

#[test]
fn a_flow_made_by_hand() {
    for make in BOOKS {
        let mut book = make(1, 20);
        let wrong = steps().into_iter().find_map(|(request, expected)| {
            let (mut found, mut right) = (Trades::default(), Trades::default());
            book.apply(&request, &mut found);
            expected.iter().for_each(|&(ticks, qty)| right.add(ticks, qty));
            (found != right).then(|| format!("{request:?}: {found:?} instead of {right:?}"))
        });
        let title = book.engine().title();
        match book.known_fault() {
            None => assert_eq!(wrong, None, "{title}"),
            Some(fault) => assert!(wrong.is_some(), "{title} no longer has its fault: {fault}"),
        }
    }
}

#[test]
fn all_books_trade_the_same() {
    for instruments in [1, 3] {
        let flow = flow(7, instruments, 20_000);
        let trades = BOOKS.map(|make| {
            let mut book = make(instruments, order_max(&flow));
            (book.play(&flow), book.engine().title(), book.known_fault())
        });
        let (right, ..) = trades[0];
        assert!(right.count > 1_000 && right.qty > right.count && right.value > right.qty);
        for (found, title, fault) in trades {
            assert_eq!(found == right, fault.is_none(), "{title}: {found:?}, ours {right:?}");
        }
    }
}
