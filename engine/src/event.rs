//! What the engine reports. Each event is complete by itself: whoever reads it needs no earlier
//! one, only the instrument's symbol.

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

use crate::{
    Account, CancelRejectTo, ClOrdId, ExecType, InstrumentId, InstrumentStatus, LastLiquidity,
    OrdStatus, OrdType, OrderId, ReasonText, SessionId, Side, Symbol, TimeInForce, TradeId,
    TradingStatus,
    command::{MANTISSA_MAX, SCALE_MAX, record},
    domain::{ExecReason, RejectReason},
    record::{DecodeError, Record},
};

record! {
    /// Something happened to an order: an ExecutionReport (8) that is not a reject.
    ///
    /// What every report tells comes first, what only cancels, replaces and trades tell last: the
    /// zeros at the end of a record are not journaled.
    ///
    /// ```text
    ///   0 order_id        8 price           16 order_qty       24 leaves_qty
    ///  32 session        36 instrument      40 codes           52 cl_ord_id
    ///  88 account       100 other_id
    /// 136 cum_qty       144 cum_notional (u128, two words)   160 contra_order_id
    /// 168 trade_id      176 last_px        184 last_qty
    /// ```
    Execution, 0x0207, 192;
    /// The order.
    order_id: OrderId,
    /// Limit price at `price_scale`; 0 for a market order.
    price: i64,
    /// OrderQty (tag 38) at `qty_scale`.
    order_qty: i64,
    /// LeavesQty (tag 151) at `qty_scale`; 0 once the order is closed.
    leaves_qty: i64,
    /// The session that the report goes to: the order's owner.
    session: SessionId,
    /// The instrument.
    instrument: InstrumentId,
    /// ExecType (tag 150).
    exec_type: ExecType,
    /// OrdStatus (tag 39) after it.
    ord_status: OrdStatus,
    /// Side (tag 54).
    side: Side,
    /// OrdType (tag 40).
    ord_type: OrdType,
    /// TimeInForce (tag 59).
    time_in_force: TimeInForce,
    /// Decimals of prices.
    price_scale: u8,
    /// Decimals of quantities.
    qty_scale: u8,
    /// Why, where nobody asked for it.
    reason: ExecReason,
    /// LastLiquidityInd (tag 851) of a trade.
    last_liquidity: LastLiquidity,
    /// Zero.
    reserved: [u8; 3],
    /// ClOrdID (tag 11): of the request that this answers, else of the order.
    cl_ord_id: ClOrdId,
    /// Account (tag 1).
    account: Account,
    /// Of what answers a cancel or replace the order's OrigClOrdID (tag 41), of what answers a status request its
    /// OrdStatusReqID (tag 790): see [`orig_cl_ord_id`](Self::orig_cl_ord_id) and
    /// [`ord_status_req_id`](Self::ord_status_req_id). Else empty.
    other_id: ClOrdId,
    /// CumQty (tag 14) at `qty_scale`.
    cum_qty: i64,
    /// Sum of LastPx × LastQty over all trades of the order, low word first: AvgPx (tag 6) is this
    /// divided by `cum_qty`.
    cum_notional: [u64; 2],
    /// The order on the other side of a trade, else none.
    contra_order_id: OrderId,
    /// Number of the trade, else none.
    trade_id: TradeId,
    /// LastPx (tag 31) of a trade at `price_scale`, else 0.
    last_px: i64,
    /// LastQty (tag 32) of a trade at `qty_scale`, else 0.
    last_qty: i64,
}

/// Decimals that AvgPx may have beyond those of prices.
pub const AVG_PX_DECIMALS_MORE: u8 = 4;

impl Execution {
    /// OrigClOrdID (tag 41): of the order, when this answers a cancel or replace, else empty.
    #[inline]
    pub fn orig_cl_ord_id(&self) -> &ClOrdId {
        if self.exec_type == ExecType::OrderStatus { &ClOrdId::EMPTY } else { &self.other_id }
    }

