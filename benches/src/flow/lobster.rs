//! Message files of LOBSTER (lobsterdata.com, "Data Structure"): level-3 events of Nasdaq.

use std::collections::HashMap;

use ironbook_engine::{OrdType, Side, TimeInForce};

use super::{FlowAction, FlowEvent, LineError, number, records};

/// Decimals of a price: dollars times 10,000.
const PRICE_SCALE: u8 = 4;

/// Orders that this flow adds, for executions, are numbered from here.
const AGGRESSORS_FROM: u64 = 1 << 62;

/// What rests of an order.
#[derive(Clone, Copy)]
struct Resting {
    size: i64,
    version: u32,
}

/// A submission becomes a new order, a partial cancel a replace, a deletion a cancel, an execution
/// of a visible order an immediate-or-cancel order of the other side. Executions of hidden orders,
/// crosses and halts concern orders that the file does not show and are left out.
pub(super) fn parse(text: &[u8]) -> Result<Vec<FlowEvent>, LineError> {
    let mut resting: HashMap<u64, Resting> = HashMap::new();
    let mut first_time = None;
    let mut aggressors = AGGRESSORS_FROM;
    let mut events = Vec::new();
    for record in records(text) {
        let record = record?;
        let line = record.0;
        let time: f64 = number(&record, 0, "time")?;
        let kind: u8 = number(&record, 1, "type")?;
        let order: u64 = number(&record, 2, "order id")?;
        let size: i64 = number(&record, 3, "size")?;
        let price = (number(&record, 4, "price")?, PRICE_SCALE);
        let side = match number::<i8>(&record, 5, "direction")? {
            1 => Side::Buy,
            -1 => Side::Sell,
            other => return Err((line, format!("direction is {other}, 1 or -1 is expected"))),
        };
        let at_ns = ((time - *first_time.get_or_insert(time)) * 1e9) as u64;
        let mut push = |order, version, side, action| {
            events.push(FlowEvent {
                at_ns,
                client: 0,
                order,
                version,
                instrument: 0,
                side,
                action,
            });
        };
        let known = resting.entry(order).or_insert(Resting { size, version: 0 });
        match kind {
            1 => {
                *known = Resting { size, version: 0 };
                push(order, 0, side, limit(TimeInForce::Day, price, size));
            }
            2 => {
                // OrderQty of a replace is the total, so what has traded would count again: the
                // flow keeps the size as submitted and takes off cancels only.
                known.size -= size;
                let order_qty = (known.size.max(0), 0);
                push(order, known.version, side, FlowAction::Replace { price, order_qty });
                known.version += 1;
            }
            3 => push(order, known.version, side, FlowAction::Cancel),
            4 => {
                push(aggressors, 0, side.opposite(), limit(TimeInForce::Ioc, price, size));
                aggressors += 1;
            }
            5..=7 => {}
            other => return Err((line, format!("type is {other}, 1 to 7 is expected"))),
        }
    }
    Ok(events)
}

fn limit(time_in_force: TimeInForce, price: (i64, u8), size: i64) -> FlowAction {
    FlowAction::New { ord_type: OrdType::Limit, time_in_force, price, order_qty: (size, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
34200.017459617,1,16113575,100,5853300,1
34200.18960767,2,16113575,40,5853300,1
34200.28960767,4,16113575,10,5853300,1
34200.38960767,5,0,10,5853300,1
34201.0,3,16113575,50,5853300,1
";

    #[test]
    fn follows_an_order_through_its_life() {
        let events = parse(TEXT.as_bytes()).unwrap();
        assert_eq!(events.len(), 4);
        assert_eq!(
            events[1].action,
            FlowAction::Replace { price: (5_853_300, 4), order_qty: (60, 0) }
        );
        assert_eq!((events[2].side, events[2].order), (Side::Sell, AGGRESSORS_FROM));
        assert_eq!((events[3].action, events[3].version), (FlowAction::Cancel, 1));
    }

    #[test]
    fn names_the_line_that_is_wrong() {
        let text = TEXT.replace(",5,0,", ",9,0,");
        assert_eq!(parse(text.as_bytes()).unwrap_err().0, 4);
    }
}
