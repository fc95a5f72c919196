//! What a simulated client asks for, and how it misbehaves.

use ironbook_fix::{
    encode::Body,
    field::Decimal,
    message::MsgType,
    order::{
        MassCancelRequestType, NewOrderSingle, OrdType, OrderCancelReplaceRequest,
        OrderCancelRequest, OrderMassCancelRequest, OrderStatusRequest, Side, TimeInForce,
    },
};

use super::{
    client::{Client, MS, Named, SECOND, UNANSWERED_MAX},
    market::{INSTRUMENTS, Instrument},
    model::OpenOrder,
};

/// Open orders from which on a client would rather cancel.
const OPEN_MANY: usize = 24;

/// Open orders at which it cancels all: a mass cancel is one group of frames.
const OPEN_MAX: usize = 48;

/// Prices lie this many ticks around the middle.
const TICKS_AROUND: u64 = 12;

/// Ticks of the middle price.
const TICKS_MIDDLE: i64 = 10_000;

impl Client {
    /// Does something, and decides when to do the next thing.
    pub(super) fn act(&mut self, now: u64) {
        self.act_at = now + self.pause() / self.temper;
        if self.is_copy {
            return self.listen(now);
        }
        if self.unanswered.len() >= UNANSWERED_MAX {
            return self.doubt_unanswered();
        }
        let open = self.model.orders.len();
        if open >= OPEN_MAX {
            return self.mass_cancel(now, MassCancelRequestType::All);
        }
        if self.shut_out_ms.is_some() && !self.random.one_in(3) {
            return self.wait_shut_out(now);
        }
        match self.random.below(100) {
            0..46 if open < OPEN_MANY => self.order(now),
            0..61 => self.cancel(now),
            61..71 => self.replace(now),
            71..73 => {
                let scope = [MassCancelRequestType::All, MassCancelRequestType::Security];
                let scope = *self.random.choose(&scope);
                self.mass_cancel(now, scope);
            }
            73..77 => self.ask_status(now),
            77..80 => self.bad_order(now),
            80..84 => self.burst(now),
            84..86 => self.transmit(now, MsgType::TEST_REQUEST, b"112=sim\x01"),
            86..88 => self.ask_again(now),
            88..90 => self.lose_or_damage(now),
            90..92 => self.garbage(),
            92..94 => self.read_from = now + self.random.between(SECOND, 20 * SECOND),
            94..96 => self.end(now),
            _ => self.act_at = now + self.random.between(SECOND, 40 * SECOND) / self.temper,
        }
    }

    /// Who may only cancel cancels, or waits; now and then he tries something else.
    fn wait_shut_out(&mut self, now: u64) {
        if self.model.orders.is_empty() {
            self.act_at = now + self.random.between(SECOND, 5 * SECOND) / self.temper;
        } else {
            self.cancel(now);
        }
    }

    /// Mostly busy, now and then thoughtful.
    fn pause(&mut self) -> u64 {
        match self.random.below(10) {
            0..3 => self.random.between(MS, 20 * MS),
            3..9 => self.random.between(20 * MS, 2 * SECOND),
            _ => self.random.between(2 * SECOND, 8 * SECOND),
        }
    }

    /// A drop copy asks for nothing that it may not, except by mistake.
    fn listen(&mut self, now: u64) {
        self.act_at = now + self.random.between(SECOND, 30 * SECOND);
        match self.random.below(10) {
            0 => self.ask_again(now),
            1 => self.end(now),
            2 => self.read_from = now + self.random.between(SECOND, 20 * SECOND),
            3 => self.order(now),
            _ => {}
        }
    }

    /// Sends a request with this ClOrdID, which may name an order by OrderID too.
    fn send<B: Body>(&mut self, now: u64, body: &B, cl_ord_id: &[u8], order_id: Option<u64>) {
        self.asks_for(B::MSG_TYPE, cl_ord_id, order_id);
        self.session.transmit_typed(now, body, &mut self.output);
    }

    fn transmit(&mut self, now: u64, msg_type: MsgType, body: &[u8]) {
        self.counts.requests += 1;
        self.session.transmit(now, msg_type, body, &mut self.output);
    }

    /// A ClOrdID that was never used.
    fn next_id(&mut self) -> Vec<u8> {
        self.ids += 1;
        format!("{}-{}", self.name, self.ids).into_bytes()
    }

    fn side(&mut self) -> Side {
        *self.random.choose(&[Side::Buy, Side::Sell])
    }

