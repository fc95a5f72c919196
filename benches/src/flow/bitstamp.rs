//! Level-3 events of Bitstamp: created, changed and deleted orders with their remaining volume.

use std::collections::HashMap;

use ironbook_engine::{OrdType, Side, TimeInForce};
use ironbook_fix::field::Decimal;

use super::{FlowAction, FlowEvent, LineError, Scaled, number, records};

/// Decimals of a volume: it counts units of 0.00000001.
const VOLUME_SCALE: u8 = 8;

/// Names of the fields, as the header has them.
const HEADER: [&str; 7] =
    ["id", "timestamp", "exchange.timestamp", "price", "volume", "action", "direction"];

/// What is known of an order that was created.
#[derive(Clone, Copy)]
struct Known {
    version: u32,
}

/// A created order becomes a new one, a change a replace by the remaining volume, a deletion a
/// cancel. Orders from before the file are canceled or replaced all the same: the venue refuses.
pub(super) fn parse(text: &[u8]) -> Result<Vec<FlowEvent>, LineError> {
    let mut orders: HashMap<u64, Known> = HashMap::new();
    let mut first_ms = None;
    let mut events = Vec::new();
    for (at, record) in records(text).enumerate() {
        let record = record?;
        let (line, ref fields) = record;
        if at == 0 && is_header(line, fields)? {
            continue;
        }
        let order: u64 = number(&record, 0, "id")?;
        let time_ms: u64 = number(&record, 1, "timestamp")?;
        let since_ms = time_ms.saturating_sub(*first_ms.get_or_insert(time_ms));
        let price = decimal(line, fields.get(3).unwrap_or_default())?;
        let order_qty = (number::<i64>(&record, 4, "volume")?, VOLUME_SCALE);
        let side = match fields.get(6) {
            Some("bid") => Side::Buy,
            Some("ask") => Side::Sell,
            other => return Err((line, format!("direction is {other:?}, bid or ask is expected"))),
        };
        let known = orders.entry(order).or_insert(Known { version: 0 });
        let version = known.version;
        let action = match fields.get(5) {
            Some("created") => FlowAction::New {
                ord_type: OrdType::Limit,
                time_in_force: TimeInForce::Gtc,
                price,
                order_qty,
            },
            Some("changed") => {
                known.version += 1;
                FlowAction::Replace { price, order_qty }
            }
            Some("deleted") => FlowAction::Cancel,
            other => {
                let reason = "created, changed or deleted is expected";
                return Err((line, format!("action is {other:?}, {reason}")));
            }
        };
        let at_ns = since_ms * 1_000_000;
        events.push(FlowEvent { at_ns, client: 0, order, version, instrument: 0, side, action });
    }
    Ok(events)
}

/// Whether the first line is the header: without one it is an event, which begins with a number.
fn is_header(line: u64, fields: &csv::StringRecord) -> Result<bool, LineError> {
    let names = fields.iter().map(str::trim);
    if names.take(HEADER.len()).eq(HEADER) {
        return Ok(true);
    }
    let first = fields.get(0).unwrap_or_default().trim();
    if first.parse::<u64>().is_ok() {
        return Ok(false);
    }
    let expected = HEADER.join(",");
    Err((line, format!("it is neither an event nor the header, which is {expected}")))
}

fn decimal(line: u64, text: &str) -> Result<Scaled, LineError> {
    match Decimal::parse(text.as_bytes()) {
        Ok(decimal) => Ok((decimal.mantissa, decimal.scale)),
        Err(_) => Err((line, format!("price is {text:?}, a decimal number is expected"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
id,timestamp,exchange.timestamp,price,volume,action,direction
7,1000,1000,236.47,200000000,created,bid
7,1117,1000,236.47,178855669,changed,bid
7,1250,1000,236.47,0,deleted,bid
";

    #[test]
    fn follows_an_order_through_its_life() {
        let events = parse(TEXT.as_bytes()).unwrap();
        let steps: Vec<_> = events.iter().map(|event| (event.at_ns, event.version)).collect();
        assert_eq!(steps, [(0, 0), (117_000_000, 0), (250_000_000, 1)]);
        assert_eq!(
            events[1].action,
            FlowAction::Replace { price: (23_647, 2), order_qty: (178_855_669, 8) }
        );
    }

    #[test]
    fn a_header_is_known_by_its_names() {
        let (header, lines) = TEXT.split_once('\n').unwrap();
        assert_eq!(parse(lines.as_bytes()), parse(TEXT.as_bytes()));
        assert_eq!(parse(format!("{header}\n").as_bytes()).unwrap(), []);
        let (line, reason) = parse(TEXT.replace("volume", "qty").as_bytes()).unwrap_err();
        assert_eq!(line, 1);
        assert!(reason.contains("which is id,timestamp,exchange.timestamp,price,"), "{reason}");
    }

    #[test]
    fn names_the_line_that_is_wrong() {
        let text = TEXT.replace("deleted", "vanished");
        assert_eq!(parse(text.as_bytes()).unwrap_err().0, 4);
        let text = TEXT.replace("236.47,1", "2e2,1");
        assert_eq!(parse(text.as_bytes()).unwrap_err().0, 3);
    }
}
