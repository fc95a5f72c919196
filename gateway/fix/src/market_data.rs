//! Market data: what a client asks for, and what he is told of books and trades.
//!
//! Levels carry no ids: side and price name them. A trade's id is its number at the venue.

use crate::encode::{Body, FIELD_MAX, Writer};
use crate::field::{Decimal, TIMESTAMP_TEXT_MAX, TimestampText, parse_u64};
use crate::message::{FIELDS_MAX, Message, MsgType, Refusal};
use crate::reference::{SubscriptionRequestType, req_id};
use crate::version::ApplVerId;

/// Most entries of one [`IncrementalRefresh`]: a client may have no more room for fields than we have.
pub const ENTRIES_MAX: usize = 50;

/// Most trades in one [`Snapshot`].
pub const SNAPSHOT_TRADES_MAX: usize = 10;

/// Most levels of a side in one [`Snapshot`], so that it is a message whatever its numbers are.
pub const DEPTH_MAX: usize = 300;

/// Most levels of a side with which a [`Snapshot`] has no more fields than we have room for.
pub const DEPTH_COMMON: usize = 40;

/// Most fields of a level, of a trade and of everything else in a message.
const LEVEL_FIELDS: usize = 5;
const TRADE_FIELDS: usize = 8;
const OTHER_FIELDS: usize = 12;
/// Most fields that an entry of an incremental refresh has beside those.
const UPDATE_FIELDS: usize = 2;

const _: () = assert!(ENTRIES_MAX * (TRADE_FIELDS + UPDATE_FIELDS) + OTHER_FIELDS <= FIELDS_MAX);
const _: () = {
    let levels = 2 * DEPTH_COMMON * LEVEL_FIELDS;
    assert!(levels + SNAPSHOT_TRADES_MAX * TRADE_FIELDS + OTHER_FIELDS <= FIELDS_MAX);
};

/// Most bytes of a level: `269=0|`, price, size, orders and number.
const LEVEL_BYTES: usize = 6 + 2 * (4 + 21 + 1) + (4 + 10 + 1) + (3 + 20 + 1);
const _: () = {
    let trades = SNAPSHOT_TRADES_MAX * TRADE_FIELDS * FIELD_MAX;
    let levels = 2 * DEPTH_MAX * LEVEL_BYTES;
    assert!(levels + trades + 1_024 <= crate::codec::MESSAGE_MAX);
};

/// Most bytes of an entry of an [`IncrementalRefresh`], but for those of its symbol.
pub const ENTRY_BYTES_MAX: u64 = ((TRADE_FIELDS + UPDATE_FIELDS) * FIELD_MAX) as u64;

/// MDUpdateType(265)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateType {
    /// 0: all of it again.
    FullRefresh,
    /// 1: what has changed.
    Incremental,
}

/// MDEntryType(269), as far as there are such entries here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EntryTypes {
    /// 0
    pub bids: bool,
    /// 1
    pub offers: bool,
    /// 2
    pub trades: bool,
}

/// MarketDataRequest(V)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketDataRequest<'a> {
    /// MDReqID(262)
    pub req_id: &'a [u8],
    /// SubscriptionRequestType(263)
    pub request_type: SubscriptionRequestType,
    /// MarketDepth(264): levels of a side, 0 for all.
    pub depth: u64,
    /// MDUpdateType(265)
    pub update_type: UpdateType,
    /// MDEntryType(269)
    pub entry_types: EntryTypes,
    /// Symbol(55), at least one, each once.
    pub symbols: Vec<&'a [u8]>,
}