    /// OrdStatusReqID (tag 790): of the status request that this answers, if it had one, else empty.
    #[inline]
    pub fn ord_status_req_id(&self) -> &ClOrdId {
        if self.exec_type == ExecType::OrderStatus { &self.other_id } else { &ClOrdId::EMPTY }
    }

    /// Sum of LastPx × LastQty over all trades of the order.
    #[inline]
    pub fn cum_notional(&self) -> u128 {
        u128::from(self.cum_notional[1]) << 64 | u128::from(self.cum_notional[0])
    }

    /// AvgPx (tag 6) and its decimals: those of prices, and up to [`AVG_PX_DECIMALS_MORE`] more where it is none of
    /// these exactly, rounded half up. 0 before the first trade.
    pub fn avg_px(&self) -> (i64, u8) {
        let cum = self.cum_qty.max(0) as u128;
        let Some(whole) = self.cum_notional().checked_div(cum) else {
            return (0, self.price_scale);
        };
        let mut rest = self.cum_notional() - whole * cum;
        let (mut average, mut scale) = (whole as i64, self.price_scale);
        let most = (self.price_scale + AVG_PX_DECIMALS_MORE).min(SCALE_MAX);
        // Digit by digit, as long as it is a number of a price's digits.
        while rest > 0 && scale < most && average < MANTISSA_MAX / 10 {
            rest *= 10;
            average = average * 10 + (rest / cum) as i64;
            rest %= cum;
            scale += 1;
        }
        if rest * 2 >= cum {
            average += 1;
            while scale > self.price_scale && average % 10 == 0 {
                (average, scale) = (average / 10, scale - 1);
            }
        }
        (average, scale)
    }
}

record! {
    /// A new order was refused, or a status request named no order: an ExecutionReport (8) with
    /// OrdStatus rejected.
    OrderRejected, 0x0202, 160;
    /// Price as asked, at `price_scale`.
    price: i64,
    /// OrderQty as asked, at `qty_scale`.
    order_qty: i64,
    /// The limit that the rule sets, at `limit_scale`; 0 where the rule has none.
    limit: i64,
    /// What was seen instead, at `observed_scale`; 0 where the rule has none.
    observed: i64,
    /// The session that asked.
    session: SessionId,
    /// The instrument, or none.
    instrument: InstrumentId,
    /// ExecType (tag 150): rejected, or order status.
    exec_type: ExecType,
    /// Side (tag 54) as asked.
    side: Side,
    /// OrdType (tag 40) as asked.
    ord_type: OrdType,
    /// TimeInForce (tag 59) as asked.
    time_in_force: TimeInForce,
    /// Decimals of `price`.
    price_scale: u8,
    /// Decimals of `order_qty`.
    qty_scale: u8,
    /// The rule.
    reason: RejectReason,
    /// Decimals of `limit`.
    limit_scale: u8,
    /// Decimals of `observed`.
    observed_scale: u8,
    /// Zero.
    reserved: [u8; 3],
    /// Account (tag 1) as asked.
    account: Account,
    /// ClOrdID (tag 11) as asked.
    cl_ord_id: ClOrdId,
    /// The symbol as the client wrote it when `instrument` is none, else empty.
    unknown_symbol: Symbol,
    /// OrdStatusReqID (tag 790) of the status request that this answers, if it had one, else empty.
    ord_status_req_id: ClOrdId,
}

record! {
    /// A cancel or replace was refused: an OrderCancelReject (9). The order stays as it was.
    CancelRejected, 0x0203, 128;
    /// The order, or none when it is unknown.
    order_id: OrderId,
    /// The limit that the rule sets, at `limit_scale`; 0 where the rule has none.
    limit: i64,
    /// What was seen instead, at `observed_scale`; 0 where the rule has none.
    observed: i64,
    /// The session that asked.
    session: SessionId,
    /// The order's instrument, or none.
    instrument: InstrumentId,
    /// OrdStatus (tag 39) of the order; rejected when it is unknown.
    ord_status: OrdStatus,
    /// CxlRejResponseTo (tag 434).
    response_to: CancelRejectTo,
    /// The rule.
    reason: RejectReason,
    /// Decimals of `limit`.
    limit_scale: u8,
    /// Decimals of `observed`.
    observed_scale: u8,
    /// Zero.
    reserved: [u8; 3],
    /// Account (tag 1) of the order.
    account: Account,
    /// ClOrdID (tag 11) of the request.
    cl_ord_id: ClOrdId,
    /// OrigClOrdID (tag 41) of the request.
    orig_cl_ord_id: ClOrdId,
    /// Zero.
    reserved_tail: [u8; 4],
}

