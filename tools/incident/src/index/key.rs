//! What frames can be found by.

use ironbook_engine::{
    ClOrdId, OrderId, SessionId, TradeId,
    command::{
        CancelOnDisconnect, CancelOrder, DefineSession, MassCancel, NewOrder, QueryOrder,
        ReplaceOrder, SetInstrumentStatus, SetRiskLimits, SetTradingStatus,
    },
    event::{
        CancelRejected, Execution, MassCanceled, OrderRejected, SessionTripped,
        TradingStatusChanged,
    },
    record::{DecodeError, Record, RecordBuffer},
};
use ironbook_gateway::session_record::SessionRecord;
use ironbook_journal::Frame;

/// Something that frames name.
///
/// A ClOrdID is a key by itself, without its session: whoever asks for one need not know whose it
/// is, and look-ups decode the frames anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// OrderID (37), on either side of a trade.
    Order(OrderId),
    /// ClOrdID (11) or OrigClOrdID (41), of any session.
    Name(ClOrdId),
    /// Number of a trade.
    Trade(TradeId),
    /// A session, in either direction.
    Session(SessionId),
}

impl Key {
    /// What filters know of it.
    #[inline]
    pub(super) fn hash(&self) -> u64 {
        match self {
            Self::Order(id) => mix(id.0 ^ 1 << 62),
            Self::Trade(id) => mix(id.0 ^ 2 << 62),
            Self::Session(id) => mix(u64::from(id.0) ^ 3 << 62),
            Self::Name(name) => {
                let (words, rest) = name.padded().as_chunks::<8>();
                let last = u32::from_le_bytes(*rest.first_chunk().expect("36 bytes"));
                let sum = words.iter().fold(u64::from(last), |sum, word| {
                    (sum.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(MULTIPLIER)
                });
                mix(sum)
            }
        }
    }
}

/// Odd, with bits all over: 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads a number over all 64 bits (the finalizer of MurmurHash3).
#[inline]
pub(super) fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let number = (number ^ number >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ number >> 33
}

/// Tells every key of a frame.
///
/// # Errors
/// The frame is none that this program writes.
#[inline]
pub(super) fn keys(
    frame: &Frame<'_>,
    buffer: &mut RecordBuffer,
    mut found: impl FnMut(Key),
) -> Result<(), DecodeError> {
    let payload = frame.payload;
    match frame.kind {
        Execution::KIND => {
            let event = Execution::read_in(payload, buffer)?;
            found(Key::Session(event.session));
            found(Key::Order(event.order_id));
            found(Key::Name(event.cl_ord_id));
            if !event.orig_cl_ord_id().is_empty() {
                found(Key::Name(*event.orig_cl_ord_id()));
            }
            if event.trade_id != TradeId(0) {
                found(Key::Trade(event.trade_id));
                found(Key::Order(event.contra_order_id));
            }
        }
        NewOrder::KIND => {
            let command = NewOrder::read_in(payload, buffer)?;
            found(Key::Session(command.origin.session));
            found(Key::Name(command.cl_ord_id));
        }
        CancelOrder::KIND => {
            let command = CancelOrder::read_in(payload, buffer)?;
            found(Key::Session(command.origin.session));
            found(Key::Order(command.order_id));
            found(Key::Name(command.cl_ord_id));
            found(Key::Name(command.orig_cl_ord_id));
        }
        ReplaceOrder::KIND => {
            let command = ReplaceOrder::read_in(payload, buffer)?;
            found(Key::Session(command.origin.session));
            found(Key::Order(command.order_id));
            found(Key::Name(command.cl_ord_id));
            found(Key::Name(command.orig_cl_ord_id));
        }
        MassCancel::KIND => {
            let command = MassCancel::read_in(payload, buffer)?;
            found(Key::Session(command.origin.session));
            found(Key::Name(command.cl_ord_id));
        }
        CancelOnDisconnect::KIND => {
            let command = CancelOnDisconnect::read_in(payload, buffer)?;
            found(Key::Session(command.origin.session));
        }
        QueryOrder::KIND => {
            let command = QueryOrder::read_in(payload, buffer)?;
            found(Key::Session(command.origin.session));
            found(Key::Order(command.order_id));
            found(Key::Name(command.cl_ord_id));
        }
        SetInstrumentStatus::KIND => {
            let command = SetInstrumentStatus::read_in(payload, buffer)?;
            found(Key::Session(command.origin.session));
        }
        SetRiskLimits::KIND => {
            let command = SetRiskLimits::read_in(payload, buffer)?;
            found(Key::Session(command.origin.session));
            found(Key::Session(command.session));
        }
        SetTradingStatus::KIND => {
            let command = SetTradingStatus::read_in(payload, buffer)?;
            found(Key::Session(command.origin.session));
            found(Key::Session(command.session));
        }
        SessionTripped::KIND => {
            let event = SessionTripped::read_in(payload, buffer)?;
            found(Key::Session(event.session));
            found(Key::Order(event.order_id));
            found(Key::Trade(event.trade_id));
        }
        TradingStatusChanged::KIND => {
            found(Key::Session(TradingStatusChanged::read_in(payload, buffer)?.session));
        }
        DefineSession::KIND => {
            found(Key::Session(DefineSession::read_in(payload, buffer)?.session));
        }
        OrderRejected::KIND => {
            let event = OrderRejected::read_in(payload, buffer)?;
            found(Key::Session(event.session));
            found(Key::Name(event.cl_ord_id));
        }
        CancelRejected::KIND => {
            let event = CancelRejected::read_in(payload, buffer)?;
            found(Key::Session(event.session));
            found(Key::Order(event.order_id));
            found(Key::Name(event.cl_ord_id));
            found(Key::Name(event.orig_cl_ord_id));
        }
        MassCanceled::KIND => {
            let event = MassCanceled::read_in(payload, buffer)?;
            found(Key::Session(event.session));
            found(Key::Name(event.cl_ord_id));
        }
        kind if SessionRecord::is_kind(kind) => {
            let session = payload.first_chunk::<4>().ok_or(DecodeError::Code { kind })?;
            found(Key::Session(SessionId(u32::from_le_bytes(*session))));
        }
        _ => {}
    }
    Ok(())
}