/// MDReqRejReason(281), as far as it is given here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RejectReason {
    /// Unknown symbol.
    UnknownSymbol = b'0',
    /// Duplicate MDReqID(262).
    DuplicateReqId = b'1',
    /// Insufficient bandwidth: too much is asked for.
    InsufficientBandwidth = b'2',
    /// Insufficient permissions.
    InsufficientPermissions = b'3',
    /// Unsupported MarketDepth(264).
    UnsupportedDepth = b'5',
    /// Unsupported MDUpdateType(265).
    UnsupportedUpdateType = b'6',
    /// Unsupported AggregatedBook(266).
    UnsupportedAggregatedBook = b'7',
    /// Unsupported MDEntryType(269).
    UnsupportedEntryType = b'8',
    /// Unsupported MDImplicitDelete(547), from FIX 4.3 on as the field is.
    UnsupportedImplicitDelete = b'C',
}

/// MarketDataRequestReject(Y)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestReject<'a> {
    /// MDReqID(262)
    pub req_id: &'a [u8],
    /// MDReqRejReason(281); none where FIX has none.
    pub reason: Option<RejectReason>,
    /// Text(58)
    pub text: String,
}

/// Why a request is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused<'a> {
    /// As a message.
    Message(Refusal<'a>),
    /// As a request.
    Request(RequestReject<'a>),
}

impl<'a> MarketDataRequest<'a> {
    /// Reads a message that a session accepted; none when it is of another type. Of a request to unsubscribe
    /// only the id matters.
    ///
    /// # Errors
    /// How to refuse it.
    pub fn parse(message: &Message<'a>) -> Option<Result<Self, Refused<'a>>> {
        (message.msg_type() == Some(MsgType::MARKET_DATA_REQUEST)).then(|| Self::read(message))
    }

    fn read(message: &Message<'a>) -> Result<Self, Refused<'a>> {
        let req_id = req_id(message, 262).map_err(Refused::Message)?;
        let request_type = SubscriptionRequestType::of(message);
        if request_type == SubscriptionRequestType::Unsubscribe {
            return Ok(Self {
                req_id,
                request_type,
                depth: 0,
                update_type: UpdateType::FullRefresh,
                entry_types: EntryTypes::default(),
                symbols: Vec::new(),
            });
        }
        let refuse = |reason, text: &str| {
            let (reason, text) = (Some(reason), text.to_owned());
            Refused::Request(RequestReject { req_id, reason, text })
        };
        let depth = message.get(264).and_then(|depth| parse_u64(depth).ok());
        let depth = depth.ok_or_else(|| {
            let text = "MarketDepth(264) is 0 for all levels, or how many of a side";
            refuse(RejectReason::UnsupportedDepth, text)
        })?;
        let update_type = match (request_type, message.get(265)) {
            (_, Some(b"1")) => UpdateType::Incremental,
            (SubscriptionRequestType::Subscribe, None) => {
                let text =
                    "MDUpdateType(265) is needed for updates: 0 for all again, 1 for changes";
                return Err(refuse(RejectReason::UnsupportedUpdateType, text));
            }
            _ => UpdateType::FullRefresh,
        };
        if message.get(266) == Some(b"N") {
            let text = "AggregatedBook(266) must be Y: books are told by price level";
            return Err(refuse(RejectReason::UnsupportedAggregatedBook, text));
        }
        if message.get(547) == Some(b"Y") {
            let text = "MDImplicitDelete(547) must be N: levels that leave the depth are deleted";
            return Err(refuse(RejectReason::UnsupportedImplicitDelete, text));
        }
        let mut entry_types = EntryTypes::default();
        for (_, value) in message.iter().filter(|(tag, _)| *tag == 269) {
            match value {
                b"0" => entry_types.bids = true,
                b"1" => entry_types.offers = true,
                b"2" => entry_types.trades = true,
                _ => {
                    let text = "MDEntryType(269) is 0 for bids, 1 for offers or 2 for trades here";
                    return Err(refuse(RejectReason::UnsupportedEntryType, text));
                }
            }
        }
        let mut symbols = Vec::new();
        for (_, symbol) in message.iter().filter(|(tag, _)| *tag == 55) {
            if !symbols.contains(&symbol) {
                symbols.push(symbol);
            }
        }
        if symbols.is_empty() {
            return Err(refuse(RejectReason::UnknownSymbol, "Symbol(55) is missing"));
        }
        Ok(Self { req_id, request_type, depth, update_type, entry_types, symbols })
    }
}

impl Body for RequestReject<'_> {
    const MSG_TYPE: MsgType = MsgType::MARKET_DATA_REQUEST_REJECT;
    const SINCE: ApplVerId = ApplVerId::Fix42;

    fn len_max(&self) -> usize {
        3 * FIELD_MAX + self.req_id.len() + self.text.len()
    }

    fn write(&self, out: &mut Writer<'_>, _: &mut TimestampText, _: ApplVerId) {
        out.text(b"262=", self.req_id);
        if let Some(reason) = self.reason {
            out.char(b"281=", reason as u8);
        }
        out.text_if(b"58=", Some(self.text.as_bytes()));
    }
}

/// A side of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BookSide {
    /// MDEntryType(269) 0
    Bid = b'0',
    /// MDEntryType(269) 1
    Offer = b'1',
}

/// A price level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceLevel {
    /// MDEntryPx(270)
    pub price: Decimal,
    /// MDEntrySize(271)
    pub size: Decimal,
    /// NumberOfOrders(346)
    pub orders: u32,
}