    fn price(&mut self, instrument: &Instrument) -> Decimal {
        let ticks =
            TICKS_MIDDLE + self.random.below(2 * TICKS_AROUND + 1) as i64 - TICKS_AROUND as i64;
        Decimal::new(ticks * instrument.tick_mantissa, instrument.price_scale)
    }

    fn qty(&mut self, instrument: &Instrument) -> Decimal {
        let lots = self.random.between(1, 40) as i64;
        Decimal::new(lots * instrument.lot_mantissa, instrument.qty_scale)
    }

    fn order(&mut self, now: u64) {
        let index = self.random.below(INSTRUMENTS.len() as u64) as usize;
        let instrument = &INSTRUMENTS[index];
        let cl_ord_id = self.next_id();
        let market = self.random.one_in(12);
        let times = [
            TimeInForce::Day,
            TimeInForce::Day,
            TimeInForce::GoodTillCancel,
            TimeInForce::ImmediateOrCancel,
            TimeInForce::FillOrKill,
        ];
        let order = NewOrderSingle {
            price: (!market).then(|| self.price(instrument)),
            side: self.side(),
            order_qty: self.qty(instrument),
            ord_type: if market { OrdType::Market } else { OrdType::Limit },
            time_in_force: *self.random.choose(&times),
            ..plain(&cl_ord_id, instrument, now)
        };
        self.send(now, &order, &cl_ord_id, None);
        self.counts.orders += 1;
        let named = Named { order_id: None, instrument: index as u32 + 1, side: order.side.code() };
        if !self.is_copy {
            self.unanswered.insert(cl_ord_id, named);
        }
    }

    /// Several orders at once.
    fn burst(&mut self, now: u64) {
        for _ in 0..self.random.between(2, 20) {
            if self.unanswered.len() < UNANSWERED_MAX {
                self.order(now);
            }
        }
    }

    /// An order that must be refused, in one of several ways.
    fn bad_order(&mut self, now: u64) {
        let instrument = &INSTRUMENTS[0];
        let cl_ord_id = self.next_id();
        let mut order = plain(&cl_ord_id, instrument, now);
        order.price = Some(self.price(instrument));
        order.order_qty = self.qty(instrument);
        self.counts.orders += 1;
        match self.random.below(6) {
            0 => order.price = Some(Decimal::new(1, 4)),
            1 => order.order_qty = Decimal::ZERO,
            2 => order.symbol = b"NONE",
            3 => order.ord_type = OrdType::Pegged,
            4 => order.price = None,
            _ => {
                // The same again: only the first one is good.
                self.send(now, &order, &cl_ord_id, None);
                self.used_twice.insert(cl_ord_id.clone());
                let named = Named { order_id: None, instrument: 1, side: order.side.code() };
                self.unanswered.insert(cl_ord_id.clone(), named);
            }
        }
        self.send(now, &order, &cl_ord_id, None);
    }

    /// One of its open orders.
    fn any_open(&mut self) -> Option<(u64, OpenOrder)> {
        let count = self.model.orders.len() as u64;
        let index = self.random.below(count) as usize;
        self.model.orders.iter().nth(index).map(|(id, order)| (*id, order.clone()))
    }

    fn cancel(&mut self, now: u64) {
        let Some((id, order)) = self.any_open() else { return self.order(now) };
        let (cl_ord_id, id) = (self.next_id(), id.to_string());
        let by_id = self.random.one_in(2);
        self.counts.requests += 1;
        self.send(
            now,
            &OrderCancelRequest {
                cl_ord_id: &cl_ord_id,
                orig_cl_ord_id: &order.cl_ord_id,
                order_id: by_id.then_some(id.as_bytes()),
                account: None,
                symbol: INSTRUMENTS[order.instrument as usize - 1].symbol.as_bytes(),
                side: side_of(order.side),
                order_qty: None,
                partial: false,
                transact_time_ns: now,
            },
            &cl_ord_id,
            None,
        );
    }

    fn replace(&mut self, now: u64) {
        let Some((_, order)) = self.any_open() else { return self.order(now) };
        let instrument = &INSTRUMENTS[order.instrument as usize - 1];
        let cl_ord_id = self.next_id();
        let same_price = self.random.one_in(3);
        let price = self.price(instrument);
        let old_price = Decimal::new(order.price, instrument.price_scale);
        self.counts.requests += 1;
        let replaced = NewOrderSingle {
            side: side_of(order.side),
            order_qty: self.qty(instrument),
            price: Some(if same_price { old_price } else { price }),
            ..plain(&cl_ord_id, instrument, now)
        };
        let request = OrderCancelReplaceRequest {
            orig_cl_ord_id: &order.cl_ord_id,
            order_id: None,
            order: replaced,
        };
        self.send(now, &request, &cl_ord_id, None);
    }