record! {
    /// A mass cancel was carried out: an OrderMassCancelReport (r). It comes before the reports of
    /// the orders that it cancels.
    MassCanceled, 0x0204, 56;
    /// The session that asked.
    session: SessionId,
    /// Only this instrument, or none for all.
    instrument: InstrumentId,
    /// TotalAffectedOrders (tag 533).
    affected: u32,
    /// MassCancelRequestType (tag 530) as asked.
    request_type: u8,
    /// Zero.
    reserved: [u8; 3],
    /// ClOrdID (tag 11) of the request.
    cl_ord_id: ClOrdId,
    /// Zero.
    reserved_tail: [u8; 4],
}

record! {
    /// An instrument's status changed.
    StatusChanged, 0x0205, 8;
    /// The instrument.
    instrument: InstrumentId,
    /// Its status from now on.
    status: InstrumentStatus,
    /// Zero.
    reserved: [u8; 3],
}

record! {
    /// The engine's state after a command, so that a replay proves itself on the way.
    StateHashed, 0x0206, 24;
    /// Hash of the whole state.
    state_hash: u64,
    /// Commands applied since the journal began.
    commands: u64,
    /// Orders that are live.
    live_orders: u64,
}

record! {
    /// A session went beyond a risk limit that trips it: from now on it may only cancel. The reports
    /// of its live orders, which are canceled, follow.
    SessionTripped, 0x0208, 48;
    /// The session's order whose trade it was.
    order_id: OrderId,
    /// The trade that went beyond the limit.
    trade_id: TradeId,
    /// The limit, at `scale`.
    limit: i64,
    /// What the window came to with that trade, at `scale`.
    observed: i64,
    /// The session.
    session: SessionId,
    /// The instrument of the trade.
    instrument: InstrumentId,
    /// Its live orders, which are canceled.
    affected: u32,
    /// The rule: what is reported as the reason of rejects from now on.
    rule: RejectReason,
    /// Decimals of `limit` and `observed`.
    scale: u8,
    /// Zero.
    reserved: [u8; 2],
}

record! {
    /// The venue changed what a session may do.
    TradingStatusChanged, 0x0209, 40;
    /// The session.
    session: SessionId,
    /// Its status from now on.
    status: TradingStatus,
    /// Zero.
    reserved: [u8; 3],
    /// Why, may be empty.
    reason: ReasonText,
}

/// Defines [`Event`] over its records.
macro_rules! events {
    ($($name:ident,)+) => {
        /// An output of the engine, read back from the journal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Event { $($name($name),)+ }

        impl Event {
            /// Name of the event for people.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)+ }
            }

            /// Kind of the record in the journal.
            pub fn kind(&self) -> u16 {
                match self { $(Self::$name(_) => <$name>::KIND,)+ }
            }

            /// Bytes of the record in the journal.
            pub fn payload(&self) -> &[u8] {
                match self { $(Self::$name(record) => record.payload(),)+ }
            }

            /// The event that a journaled record holds.
            ///
            /// # Errors
            /// [`DecodeError`] when no event has this kind or the payload is not one.
            #[inline]
            pub fn decode(kind: u16, payload: &[u8]) -> Result<Self, DecodeError> {
                match kind {
                    $(<$name>::KIND => <$name>::read(payload).map(Self::$name),)+
                    _ => Err(DecodeError::Kind { kind }),
                }
            }

            /// The session that is told of it, if any.
            #[inline]
            pub fn session(&self) -> Option<SessionId> {
                match self {
                    Self::Execution(event) => Some(event.session),
                    Self::OrderRejected(event) => Some(event.session),
                    Self::CancelRejected(event) => Some(event.session),
                    Self::MassCanceled(event) => Some(event.session),
                    Self::StatusChanged(_)
                    | Self::StateHashed(_)
                    | Self::SessionTripped(_)
                    | Self::TradingStatusChanged(_) => None,
                }
            }

            /// Kinds of events: 0x0200 to 0x02ff.
            pub const fn is_kind(kind: u16) -> bool {
                kind >> 8 == 2
            }
        }

        $(impl From<$name> for Event {
            #[inline]
            fn from(record: $name) -> Self { Self::$name(record) }
        })+
    };
}