/// A trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trade {
    /// MDEntryID(278), in snapshots from FIX 5.0 on; TradeID(1003), from 5.0 SP1 on, in snapshots from SP2 on.
    pub id: u64,
    /// MDEntryPx(270)
    pub price: Decimal,
    /// MDEntrySize(271)
    pub size: Decimal,
    /// MDEntryDate(272) and MDEntryTime(273), in nanoseconds since the Unix epoch.
    pub time_ns: u64,
}

/// MDEntryType(269) of a trade.
const TRADE: u8 = b'2';

/// MarketDataSnapshotFullRefresh(W)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot<'a> {
    /// MDReqID(262)
    pub req_id: &'a [u8],
    /// Symbol(55)
    pub symbol: &'a [u8],
    /// LastUpdateTime(779), from FIX 5.0 SP2 on, in nanoseconds since the Unix epoch.
    pub updated_ns: u64,
    /// RptSeq(83), from FIX 5.0 on: number of the last entry of this request and symbol before.
    pub rpt_seq: u64,
    /// Bids, best first, at most [`DEPTH_MAX`].
    pub bids: &'a [PriceLevel],
    /// Offers, best first, at most [`DEPTH_MAX`].
    pub offers: &'a [PriceLevel],
    /// Trades, the last one last, at most [`SNAPSHOT_TRADES_MAX`].
    pub trades: &'a [Trade],
}

/// MDUpdateAction(279)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum UpdateAction {
    /// The level was not there.
    New = b'0',
    /// It was, with another size or number of orders.
    Change = b'1',
    /// It is not there any more, or beyond the depth.
    Delete = b'2',
}

/// What an entry of an [`IncrementalRefresh`] tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Of a level.
    Level(UpdateAction, BookSide, PriceLevel),
    /// A trade.
    Trade(Trade),
}

/// An entry of an [`IncrementalRefresh`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Symbol(55)
    pub symbol: &'a [u8],
    /// RptSeq(83), from FIX 5.0 on: counts the entries of a request and symbol.
    pub rpt_seq: u64,
    /// What happened.
    pub change: Change,
}

/// MarketDataIncrementalRefresh(X)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IncrementalRefresh<'a> {
    /// MDReqID(262)
    pub req_id: &'a [u8],
    /// At least one entry, at most [`ENTRIES_MAX`], to be carried out in this order.
    pub entries: &'a [Entry<'a>],
}

