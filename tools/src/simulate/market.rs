//! What is traded, and by whom: the same in every simulation.

use std::path::PathBuf;

use ironbook_gateway::{
    config::{
        Acknowledge, CancelOnDisconnect, Config, FirmConfig, InstrumentConfig, RiskConfig,
        SessionConfig,
    },
    desk::INPUTS_PER_TURN,
    random::Random,
};

/// An instrument and its numbers.
pub struct Instrument {
    /// Symbol (55)
    pub symbol: &'static str,
    /// Smallest price step.
    tick: &'static str,
    /// Smallest quantity step.
    lot: &'static str,
    /// Decimals of prices.
    pub price_scale: u8,
    /// Decimals of quantities.
    pub qty_scale: u8,
    /// Price step at `price_scale`.
    pub tick_mantissa: i64,
    /// Quantity step at `qty_scale`.
    pub lot_mantissa: i64,
}

/// Everything that is traded; numbered from 1.
pub const INSTRUMENTS: [Instrument; 3] = [
    Instrument {
        symbol: "AAPL",
        tick: "0.01",
        lot: "1",
        price_scale: 2,
        qty_scale: 0,
        tick_mantissa: 1,
        lot_mantissa: 1,
    },
    Instrument {
        symbol: "BTC-USD",
        tick: "0.50",
        lot: "0.0001",
        price_scale: 2,
        qty_scale: 4,
        tick_mantissa: 50,
        lot_mantissa: 1,
    },
    Instrument {
        symbol: "EUR/USD",
        tick: "0.00001",
        lot: "1000",
        price_scale: 5,
        qty_scale: 0,
        tick_mantissa: 1,
        lot_mantissa: 1_000,
    },
];

/// Comp ids of those who trade.
pub const TRADERS: [&str; 5] = ["T1", "T2", "T3", "T4", "T5"];

/// Comp id of the drop copy.
pub const DROP_COPY: &str = "COPY";

/// Comp id of the venue.
pub const VENUE: &str = "IRONBOOK";

/// A small venue in which much happens; the seed decides on its policy and its bounds.
pub fn config(random: &mut Random) -> Config {
    let mut config = Config::default();
    config.venue.comp_id = VENUE.to_owned();
    config.venue.data_dir = PathBuf::from("simulated");
    config.venue.acknowledge =
        *random.choose(&[Acknowledge::Written, Acknowledge::Written, Acknowledge::Durable]);
    config.fix.connections_max = 12;
    config.fix.heart_bt_int_max_s = 30;
    config.fix.out_buffer_bytes_max = 65_536;
    config.fix.resend_messages_per_turn = *random.choose(&[1, 7, 256]);
    config.threads.gateways = random.between(1, 3) as usize;
    config.threads.ring_slots = *random.choose(&[INPUTS_PER_TURN, 64, 1_024]);
    config.journal.segment_bytes = 1 << random.between(16, 18);
    config.journal.prepared_ahead = random.between(1, 2) as u32;
    config.journal.sync_interval_ms = *random.choose(&[10, 200, 1_000, 5_000]);
    config.snapshot.every_commands = *random.choose(&[0, 40, 300]);
    config.snapshot.keep = random.between(1, 3) as usize;
    // Nobody would read them.
    config.metrics.stages = false;
    config.engine.orders_max = 1_024;
    config.engine.instruments_max = 4;
    config.engine.sessions_max = 8;
    config.engine.closed_orders_kept = *random.choose(&[64, 512]);
    config.engine.state_hash_interval = 200;
    let base = config.instruments[0].clone();
    let instrument = |known: &Instrument| InstrumentConfig {
        symbol: known.symbol.to_owned(),
        tick: known.tick.to_owned(),
        lot: known.lot.to_owned(),
        ..base.clone()
    };
    config.instruments = INSTRUMENTS.iter().map(instrument).collect();
    let base = config.sessions[0].clone();
    let session = |comp_id: &str| SessionConfig {
        comp_id: comp_id.to_owned(),
        read_only: comp_id == DROP_COPY,
        ..base.clone()
    };
    config.sessions = TRADERS.iter().copied().chain([DROP_COPY]).map(session).collect();
    config.operator.enabled = true;
    bound(&mut config, random);
    config
}

/// Name of the firm that some sessions are of, in some seeds.
const FIRM: &str = "FIRM";

/// Bounds some sessions of some seeds: risk limits, throttles that refuse, cancel on disconnect.
fn bound(config: &mut Config, random: &mut Random) {
    let [limited, throttled, canceled] = [(); 3].map(|()| random.one_in(2));
    let traders = config.sessions.iter_mut().filter(|session| !session.read_only);
    for session in traders {
        if limited && random.one_in(2) {
            session.risk = Some(limits(random));
        }
        if throttled && random.one_in(2) {
            session.orders_per_second = random.between(1, 8) as u32;
            session.orders_burst = random.between(1, 12) as u32;
        }
        if throttled && random.one_in(3) {
            session.firm = Some(FIRM.to_owned());
        }
        if canceled && random.one_in(2) {
            let when = [
                CancelOnDisconnect::Disconnect,
                CancelOnDisconnect::Logout,
                CancelOnDisconnect::Both,
            ];
            session.cancel_on_disconnect = *random.choose(&when);
            session.cancel_grace_ms = *random.choose(&[0, 500, 3_000, 10_000]);
            session.cancel_gtc = random.one_in(3);
        }
    }
    if config.sessions.iter().any(|session| session.firm.is_some()) {
        let (orders_per_second, orders_burst) =
            (random.between(2, 10) as u32, random.between(2, 20) as u32);
        let throttle = Default::default();
        let name = FIRM.to_owned();
        config.firms = vec![FirmConfig { name, orders_per_second, orders_burst, throttle }];
    }
}

/// Some limits, near enough to what clients do.
fn limits(random: &mut Random) -> RiskConfig {
    let mut risk = RiskConfig::default();
    let mut one_of = |among: &[&str]| (*random.choose(among)).to_owned();
    risk.order_notional = one_of(&["0", "0", "3000"]);
    risk.open_notional = one_of(&["0", "0", "12000", "30000"]);
    risk.traded_notional = one_of(&["0", "2000", "8000", "30000"]);
    risk.loss = one_of(&["0", "0", "2", "6"]);
    risk.price_deviation_bps = *random.choose(&[0, 0, 6]);
    risk.open_orders = *random.choose(&[0, 0, 5, 16]);
    risk.window_ms = *random.choose(&[2_000, 10_000, 60_000]);
    risk
}

/// The same venue without bounds on sessions.
pub fn unbound(config: &Config) -> Config {
    let mut config = config.clone();
    config.firms = Vec::new();
    for session in &mut config.sessions {
        session.risk = None;
        session.firm = None;
        (session.orders_per_second, session.orders_burst) = (0, 0);
        session.cancel_on_disconnect = CancelOnDisconnect::None;
    }
    config
}
