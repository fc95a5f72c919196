//! Each codec reads the fields that were written, writes those of the report, and checks what it is said to check.

use std::collections::BTreeSet;

use ironbook_benches::sample;
use ironbook_fix::codec::checksum;
use ironbook_peers::codec::{
    Codec, cl_ord_id, codecs, mixed_orders, order_qty, orders, price, reports,
};

/// Messages and reports of each test.
const COUNT: u64 = 5;
/// Mixed orders, as many as are measured, and layouts that Ironbook's codec remembers.
const MIXED: u64 = 64;
const LAYOUTS: usize = 16;
/// Bytes of CheckSum(10) with its separator.
const CHECKSUM_FIELD: usize = 7;

#[test]
fn orders_are_read() {
    are_read(&orders(COUNT));
}

#[test]
fn orders_of_mixed_layouts_are_read() {
    let orders = mixed_orders(MIXED);
    let tags = |bytes: &Vec<u8>| fields(bytes).into_iter().map(|(tag, _)| tag).collect::<Vec<_>>();
    let layouts: Vec<_> = orders.iter().map(tags).collect();
    assert!(layouts.windows(2).all(|pair| pair[0] != pair[1]), "{layouts:?}");
    assert!(layouts.iter().collect::<BTreeSet<_>>().len() > LAYOUTS, "{layouts:?}");
    are_read(&orders);
}

/// Each codec reads these, which are the orders from 1 on.
fn are_read(orders: &[Vec<u8>]) {
    for mut codec in codecs() {
        let title = codec.engine().title();
        for (number, bytes) in (1..).zip(orders) {
            let mut seen = 0;
            let read = codec.decode(bytes, &mut |order| {
                seen += 1;
                assert_eq!(order.cl_ord_id, cl_ord_id(number).as_bytes(), "{title}");
                assert_eq!(
                    (order.account, order.symbol),
                    (&b"ACCOUNT1"[..], &b"AAPL"[..]),
                    "{title}"
                );
                let side = if number % 3 == 0 { b'2' } else { b'1' };
                let codes = (order.side, order.ord_type, order.time_in_force);
                assert_eq!(codes, (side, b'2', b'0'), "{title}");
                assert_eq!(order.order_qty.value(), Some(order_qty(number) as f64), "{title}");
                let expected = price(number).mantissa as f64 / 100.0;
                assert_eq!(order.price.value(), Some(expected), "{title}");
                assert_eq!(order.transact_time.ns(), Some(sample::TIME_NS), "{title}");
            });
            assert!(read && seen == 1, "{title}");
        }
        assert_eq!(codec.decode_all(orders, 3), 3 * orders.len(), "{title}");
    }
}

/// The same message with another byte, and with a right checksum again if wanted.
fn changed(mut bytes: Vec<u8>, at: usize, byte: u8, with_checksum: bool) -> Vec<u8> {
    bytes[at] = byte;
    if with_checksum {
        let end = bytes.len() - CHECKSUM_FIELD;
        let sum = format!("{:03}", checksum(&bytes[..end]));
        bytes[end + 3..end + 6].copy_from_slice(sum.as_bytes());
    }
    bytes
}

#[test]
fn what_is_checked_is_checked() {
    let bytes = orders(1).remove(0);
    let account = bytes.windows(8).position(|at| at == b"ACCOUNT1").unwrap();
    let length = bytes.windows(3).position(|at| at == b"\x019=").unwrap() + 5;
    let other_digit = if bytes[length] == b'9' { b'8' } else { bytes[length] + 1 };
    let accepts = |codec: &mut dyn Codec, bytes: Vec<u8>| codec.decode(&bytes, &mut |_| {});
    for mut codec in codecs() {
        let (title, checks) = (codec.engine().title(), codec.checks());
        let wrong_sum = changed(bytes.clone(), account, b'B', false);
        assert_eq!(accepts(codec.as_mut(), wrong_sum), !checks.checksum, "{title}: checksum");
        let wrong_length = changed(bytes.clone(), length, other_digit, true);
        assert_eq!(accepts(codec.as_mut(), wrong_length), !checks.body_length, "{title}: length");
        assert!(accepts(codec.as_mut(), changed(bytes.clone(), account, b'B', true)), "{title}");
    }
}

/// Tag and value of each field.
fn fields(bytes: &[u8]) -> Vec<(u32, String)> {
    let text = String::from_utf8(bytes.to_vec()).expect("ASCII");
    let fields = text.strip_suffix('\x01').expect("the last field ends, too").split('\x01');
    fields
        .map(|field| {
            let (tag, value) = field.split_once('=').expect("tag and value");
            (tag.parse().expect("a tag is a number"), value.to_owned())
        })
        .collect()
}

#[test]
fn reports_are_written() {
    for mut codec in codecs() {
        let title = codec.engine().title();
        for (number, report) in (1..).zip(reports(COUNT)) {
            let bytes = codec.encode(number, &report).to_vec();
            let mut written = fields(&bytes);
            assert_eq!(written[0], (8, "FIX.4.4".to_owned()), "{title}");
            let (end, (_, length)) = (bytes.len() - CHECKSUM_FIELD, &written[1]);
            // Some fill the length up with zeros, as they may.
            let start = "8=FIX.4.4|9=|".len() + length.len();
            assert_eq!(length.parse(), Ok(end - start), "{title}: BodyLength");
            let sum = format!("{:03}", checksum(&bytes[..end]));
            assert_eq!(written.last(), Some(&(10, sum)), "{title}: CheckSum");
            assert_eq!(written[2].0, 35, "{title}: MsgType is third");
            let (seq, qty) = (number.to_string(), report.order_qty.to_string());
            let mut expected = [
                (35, "8"),
                (49, "IRONBOOK"),
                (56, "TRADER1"),
                (34, &seq),
                (52, &report.time_text),
                (37, &report.order_id),
                (17, &report.exec_id),
                (11, &report.cl_ord_id),
                (150, "0"),
                (39, "0"),
                (1, report.account),
                (55, report.symbol),
                (54, "1"),
                (38, &qty),
                (40, "2"),
                (44, &report.price_text),
                (59, "0"),
                (151, &qty),
                (14, "0"),
                (6, "0"),
                (60, &report.time_text),
            ]
            .map(|(tag, value)| (tag, value.to_owned()));
            expected.sort();
            let body = written.len() - 1;
            written[2..body].sort();
            assert_eq!(written[2..body], expected, "{title}");
        }
    }
}