impl Body for Snapshot<'_> {
    const MSG_TYPE: MsgType = MsgType::MARKET_DATA_SNAPSHOT;
    const SINCE: ApplVerId = ApplVerId::Fix42;

    fn len_max(&self) -> usize {
        let levels = (self.bids.len() + self.offers.len()) * LEVEL_BYTES;
        let fields = 4 + self.trades.len() * TRADE_FIELDS;
        levels + fields * FIELD_MAX + self.req_id.len() + self.symbol.len()
    }

    fn write(&self, out: &mut Writer<'_>, text: &mut TimestampText, version: ApplVerId) {
        out.text(b"262=", self.req_id);
        out.text(b"55=", self.symbol);
        if version >= ApplVerId::Fix50Sp2 {
            out.time(b"779=", self.updated_ns, text);
        }
        let count = self.bids.len() + self.offers.len() + self.trades.len();
        out.number(b"268=", count as u64);
        for (side, levels) in [(BookSide::Bid, self.bids), (BookSide::Offer, self.offers)] {
            for level in levels {
                out.char(b"269=", side as u8);
                write_level(level, out);
                write_rpt_seq(self.rpt_seq, out, version);
            }
        }
        for trade in self.trades {
            out.char(b"269=", TRADE);
            if version >= ApplVerId::Fix50 {
                out.number(b"278=", trade.id);
            }
            write_trade(trade, out, text);
            write_rpt_seq(self.rpt_seq, out, version);
            if version >= ApplVerId::Fix50Sp2 {
                out.number(b"1003=", trade.id);
            }
        }
    }
}

impl Body for IncrementalRefresh<'_> {
    const MSG_TYPE: MsgType = MsgType::MARKET_DATA_INCREMENTAL;
    const SINCE: ApplVerId = ApplVerId::Fix42;

    fn len_max(&self) -> usize {
        let texts: usize = self.entries.iter().map(|entry| entry.symbol.len()).sum();
        let fields = 2 + self.entries.len() * (TRADE_FIELDS + UPDATE_FIELDS);
        fields * FIELD_MAX + texts + self.req_id.len()
    }

    fn write(&self, out: &mut Writer<'_>, text: &mut TimestampText, version: ApplVerId) {
        out.text(b"262=", self.req_id);
        out.number(b"268=", self.entries.len() as u64);
        for Entry { symbol, rpt_seq, change } in self.entries {
            match change {
                Change::Level(action, side, level) => {
                    out.char(b"279=", *action as u8);
                    out.char(b"269=", *side as u8);
                    out.text(b"55=", symbol);
                    match action {
                        UpdateAction::Delete => out.decimal(b"270=", level.price),
                        UpdateAction::New | UpdateAction::Change => write_level(level, out),
                    }
                    write_rpt_seq(*rpt_seq, out, version);
                }
                Change::Trade(trade) => {
                    out.char(b"279=", UpdateAction::New as u8);
                    out.char(b"269=", TRADE);
                    out.number(b"278=", trade.id);
                    out.text(b"55=", symbol);
                    write_trade(trade, out, text);
                    write_rpt_seq(*rpt_seq, out, version);
                    if version >= ApplVerId::Fix50Sp1 {
                        out.number(b"1003=", trade.id);
                    }
                }
            }
        }
    }
}

fn write_level(level: &PriceLevel, out: &mut Writer<'_>) {
    out.decimal(b"270=", level.price);
    out.decimal(b"271=", level.size);
    out.number(b"346=", level.orders.into());
}

fn write_trade(trade: &Trade, out: &mut Writer<'_>, text: &mut TimestampText) {
    out.decimal(b"270=", trade.price);
    out.decimal(b"271=", trade.size);
    // `YYYYMMDD-HH:MM:SS`, perhaps with more digits behind it.
    let mut time = [0; TIMESTAMP_TEXT_MAX];
    let length = text.write(&mut time, trade.time_ns);
    out.text(b"272=", &time[..8]);
    out.text(b"273=", &time[9..length]);
}

fn write_rpt_seq(rpt_seq: u64, out: &mut Writer<'_>, version: ApplVerId) {
    if version >= ApplVerId::Fix50 {
        out.number(b"83=", rpt_seq);
    }
}