events! {
    Execution,
    OrderRejected,
    CancelRejected,
    MassCanceled,
    StatusChanged,
    StateHashed,
    SessionTripped,
    TradingStatusChanged,
}

/// A record that the engine emits.
pub trait EventRecord: Record {}
impl EventRecord for Execution {}
impl EventRecord for OrderRejected {}
impl EventRecord for CancelRejected {}
impl EventRecord for MassCanceled {}
impl EventRecord for StatusChanged {}
impl EventRecord for StateHashed {}
impl EventRecord for SessionTripped {}
impl EventRecord for TradingStatusChanged {}

#[cfg(test)]
mod tests {
    use super::*;

    const BLANK: Execution = Execution {
        order_id: OrderId::NONE,
        price: 0,
        order_qty: 0,
        leaves_qty: 0,
        session: SessionId(1),
        instrument: InstrumentId(1),
        exec_type: ExecType::Trade,
        ord_status: OrdStatus::Filled,
        side: Side::Buy,
        ord_type: OrdType::Limit,
        time_in_force: TimeInForce::Day,
        price_scale: 0,
        qty_scale: 0,
        reason: ExecReason::None,
        last_liquidity: LastLiquidity::None,
        reserved: [0; 3],
        cl_ord_id: ClOrdId::EMPTY,
        account: Account::EMPTY,
        other_id: ClOrdId::EMPTY,
        cum_qty: 0,
        cum_notional: [0; 2],
        contra_order_id: OrderId::NONE,
        trade_id: TradeId(0),
        last_px: 0,
        last_qty: 0,
    };

    #[test]
    fn an_average_has_the_decimals_that_it_takes() {
        let max = MANTISSA_MAX;
        for (trades, price_scale, expected) in [
            (&[][..], 2, (0, 2)),
            (&[(10, 10_001)], 2, (10_001, 2)),
            (&[(10, 10_001), (30, 10_001)], 2, (10_001, 2)),
            (&[(10, 10_001), (10, 10_002)], 2, (100_015, 3)),
            (&[(1, 100), (2, 101)], 2, (1_006_667, 6)),
            (&[(2, 100), (1, 101)], 2, (1_003_333, 6)),
            // Half up, at the last of the decimals; what is nearer to a price is that price.
            (&[(19_999, 1), (1, 2)], 0, (10_001, 4)),
            (&[(9_999_999, 100), (1, 99)], 2, (100, 2)),
            (&[(1, 7), (2, 8)], 16, (767, 18)),
            (&[(1, 7), (2, 8)], 18, (8, 18)),
            // No more digits than prices have.
            (&[(1, max), (1, max - 1)], 0, (max, 0)),
            (&[(1, max / 100), (1, max / 100 - 1)], 0, ((max / 100) * 10 - 5, 1)),
            (&[(max, max), (max, max - 1)], 0, (max, 0)),
        ] {
            let mut report = Execution { price_scale, ..BLANK };
            for &(qty, price) in trades {
                report.cum_qty += qty;
                crate::order::add_notional(&mut report.cum_notional, price, qty);
            }
            assert_eq!(report.avg_px(), expected, "{trades:?} at {price_scale}");
        }
    }
}