    fn mass_cancel(&mut self, now: u64, request_type: MassCancelRequestType) {
        let cl_ord_id = self.next_id();
        let symbol = self.random.choose(&INSTRUMENTS).symbol.as_bytes();
        let side = self.side();
        let one_side = self.model.orders.len() < OPEN_MAX && self.random.one_in(3);
        self.counts.requests += 1;
        self.send(
            now,
            &OrderMassCancelRequest {
                cl_ord_id: &cl_ord_id,
                request_type,
                symbol: (request_type == MassCancelRequestType::Security).then_some(symbol),
                side: one_side.then_some(side),
                transact_time_ns: now,
            },
            &cl_ord_id,
            None,
        );
    }

    fn ask_status(&mut self, now: u64) {
        let Some((id, order)) = self.any_open() else { return };
        let named = Named { order_id: Some(id), instrument: order.instrument, side: order.side };
        self.ask_about(now, &order.cl_ord_id, &named);
    }

    fn ask_about(&mut self, now: u64, cl_ord_id: &[u8], named: &Named) {
        let id = named.order_id.map(|id| id.to_string());
        self.counts.requests += 1;
        self.send(
            now,
            &OrderStatusRequest {
                cl_ord_id,
                order_id: id.as_deref().map(str::as_bytes),
                ord_status_req_id: None,
                account: None,
                symbol: INSTRUMENTS[named.instrument as usize - 1].symbol.as_bytes(),
                side: side_of(named.side),
            },
            cl_ord_id,
            named.order_id,
        );
    }

    /// Asks about every order that is in doubt; their answers take them off the list.
    pub(super) fn ask_about_doubtful(&mut self, now: u64) {
        (self.asks, self.asked_at) = (false, now);
        for (cl_ord_id, named) in self.doubtful.clone() {
            self.ask_about(now, &cl_ord_id, &named);
        }
    }

    /// Asks for messages again that it has.
    fn ask_again(&mut self, now: u64) {
        let last = self.session.next_in().get() - 1;
        let begin = self.random.between(1, last.max(1));
        let end = if self.random.one_in(2) { 0 } else { self.random.between(begin, last.max(1)) };
        let body = format!("7={begin}\x0116={end}\x01");
        self.inbox.asks_again();
        self.transmit(now, MsgType::RESEND_REQUEST, body.as_bytes());
    }

    /// A message that gets lost, or a byte of it changed: the next one shows a gap.
    fn lose_or_damage(&mut self, now: u64) {
        let whole = self.output.len();
        let body = format!("112=lost{}\x01", self.ids);
        self.transmit(now, MsgType::TEST_REQUEST, body.as_bytes());
        self.counts.garbage += 1;
        if self.random.one_in(2) {
            self.output.truncate(whole);
        } else {
            let at = whole + self.random.below((self.output.len() - whole) as u64) as usize;
            self.output[at] ^= 1 << self.random.below(7);
        }
    }

    /// Bytes that are no message.
    fn garbage(&mut self) {
        self.counts.garbage += 1;
        if self.random.one_in(3) {
            // The beginning of a message that never comes.
            self.output.extend_from_slice(b"8=FIX.4.4\x019=300\x0135=D\x01");
        } else {
            let length = self.random.between(1, 300);
            self.output.extend((0..length).map(|_| self.random.next_u64() as u8));
        }
    }

    /// Logs out, or just goes.
    fn end(&mut self, now: u64) {
        if self.random.one_in(2) {
            self.session.logout(now, None);
            self.drain(now);
        } else {
            self.closing = true;
        }
    }
}

fn side_of(code: u8) -> Side {
    if code == Side::Buy.code() { Side::Buy } else { Side::Sell }
}

/// A limit order for the day, of nothing for nothing.
fn plain<'a>(cl_ord_id: &'a [u8], instrument: &'a Instrument, now: u64) -> NewOrderSingle<'a> {
    let (symbol, nothing) = (instrument.symbol.as_bytes(), Decimal::ZERO);
    NewOrderSingle::limit(cl_ord_id, symbol, Side::Buy, nothing, nothing, now)
}
