//! The venue's configuration: a TOML file, every key optional, unknown keys refused.
//!
//! [`Config::default`] is a complete venue for a laptop. [`render`] prints a configuration with the
//! meaning, unit and default of every key; [`KEYS`] is the one place where these are written.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
};

use ironbook_engine::{
    Account, CompId, EngineLimits, Symbol,
    command::{MANTISSA_MAX, NOTIONAL_SCALE, RISK_WINDOW_MS_MAX, RiskLimits, TICKS_MAX},
};
use ironbook_fix::{
    codec::MESSAGE_MAX,
    field::Decimal,
    market_data::{DEPTH_COMMON, DEPTH_MAX, ENTRY_BYTES_MAX},
    version::{ApplVerId, ApplVerIds},
};
use jiff::civil::Weekday;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    access::AddressRange,
    credentials::PasswordHash,
    market_data::TRADES_KEPT,
    schedule::Schedule,
    session_record::COPIES_MAX,
    session_throttles::FIRM_NAME_BYTES_MAX,
    stage_log,
    throttle::{ThrottleAction, ThrottleTerms},
};

/// Fewest slots of the ring: with fewer there is never room for what one message can bring about.
const RING_SLOTS_MIN: u64 = crate::desk::INPUTS_PER_TURN as u64;

/// Most gateways: each is a thread that wants a processor, and follows the whole journal.
pub const GATEWAYS_MAX: usize = 8;

/// Longest time to come back before orders are canceled: a day.
const CANCEL_GRACE_MS_MAX: u64 = 86_400_000;

/// Most instruments that a session of market data may follow at once.
const SUBSCRIPTIONS_MAX: u64 = 1 << 20;

/// Fewest bytes that wait for a client of market data: half of them, and what one instrument may add at once,
/// all its levels and all its trades that are remembered, are fewer.
const MARKET_DATA_BYTES_MIN: u64 = 2 << 20;
const _: () = {
    let entries = (4 * DEPTH_MAX + TRADES_KEPT) as u64;
    assert!(MARKET_DATA_BYTES_MIN / 2 + entries * ENTRY_BYTES_MAX < MARKET_DATA_BYTES_MIN);
};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The venue itself.
    pub venue: VenueConfig,
    /// FIX sessions over TCP.
    pub fix: FixConfig,
    /// Market data over FIX.
    pub market_data: MarketDataConfig,
    /// When sessions may be logged on that have no schedule of their own.
    pub schedule: ScheduleConfig,
    /// Risk limits of sessions that have none of their own.
    pub risk: RiskConfig,
    /// Threads, processors and how idle threads wait.
    pub threads: ThreadsConfig,
    /// The journal.
    pub journal: JournalConfig,
    /// Snapshots of the state.
    pub snapshot: SnapshotConfig,
    /// What the venue tells of itself.
    pub metrics: MetricsConfig,
    /// Who may act on the venue while it runs.
    pub operator: OperatorConfig,
    /// Bounds of the matching core.
    pub engine: EngineConfig,
    /// What is traded.
    #[serde(rename = "instrument")]
    pub instruments: Vec<InstrumentConfig>,
    /// Firms whose sessions have bounds in common.
    #[serde(rename = "firm")]
    pub firms: Vec<FirmConfig>,
    /// Who may log on.
    #[serde(rename = "session")]
    pub sessions: Vec<SessionConfig>,
}

/// The venue itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct VenueConfig {
    pub comp_id: String,
    pub data_dir: PathBuf,
    pub acknowledge: Acknowledge,
}

/// What an execution report waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Acknowledge {
    /// The journal holds it: it survives the death of the process.
    Written,
    /// The disk holds it: it survives the loss of power.
    Durable,
}

/// FIX sessions over TCP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct FixConfig {
    pub listen: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_ca: Option<PathBuf>,
    pub allow_from: Vec<AddressRange>,
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    pub logon_failures_max: u32,
    pub lockout_s: u64,
    pub logon_timeout_ms: u64,
    pub logout_timeout_ms: u64,
    pub heart_bt_int_max_s: u32,
    pub sending_time_tolerance_s: u32,
    pub message_bytes_max: usize,
    pub out_buffer_bytes_max: usize,
    pub resend_messages_per_turn: u32,
    pub resend_request_chunk: u32,
}

/// When sessions may be logged on, and when their numbers start anew: always, and never, if nothing is said.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct ScheduleConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    pub days: Vec<Day>,
    pub time_zone: String,
    pub reset: ResetConfig,
}

/// Risk limits of a session; 0 is none, and amounts are decimals as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct RiskConfig {
    pub order_notional: String,
    pub price_deviation_bps: u32,
    pub open_orders: u32,
    pub open_notional: String,
    pub traded_notional: String,
    pub loss: String,
    pub window_ms: u32,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// How often both sequence numbers start at 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResetConfig {
    /// They go on.
    #[default]
    Never,
    /// With every opening.
    Daily,
    /// With the opening on the day that is listed first.
    Weekly,
}

/// Market data over FIX: a port of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct MarketDataConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_listen: Option<SocketAddr>,
    pub interval_ms: u64,
    pub depth_max: usize,
    pub subscriptions_max: usize,
    pub out_buffer_bytes_max: usize,
    pub slow_timeout_ms: u64,
}

/// Threads, processors and how idle threads wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct ThreadsConfig {
    pub layout: Layout,
    pub gateways: usize,
    pub core_cpu: Cpu,
    pub gateway_cpu: Cpu,
    pub ring_slots: usize,
    pub spin_us: u64,
    pub yield_us: u64,
    pub park_us: u64,
}

/// Which agents share a thread.
///
/// Several gateways never share one with the core: they would do nothing at once, and a sleep that ends when
/// a socket of one has something would not end for those of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Shared on up to three processors, dedicated on more, and with several gateways.
    Auto,
    /// Gateway and core take turns on one thread.
    Shared,
    /// Gateways and core have a thread each.
    Dedicated,
}

/// A processor to pin a thread to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cpu {
    /// The venue chooses: the last processors.
    Auto,
    /// Not pinned.
    None,
    /// This one, counted from 0.
    #[serde(untagged)]
    Index(usize),
}

/// The journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct JournalConfig {
    pub segment_bytes: u64,
    pub prepared_ahead: u32,
    pub sync_interval_ms: u64,
    pub old_segments: OldSegments,
}

/// What becomes of segments that no kept snapshot needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OldSegments {
    /// They stay as they are.
    Keep,
    /// Each is packed into a file beside it.
    Compress,
    /// They are removed.
    Remove,
}

/// Snapshots of the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct SnapshotConfig {
    pub every_commands: u64,
    pub keep: usize,
}

/// What the venue tells of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct MetricsConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    pub beyond_loopback: bool,
    pub stages: bool,
    pub stages_bytes: u64,
}

/// Who may act on the venue while it runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct OperatorConfig {
    pub enabled: bool,
}

/// Bounds of the matching core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct EngineConfig {
    pub orders_max: u32,
    pub instruments_max: u32,
    pub sessions_max: u32,
    pub closed_orders_kept: u32,
    pub state_hash_interval: u32,
}

/// An instrument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct InstrumentConfig {
    pub symbol: String,
    pub tick: String,
    pub lot: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_qty_max: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_max: Option<String>,
    #[serde(default = "open")]
    pub status: StatusConfig,
}

/// Status of an instrument from the start of the venue on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum StatusConfig {
    Open,
    Halted,
    Closed,
}

fn open() -> StatusConfig {
    StatusConfig::Open
}

/// A firm, which is what sessions have in common that name it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct FirmConfig {
    pub name: String,
    #[serde(default)]
    pub orders_per_second: u32,
    #[serde(default)]
    pub orders_burst: u32,
    #[serde(default)]
    pub throttle: ThrottleAction,
}

/// A client that may log on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SessionConfig {
    pub comp_id: String,
    #[serde(default = "loopback")]
    pub allow_from: Vec<AddressRange>,
    #[serde(default)]
    pub reset_on_logon: bool,
    #[serde(default)]
    pub next_expected_msg_seq_num: bool,
    #[serde(default)]
    pub last_msg_seq_num_processed: bool,
    #[serde(default)]
    pub read_only: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(default)]
    pub tls: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Sha256>,
    #[serde(default = "yes")]
    pub trade: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firm: Option<String>,
    #[serde(default)]
    pub orders_per_second: u32,
    #[serde(default)]
    pub orders_burst: u32,
    #[serde(default)]
    pub throttle: ThrottleAction,
    #[serde(default)]
    pub cancel_on_disconnect: CancelOnDisconnect,
    #[serde(default)]
    pub cancel_grace_ms: u64,
    #[serde(default)]
    pub cancel_gtc: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<RiskConfig>,
}

/// When orders of a session are canceled because it is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CancelOnDisconnect {
    /// Never.
    #[default]
    None,
    /// When it lost its connection in another way than by its Logout.
    Disconnect,
    /// When it logged out.
    Logout,
    /// In both cases.
    Both,
}

fn yes() -> bool {
    true
}

fn loopback() -> Vec<AddressRange> {
    vec![Ipv4Addr::LOCALHOST.into(), IpAddr::V6(Ipv6Addr::LOCALHOST).into()]
}

impl Default for Config {
    fn default() -> Self {
        Self {
            venue: VenueConfig::default(),
            fix: FixConfig::default(),
            market_data: MarketDataConfig::default(),
            schedule: ScheduleConfig::default(),
            risk: RiskConfig::default(),
            threads: ThreadsConfig::default(),
            journal: JournalConfig::default(),
            snapshot: SnapshotConfig::default(),
            metrics: MetricsConfig::default(),
            operator: OperatorConfig::default(),
            engine: EngineConfig::default(),
            instruments: default_instruments(),
            firms: Vec::new(),
            sessions: default_sessions(),
        }
    }
}

impl Default for VenueConfig {
    fn default() -> Self {
        Self {
            comp_id: "IRONBOOK".to_owned(),
            data_dir: PathBuf::from("data"),
            acknowledge: Acknowledge::Written,
        }
    }
}

impl Default for FixConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9878)),
            tls_listen: None,
            tls_certificate: None,
            tls_key: None,
            tls_client_ca: None,
            allow_from: AddressRange::ALL.into(),
            connections_max: 256,
            connections_per_address_max: 64,
            logon_failures_max: 10,
            lockout_s: 60,
            logon_timeout_ms: 10_000,
            logout_timeout_ms: 2_000,
            heart_bt_int_max_s: 60,
            sending_time_tolerance_s: 120,
            message_bytes_max: 8_192,
            out_buffer_bytes_max: 4 << 20,
            resend_messages_per_turn: 256,
            resend_request_chunk: 0,
        }
    }
}

impl Default for MarketDataConfig {
    fn default() -> Self {
        Self {
            listen: None,
            tls_listen: None,
            interval_ms: 10,
            depth_max: DEPTH_COMMON,
            subscriptions_max: 1_024,
            out_buffer_bytes_max: 4 << 20,
            slow_timeout_ms: 10_000,
        }
    }
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            start: None,
            end: None,
            days: Vec::new(),
            time_zone: "UTC".to_owned(),
            reset: ResetConfig::Never,
        }
    }
}

impl Default for RiskConfig {
    fn default() -> Self {
        let none = || "0".to_owned();
        Self {
            order_notional: none(),
            price_deviation_bps: 0,
            open_orders: 0,
            open_notional: none(),
            traded_notional: none(),
            loss: none(),
            window_ms: RISK_WINDOW_MS,
        }
    }
}

impl Day {
    /// All of them, in the order of the calendar's week.
    pub const ALL: [Self; 7] =
        [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// As the calendar has it.
    pub fn weekday(self) -> Weekday {
        Weekday::from_monday_zero_offset(self as i8).expect("a week has seven days")
    }

    /// The day that the calendar says.
    pub fn of(weekday: Weekday) -> Self {
        Self::ALL[weekday.to_monday_zero_offset() as usize]
    }
}

impl Default for ThreadsConfig {
    fn default() -> Self {
        Self {
            layout: Layout::Auto,
            gateways: 1,
            core_cpu: Cpu::Auto,
            gateway_cpu: Cpu::Auto,
            ring_slots: 4_096,
            spin_us: 200,
            yield_us: 20_000,
            park_us: 500,
        }
    }
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            prepared_ahead: 2,
            sync_interval_ms: 1_000,
            old_segments: OldSegments::Keep,
        }
    }
}

impl Default for SnapshotConfig {
    fn default() -> Self {
        Self { every_commands: 1_000_000, keep: 2 }
    }
}

impl MetricsConfig {
    /// Whether stages are measured: only where somebody can read them.
    pub fn measures_stages(&self) -> bool {
        self.stages && self.listen.is_some()
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            listen: None,
            beyond_loopback: false,
            stages: true,
            stages_bytes: stage_log::BYTES_DEFAULT,
        }
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        let limits = EngineLimits::default();
        Self {
            orders_max: limits.orders_max,
            instruments_max: limits.instruments_max,
            sessions_max: limits.sessions_max,
            closed_orders_kept: limits.closed_orders_kept,
            state_hash_interval: limits.state_hash_interval,
        }
    }
}

fn default_instruments() -> Vec<InstrumentConfig> {
    [
        ("AAPL", "0.01", "1"),
        ("MSFT", "0.01", "1"),
        ("NVDA", "0.01", "1"),
        ("BTC-USD", "0.01", "0.00000001"),
        ("ETH-USD", "0.01", "0.00000001"),
        ("EUR/USD", "0.00001", "1000"),
    ]
    .into_iter()
    .map(|(symbol, tick, lot)| InstrumentConfig {
        symbol: symbol.to_owned(),
        tick: tick.to_owned(),
        lot: lot.to_owned(),
        order_qty_max: None,
        price_max: None,
        status: open(),
    })
    .collect()
}

fn default_sessions() -> Vec<SessionConfig> {
    (1..=8)
        .map(|number| format!("TRADER{number}"))
        .chain(["LOADGEN".to_owned(), "DROPCOPY".to_owned()])
        .map(|comp_id| SessionConfig {
            read_only: comp_id == "DROPCOPY",
            comp_id,
            allow_from: loopback(),
            reset_on_logon: false,
            next_expected_msg_seq_num: false,
            last_msg_seq_num_processed: false,
            copies: Vec::new(),
            versions: Vec::new(),
            username: None,
            password: None,
            tls: false,
            certificate: None,
            trade: true,
            symbols: Vec::new(),
            accounts: Vec::new(),
            firm: None,
            orders_per_second: 0,
            orders_burst: 0,
            throttle: ThrottleAction::Reject,
            cancel_on_disconnect: CancelOnDisconnect::None,
            cancel_grace_ms: 0,
            cancel_gtc: false,
            schedule: None,
            risk: None,
        })
        .collect()
}

/// Why a configuration is refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("configuration {path}: {source}; check the path given with --config")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not the TOML that is expected; the message has line and column.
    #[error("configuration {path}: {message}\nevery key with its meaning: ironbook config")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column, and what is wrong there.
        message: String,
    },
    /// A value that can't be.
    #[error("configuration: {key} = {value}: {reason}")]
    Value {
        /// Section and key.
        key: String,
        /// The value found.
        value: String,
        /// What is wrong with it, and what is allowed.
        reason: String,
    },
}

/// An instrument's numbers, ready for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstrumentTerms {
    /// Decimals of prices.
    pub price_scale: u8,
    /// Decimals of quantities.
    pub qty_scale: u8,
    /// Price step at `price_scale`.
    pub tick: i64,
    /// Quantity step at `qty_scale`.
    pub lot: i64,
    /// Largest quantity at `qty_scale`.
    pub order_qty_max: i64,
    /// Largest price at `price_scale`.
    pub price_max: i64,
}

impl Config {
    /// The configuration in a file.
    ///
    /// # Errors
    /// [`ConfigError`] names the line, or the key and value, and what is allowed.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// The configuration in a text; `path` is for messages only.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::Parse {
            path: path.to_owned(),
            message: without_text(&error, text),
        })?;
        config.check()?;
        Ok(config)
    }

    /// Refuses what can't be.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with the key, the value, and what is allowed.
    pub fn check(&self) -> Result<(), ConfigError> {
        comp_id("venue.comp_id", &self.venue.comp_id)?;
        self.check_bounds()?;
        self.fix.tls()?;
        self.check_market_data()?;
        self.check_metrics()?;
        self.risk.limits("risk.")?;
        let mut symbols = Vec::new();
        for instrument in &self.instruments {
            let key = format!("instrument {}", instrument.symbol);
            Symbol::try_from(instrument.symbol.as_str())
                .map_err(|error| value("instrument.symbol", &instrument.symbol, &error))?;
            if instrument.symbol.is_empty() || symbols.contains(&&instrument.symbol) {
                return Err(value(&key, "symbol", &"empty or listed twice"));
            }
            symbols.push(&instrument.symbol);
            instrument.terms()?;
        }
        self.check_firms()?;
        let mut comp_ids = vec![&self.venue.comp_id];
        for session in &self.sessions {
            comp_id("session.comp_id", &session.comp_id)?;
            if comp_ids.contains(&&session.comp_id) {
                let reason = "listed twice, or the venue's own; comp ids must differ";
                return Err(value("session.comp_id", &session.comp_id, &reason));
            }
            comp_ids.push(&session.comp_id);
            session.versions()?;
            session.login()?;
            session.accounts()?;
            session.throttle()?;
            session.check_firm()?;
            self.schedule_of(session)?;
            self.risk_limits_of(session)?;
            self.check_copies(session)?;
            if session.cancel_grace_ms > CANCEL_GRACE_MS_MAX {
                let key = format!("session {}: cancel_grace_ms", session.comp_id);
                let reason = format!("0 to {CANCEL_GRACE_MS_MAX} is allowed");
                return Err(value(&key, &session.cancel_grace_ms.to_string(), &reason));
            }
            if session.tls && self.fix.tls_listen.is_none() {
                let key = format!("session {}: tls", session.comp_id);
                return Err(value(&key, "true", &"needs fix.tls_listen"));
            }
            if let Some(certificate) = session.certificate
                && self.fix.tls_client_ca.is_none()
            {
                let key = format!("session {}: certificate", session.comp_id);
                let reason = "needs fix.tls_client_ca: no client shows a certificate without";
                return Err(value(&key, &certificate.to_string(), &reason));
            }
            if let Some(symbol) = session.symbols.iter().find(|symbol| !symbols.contains(symbol)) {
                let key = format!("session {}: symbols", session.comp_id);
                return Err(value(&key, symbol, &"is no [[instrument]] of this configuration"));
            }
        }
        Ok(())
    }

    /// Copies are of sessions that trade, and go to one that does not; of named ones or those of a firm, they are of no
    /// more than the journal can say.
    fn check_copies(&self, session: &SessionConfig) -> Result<(), ConfigError> {
        let Some(first) = session.copies.first() else { return self.check_copies_of_firm(session) };
        let key = format!("session {}: copies", session.comp_id);
        if !session.read_only {
            return Err(value(&key, first, &"needs read_only = true"));
        }
        let trades = |comp_id: &String| {
            let mut others = self.sessions.iter().filter(|other| !other.read_only);
            others.any(|other| other.comp_id == *comp_id)
        };
        match session.copies.iter().find(|comp_id| !trades(comp_id)) {
            Some(unknown) => Err(value(&key, unknown, &"is no [[session]] that sends orders")),
            None => check_copied(&key, session.copies.iter().collect::<BTreeSet<_>>().len()),
        }
    }

    fn check_copies_of_firm(&self, session: &SessionConfig) -> Result<(), ConfigError> {
        if !session.read_only || session.firm.is_none() {
            return Ok(());
        }
        let of_firm =
            self.sessions.iter().filter(|other| !other.read_only && other.firm == session.firm);
        check_copied(&format!("session {}: firm", session.comp_id), of_firm.count())
    }

    /// Its TLS is that of the other port, and of no use without its own plain one.
    fn check_market_data(&self) -> Result<(), ConfigError> {
        let Some(listen) = self.market_data.tls_listen else { return Ok(()) };
        let needed = match (self.market_data.listen, self.fix.tls_listen) {
            (None, _) => "market_data.listen",
            (_, None) => "fix.tls_listen, whose certificate and key it uses",
            _ => return Ok(()),
        };
        let reason = format!("needs {needed}");
        Err(value("market_data.tls_listen", &listen.to_string(), &reason))
    }

    /// Who may read metrics is who can reach their address.
    fn check_metrics(&self) -> Result<(), ConfigError> {
        let MetricsConfig { listen, beyond_loopback, .. } = self.metrics;
        match listen {
            Some(listen) if !listen.ip().is_loopback() && !beyond_loopback => {
                let reason = "is no loopback address, and metrics ask nobody who he is; use 127.0.0.1, or say \
                              metrics.beyond_loopback = true if all who can reach it may read them";
                Err(value("metrics.listen", &listen.to_string(), &reason))
            }
            _ => self.check_stages_bytes(),
        }
    }

    fn check_stages_bytes(&self) -> Result<(), ConfigError> {
        const ALLOWED: RangeInclusive<u64> = stage_log::BYTES_MIN..=stage_log::BYTES_MAX;
        let found = self.metrics.stages_bytes;
        if found == 0 || ALLOWED.contains(&found) {
            return Ok(());
        }
        let (least, most) = ALLOWED.into_inner();
        let reason = format!("0, or {least} to {most} is allowed");
        Err(value("metrics.stages_bytes", &found.to_string(), &reason))
    }

    fn check_firms(&self) -> Result<(), ConfigError> {
        for (index, firm) in self.firms.iter().enumerate() {
            if self.firms[..index].iter().any(|other| other.name == firm.name) {
                return Err(value("firm.name", &firm.name, &"is listed twice"));
            }
            if !self.sessions.iter().any(|session| session.firm.as_ref() == Some(&firm.name)) {
                return Err(value("firm.name", &firm.name, &"is the firm of no [[session]]"));
            }
            firm.throttle()?;
        }
        Ok(())
    }

    fn check_bounds(&self) -> Result<(), ConfigError> {
        let (fix, threads, journal) = (&self.fix, &self.threads, &self.journal);
        let (market_data, engine) = (&self.market_data, &self.engine);
        let instruments = self.instruments.len() as u64;
        let sessions = self.sessions.len() as u64;
        let within = [
            ("fix.connections_max", fix.connections_max as u64, 1, 65_536),
            ("fix.connections_per_address_max", fix.connections_per_address_max as u64, 1, 65_536),
            ("fix.logon_failures_max", fix.logon_failures_max.into(), 0, 65_536),
            ("fix.lockout_s", fix.lockout_s, 1, 86_400),
            ("fix.logon_timeout_ms", fix.logon_timeout_ms, 1, 3_600_000),
            ("fix.logout_timeout_ms", fix.logout_timeout_ms, 1, 3_600_000),
            ("fix.heart_bt_int_max_s", fix.heart_bt_int_max_s.into(), 1, 86_400),
            ("fix.sending_time_tolerance_s", fix.sending_time_tolerance_s.into(), 1, 86_400),
            ("fix.message_bytes_max", fix.message_bytes_max as u64, 512, MESSAGE_MAX as u64),
            ("fix.out_buffer_bytes_max", fix.out_buffer_bytes_max as u64, 65_536, 1 << 30),
            ("fix.resend_messages_per_turn", fix.resend_messages_per_turn.into(), 1, 65_536),
            ("market_data.interval_ms", market_data.interval_ms, 1, 60_000),
            ("market_data.depth_max", market_data.depth_max as u64, 1, DEPTH_MAX as u64),
            (
                "market_data.subscriptions_max",
                market_data.subscriptions_max as u64,
                1,
                SUBSCRIPTIONS_MAX,
            ),
            (
                "market_data.out_buffer_bytes_max",
                market_data.out_buffer_bytes_max as u64,
                MARKET_DATA_BYTES_MIN,
                1 << 30,
            ),
            ("market_data.slow_timeout_ms", market_data.slow_timeout_ms, 1, 3_600_000),
            ("threads.gateways", threads.gateways as u64, 1, GATEWAYS_MAX as u64),
            ("threads.ring_slots", threads.ring_slots as u64, RING_SLOTS_MIN, 1 << 20),
            ("threads.park_us", threads.park_us, 1, 1_000_000),
            ("journal.segment_bytes", journal.segment_bytes, 1 << 16, 1 << 30),
            ("journal.prepared_ahead", journal.prepared_ahead.into(), 1, 64),
            ("journal.sync_interval_ms", journal.sync_interval_ms, 1, 3_600_000),
            ("snapshot.keep", self.snapshot.keep as u64, 1, 1_000),
            ("engine.orders_max", engine.orders_max.into(), 1, 1 << 24),
            ("engine.instruments_max", engine.instruments_max.into(), instruments.max(1), 1 << 20),
            ("engine.sessions_max", engine.sessions_max.into(), sessions.max(1), 1 << 20),
            ("engine.closed_orders_kept", engine.closed_orders_kept.into(), 0, 1 << 24),
        ];
        for (key, found, least, most) in within {
            if found < least || found > most {
                return Err(value(
                    key,
                    &found.to_string(),
                    &format!("{least} to {most} is allowed"),
                ));
            }
        }
        if threads.gateways > 1 && threads.layout == Layout::Shared {
            let reason = "needs threads.layout = \"dedicated\" or \"auto\": on one thread with the core several \
                          gateways would only take turns";
            return Err(value("threads.gateways", &threads.gateways.to_string(), &reason));
        }
        if !journal.segment_bytes.is_power_of_two() {
            let found = journal.segment_bytes.to_string();
            return Err(value("journal.segment_bytes", &found, &"a power of two is needed"));
        }
        Ok(())
    }

    /// Names of the firms whose sessions together may send so much, and how much.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for a number out of bounds.
    pub fn throttled_firms(&self) -> Result<Vec<(&str, ThrottleTerms)>, ConfigError> {
        let bounded = self.firms.iter().filter_map(|firm| {
            firm.throttle().map(|terms| Some((firm.name.as_str(), terms?))).transpose()
        });
        bounded.collect()
    }

    /// When a session may be logged on, if not always.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for a schedule that is none.
    pub fn schedule_of(&self, session: &SessionConfig) -> Result<Option<Schedule>, ConfigError> {
        match &session.schedule {
            None => Schedule::new(&self.schedule, "schedule."),
            Some(own) => Schedule::new(own, &format!("session {}: schedule.", session.comp_id)),
        }
    }

    /// The risk limits of a session.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for an amount that is none, or a number out of bounds.
    pub fn risk_limits_of(&self, session: &SessionConfig) -> Result<RiskLimits, ConfigError> {
        match &session.risk {
            None => self.risk.limits("risk."),
            Some(own) => own.limits(&format!("session {}: risk.", session.comp_id)),
        }
    }

    /// The engine's bounds.
    pub fn engine_limits(&self) -> EngineLimits {
        EngineLimits {
            orders_max: self.engine.orders_max,
            instruments_max: self.engine.instruments_max,
            sessions_max: self.engine.sessions_max,
            closed_orders_kept: self.engine.closed_orders_kept,
            state_hash_interval: self.engine.state_hash_interval,
            ..EngineLimits::default()
        }
    }
}

/// A bound on orders as configured, if there is one; `whose` is for messages.
fn throttle(
    whose: &str,
    (per_second, burst): (u32, u32),
    action: ThrottleAction,
) -> Result<Option<ThrottleTerms>, ConfigError> {
    ThrottleTerms::configured(per_second, burst, action).map_err(|error| {
        value(&format!("{whose}: {}", error.key), &error.found.to_string(), &error.reason)
    })
}

impl RiskConfig {
    /// The limits for the engine; `whose` stands before a key in messages.
    fn limits(&self, whose: &str) -> Result<RiskLimits, ConfigError> {
        if !(1..=RISK_WINDOW_MS_MAX).contains(&self.window_ms) {
            let (key, reason) =
                (format!("{whose}window_ms"), format!("1 to {RISK_WINDOW_MS_MAX} is allowed"));
            return Err(value(&key, &self.window_ms.to_string(), &reason));
        }
        let amount = |key: &str, text: &str| {
            notional(text).ok_or_else(|| {
                let reason = format!(
                    "must be a decimal number such as \"2500000\", at most {} digits before the \
                     point and {NOTIONAL_SCALE} behind it; \"0\" for no limit",
                    NOTIONAL_DIGITS_MAX - u32::from(NOTIONAL_SCALE)
                );
                value(&format!("{whose}{key}"), text, &reason)
            })
        };
        let (traded_notional, loss) =
            (amount("traded_notional", &self.traded_notional)?, amount("loss", &self.loss)?);
        let needs_window = traded_notional > 0 || loss > 0;
        Ok(RiskLimits {
            order_notional: amount("order_notional", &self.order_notional)?,
            open_notional: amount("open_notional", &self.open_notional)?,
            traded_notional,
            loss,
            open_orders: self.open_orders,
            price_deviation: self.price_deviation_bps,
            window_ms: if needs_window { self.window_ms } else { 0 },
            reserved: 0,
        })
    }
}

/// The window of risk limits where none is said, milliseconds.
pub const RISK_WINDOW_MS: u32 = 60_000;

/// Digits of a notional at its scale, so that none is as large as what counts as too large.
const NOTIONAL_DIGITS_MAX: u32 = 18;

/// A notional at [`NOTIONAL_SCALE`] as people write it: no less than zero.
pub fn notional(text: &str) -> Option<i64> {
    let number = Decimal::parse(text.as_bytes()).ok()?;
    let more = NOTIONAL_SCALE.checked_sub(number.scale)?;
    let notional = number.mantissa.checked_mul(10_i64.pow(more.into()))?;
    (0..10_i64.pow(NOTIONAL_DIGITS_MAX)).contains(&notional).then_some(notional)
}

impl FirmConfig {
    /// What all its sessions together may send, if that is bounded.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for a number out of bounds.
    pub fn throttle(&self) -> Result<Option<ThrottleTerms>, ConfigError> {
        let orders = (self.orders_per_second, self.orders_burst);
        throttle(&format!("firm {}", self.name), orders, self.throttle)
    }
}

/// TLS as configured: its files are read at the start of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls<'a> {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The venue's certificate, its issuers behind it.
    pub certificate: &'a Path,
    /// The private key of that certificate.
    pub key: &'a Path,
    /// Issuers of the clients' certificates, if these must have one.
    pub client_ca: Option<&'a Path>,
}

impl FixConfig {
    /// TLS, if it is listened for.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for a part of it without the rest.
    pub fn tls(&self) -> Result<Option<Tls<'_>>, ConfigError> {
        let paths = [
            ("fix.tls_certificate", self.tls_certificate.as_deref()),
            ("fix.tls_key", self.tls_key.as_deref()),
            ("fix.tls_client_ca", self.tls_client_ca.as_deref()),
        ];
        let Some(listen) = self.tls_listen else {
            let useless = paths.into_iter().find_map(|(key, path)| Some((key, path?)));
            return useless.map_or(Ok(None), |(key, path)| {
                let reason = "is of no use without fix.tls_listen";
                Err(value(key, &path.display().to_string(), &reason))
            });
        };
        let [certificate, key, (_, client_ca)] = paths;
        fn needed<'a>((key, path): (&str, Option<&'a Path>)) -> Result<&'a Path, ConfigError> {
            path.ok_or_else(|| value(key, "", &"a file in PEM is needed for fix.tls_listen"))
        }
        Ok(Some(Tls { listen, certificate: needed(certificate)?, key: needed(key)?, client_ca }))
    }
}

impl SessionConfig {
    /// Versions of FIX that it may log on with; all when none is named.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for a name of no version.
    pub fn versions(&self) -> Result<ApplVerIds, ConfigError> {
        if self.versions.is_empty() {
            return Ok(ApplVerIds::ALL);
        }
        let read = |name: &String| {
            ApplVerId::named(name.as_bytes()).ok_or_else(|| {
                let known = ApplVerId::ALL.map(ApplVerId::name).join(", ");
                let key = format!("session {}: versions", self.comp_id);
                value(&key, name, &format!("is none of {known}"))
            })
        };
        self.versions.iter().map(read).collect()
    }

    /// Accounts that its orders may be for; all when none is named.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for an account that FIX could not carry, or that is too long.
    pub fn accounts(&self) -> Result<Vec<Account>, ConfigError> {
        let read = |name: &String| {
            let key = format!("session {}: accounts", self.comp_id);
            match Account::try_from(name.as_str()) {
                Ok(account) if !account.is_empty() => Ok(account),
                Ok(_) => Err(value(&key, name, &"is empty")),
                Err(error) => Err(value(&key, name, &error)),
            }
        };
        self.accounts.iter().map(read).collect()
    }

    /// What it may send, if that is bounded.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for a number out of bounds.
    pub fn throttle(&self) -> Result<Option<ThrottleTerms>, ConfigError> {
        let orders = (self.orders_per_second, self.orders_burst);
        throttle(&format!("session {}", self.comp_id), orders, self.throttle)
    }

    /// Its firm is journaled with its throttles.
    fn check_firm(&self) -> Result<(), ConfigError> {
        match &self.firm {
            Some(name) if name.is_empty() || name.len() > FIRM_NAME_BYTES_MAX => {
                let key = format!("session {}: firm", self.comp_id);
                let reason = format!("1 to {FIRM_NAME_BYTES_MAX} bytes are allowed");
                Err(value(&key, name, &reason))
            }
            _ => Ok(()),
        }
    }

    /// What its Logon has to prove, if anything.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for a hash that is none, and for a user without one.
    pub fn login(&self) -> Result<Option<Login>, ConfigError> {
        let key = |name: &str| format!("session {}: {name}", self.comp_id);
        let Some(password) = &self.password else {
            return match &self.username {
                Some(name) => Err(value(&key("username"), name, &"needs a password beside it")),
                None => Ok(None),
            };
        };
        // Not the value itself: somebody may have written his password there.
        let hash = PasswordHash::parse(password)
            .map_err(|error| value(&key("password"), "(not shown)", &error))?;
        Ok(Some(Login { username: self.username.clone(), password: hash.into() }))
    }
}

/// A fingerprint: 64 hexadecimal digits, perhaps with colons between the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(pub [u8; 32]);

impl TryFrom<String> for Sha256 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let no_fingerprint = || {
            format!(
                "{text} is no SHA-256: 64 hexadecimal digits, as \
                 `openssl x509 -noout -fingerprint -sha256 -in FILE` prints them"
            )
        };
        let digits = text.replace(':', "");
        let mut bytes = [0; 32];
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(no_fingerprint());
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16)
                .map_err(|_| no_fingerprint())?;
        }
        Ok(Self(bytes))
    }
}

impl From<Sha256> for String {
    fn from(fingerprint: Sha256) -> Self {
        fingerprint.to_string()
    }
}

impl std::fmt::Display for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sha256({self})")
    }
}

/// Who may log on to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Username (553), if one is asked for.
    pub username: Option<String>,
    /// The hash of Password (554).
    pub password: Arc<PasswordHash>,
}

impl InstrumentConfig {
    /// The instrument's numbers.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for a number that is none, or not positive, or too large.
    pub fn terms(&self) -> Result<InstrumentTerms, ConfigError> {
        let tick = self.positive("tick", &self.tick)?;
        let lot = self.positive("lot", &self.lot)?;
        let price_limit = tick.mantissa.saturating_mul(TICKS_MAX);
        let price_limit = price_limit.min(MANTISSA_MAX / tick.mantissa * tick.mantissa);
        let terms = InstrumentTerms {
            price_scale: tick.scale,
            qty_scale: lot.scale,
            tick: tick.mantissa,
            lot: lot.mantissa,
            order_qty_max: MANTISSA_MAX / lot.mantissa * lot.mantissa,
            price_max: price_limit,
        };
        Ok(InstrumentTerms {
            order_qty_max: self.bound(
                "order_qty_max",
                &self.order_qty_max,
                lot,
                terms.order_qty_max,
            )?,
            price_max: self.bound("price_max", &self.price_max, tick, terms.price_max)?,
            ..terms
        })
    }

    fn positive(&self, name: &str, text: &str) -> Result<Decimal, ConfigError> {
        let key = format!("instrument {}: {name}", self.symbol);
        match Decimal::parse(text.as_bytes()) {
            Ok(number) if number.mantissa > 0 => Ok(number),
            Ok(_) => Err(value(&key, text, &"must be greater than zero")),
            Err(_) => Err(value(&key, text, &"must be a decimal number such as \"0.01\"")),
        }
    }

    /// A bound in units of `step`'s scale; a multiple of `step`, no more than `most`.
    fn bound(
        &self,
        name: &str,
        text: &Option<String>,
        step: Decimal,
        most: i64,
    ) -> Result<i64, ConfigError> {
        let Some(text) = text else { return Ok(most) };
        let number = self.positive(name, text)?;
        let digits = step.scale.checked_sub(number.scale);
        let scaled = digits
            .and_then(|digits| 10_i64.checked_pow(digits.into()))
            .and_then(|factor| number.mantissa.checked_mul(factor))
            .filter(|scaled| scaled % step.mantissa == 0 && *scaled <= most);
        scaled.ok_or_else(|| {
            let key = format!("instrument {}: {name}", self.symbol);
            value(
                &key,
                text,
                &format!("must be a multiple of the step, at most {most} of its last decimal"),
            )
        })
    }
}

/// Refuses copies of more sessions than a drop copy may have.
fn check_copied(key: &str, sessions: usize) -> Result<(), ConfigError> {
    if sessions <= COPIES_MAX {
        return Ok(());
    }
    let reason = format!(
        "at most {COPIES_MAX} sessions are allowed behind a drop copy that names them or is of their firm; share them \
         out to several drop copies, or let one get those of all sessions, by no copies and no firm"
    );
    Err(value(key, &format!("{sessions} sessions"), &reason))
}

fn comp_id(key: &str, text: &str) -> Result<CompId, ConfigError> {
    match CompId::try_from(text) {
        Ok(id) if !id.is_empty() && !text.contains(['=', '\u{1}']) => Ok(id),
        Ok(_) => Err(value(key, text, &"must not be empty or contain '='")),
        Err(error) => Err(value(key, text, &error)),
    }
}

/// A value that can't be.
pub(crate) fn value(key: &str, value: &str, reason: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::Value { key: key.to_owned(), value: value.to_owned(), reason: reason.to_string() }
}

/// Meaning and unit of every key, by section.
pub const KEYS: &[(&str, &str, &str)] = &[
    ("venue", "comp_id", "Comp id of the venue: TargetCompID (56) of its clients."),
    ("venue", "data_dir", "Directory of the journal; made when it is missing."),
    (
        "venue",
        "acknowledge",
        "What a report waits for: \"written\" survives the death of the process, \"durable\" the loss of power.",
    ),
    ("fix", "listen", "Address and port that clients connect to."),
    ("fix", "tls_listen", "Address and port for TLS 1.2 and 1.3, beside the other; default: none."),
    ("fix", "tls_certificate", "PEM file of the venue's certificate, its issuers behind it."),
    ("fix", "tls_key", "PEM file of the private key of that certificate."),
    (
        "fix",
        "tls_client_ca",
        "PEM file of authorities; connections over TLS then need a certificate that one of them issued. Default: none.",
    ),
    (
        "fix",
        "allow_from",
        "Addresses that may connect at all, alone or as ranges: [\"10.1.2.3\", \"10.0.0.0/8\", \"2001:db8::/32\"].",
    ),
    ("fix", "connections_max", "Most connections at once; one more is closed at once."),
    (
        "fix",
        "connections_per_address_max",
        "Most of them from one address; of IPv6, from one network of 64 bits.",
    ),
    (
        "fix",
        "logon_failures_max",
        "Logons within lockout_s from one address with an unknown comp id, from where it may not be, or with a wrong password, that lock the address; 0 locks none.",
    ),
    ("fix", "lockout_s", "Seconds for which a locked address can't connect."),
    ("fix", "logon_timeout_ms", "Milliseconds from connection to Logon; then it is closed."),
    (
        "fix",
        "logout_timeout_ms",
        "Milliseconds that a Logout waits for its answer, and that the last bytes of an ended session wait for its client.",
    ),
    ("fix", "heart_bt_int_max_s", "Largest HeartBtInt (108) that a client may ask for, seconds."),
    (
        "fix",
        "sending_time_tolerance_s",
        "Seconds by which SendingTime (52) may differ from the venue's clock.",
    ),
    ("fix", "message_bytes_max", "Largest message, bytes; a longer one closes the connection."),
    (
        "fix",
        "out_buffer_bytes_max",
        "Bytes that wait for a client who reads slowly; then he is disconnected and gets them resent.",
    ),
    (
        "fix",
        "resend_messages_per_turn",
        "Messages resent in one turn, so that a long resend delays nobody else.",
    ),
    (
        "fix",
        "resend_request_chunk",
        "Messages that the venue asks a client for at once when it misses many, part by part; 0 asks for all.",
    ),
    (
        "market_data",
        "listen",
        "Address and port for market data: the same comp ids, passwords and addresses as fix. Default: none.",
    ),
    (
        "market_data",
        "tls_listen",
        "Address and port for the same over TLS, with the certificates of fix.tls_listen. Default: none.",
    ),
    (
        "market_data",
        "interval_ms",
        "Milliseconds between two messages of changes; what happens in between is told as its outcome, but every trade.",
    ),
    (
        "market_data",
        "depth_max",
        "Most price levels of a side; above 40 a snapshot has more than the 512 fields that some clients take.",
    ),
    (
        "market_data",
        "subscriptions_max",
        "Most instruments that a session may follow at once, those of each request counted.",
    ),
    (
        "market_data",
        "out_buffer_bytes_max",
        "Bytes that wait for a client who reads slowly; from half of them on, changes are told when there is room again.",
    ),
    (
        "market_data",
        "slow_timeout_ms",
        "Milliseconds for which half of them may wait before he is logged out.",
    ),
    (
        "schedule",
        "start",
        "Time of the day from which on sessions may be logged on, such as \"08:00\" or \"17:30:15\"; default: always.",
    ),
    (
        "schedule",
        "end",
        "Time at which they are logged out, on the next day if it is not after start. Hours that touch are not interrupted, unless numbers start anew. Orders stay as after any loss of the connection: see cancel_on_disconnect.",
    ),
    (
        "schedule",
        "days",
        "Days on which they begin, such as [\"mon\", \"tue\"]; with the first one listed a week begins. Empty for all, from Monday on.",
    ),
    (
        "schedule",
        "time_zone",
        "Time zone of the times in the IANA database. A time that the clock skips is the moment of the skip, of one that comes twice it is the first.",
    ),
    (
        "schedule",
        "reset",
        "When both sequence numbers start at 1: \"never\", \"daily\" with each start, \"weekly\" with that on the first day. Once, also if the venue was down then.",
    ),
    (
        "risk",
        "order_notional",
        "Largest price x quantity of one order, a decimal in quotes; of a market order by the best price of the other side, else by the last. 0 for no limit, as in all of these.",
    ),
    (
        "risk",
        "price_deviation_bps",
        "How far a limit price may be from the last trade's, else from the middle of the book, a buy's above or a sell's below, in hundredths of a percent.",
    ),
    ("risk", "open_orders", "Most live orders of the session."),
    (
        "risk",
        "open_notional",
        "Largest sum of price x leaves of its live orders, a decimal in quotes. Sums are over all instruments, so these should be in one currency.",
    ),
    (
        "risk",
        "traded_notional",
        "What it may trade in window_ms, as aggressor or not, a decimal in quotes. The trade that goes beyond it trips the session: its orders are canceled, and it may only cancel until an operator opens it again.",
    ),
    (
        "risk",
        "loss",
        "What its trades as an aggressor may lose in window_ms against the reference price before each order, a decimal in quotes. Trips the session, too.",
    ),
    ("risk", "window_ms", "Milliseconds over which these two are counted."),
    (
        "threads",
        "layout",
        "\"shared\": gateway and core on one thread; \"dedicated\": one each; \"auto\": shared on up to three processors with one gateway.",
    ),
    (
        "threads",
        "gateways",
        "Gateways among which the sessions for orders are dealt, a thread each; those of a firm stay together. The first one takes all connections. More than one needs as many processors and one for the core.",
    ),
    (
        "threads",
        "core_cpu",
        "Processor of the matching core: \"auto\", \"none\" or a number from 0.",
    ),
    (
        "threads",
        "gateway_cpu",
        "Processor of the gateway when dedicated: \"auto\", \"none\" or a number; of several gateways the first one's, the others have those before it.",
    ),
    (
        "threads",
        "ring_slots",
        "Requests of each gateway that may wait for the core, beside 64 that it has taken; when full, its sockets are not read.",
    ),
    ("threads", "spin_us", "Microseconds without work for which a thread spins."),
    ("threads", "yield_us", "Microseconds for which it then yields its processor."),
    (
        "threads",
        "park_us",
        "Longest sleep after that, microseconds, between two looks for work; gateway and core on one thread, which sockets wake, sleep up to 50 ms.",
    ),
    ("journal", "segment_bytes", "Size of a segment file of a new journal, bytes, a power of two."),
    ("journal", "prepared_ahead", "Segments made ready ahead of need."),
    (
        "journal",
        "sync_interval_ms",
        "Milliseconds between two syncs under \"written\"; \"durable\" syncs at once.",
    ),
    (
        "journal",
        "old_segments",
        "What becomes of segments that no kept snapshot needs: \"keep\", \"compress\" (zstd) or \"remove\". Messages in them are not sent again.",
    ),
    (
        "snapshot",
        "every_commands",
        "Commands between two snapshots of the state, from which a start goes on; 0 for none.",
    ),
    ("snapshot", "keep", "Snapshots kept; older ones are removed."),
    (
        "metrics",
        "listen",
        "Address and port for metrics, in the text form of Prometheus at /metrics, such as \"127.0.0.1:9879\". Default: none.",
    ),
    (
        "metrics",
        "beyond_loopback",
        "Whether that may be an address that others can reach: metrics ask nobody who he is, and are not encrypted.",
    ),
    (
        "metrics",
        "stages",
        "With metrics.listen: whether the time that orders take in each stage of their way is measured, about 15 ns a stage.",
    ),
    (
        "metrics",
        "stages_bytes",
        "Where stages are measured: most bytes of the files beside the journal that keep a record of each second, for ironbook latency; 0 for no files.",
    ),
    (
        "operator",
        "enabled",
        "Whether ironbook operator may halt instruments and suspend sessions while the venue runs, over a socket in venue.data_dir that only its owner may use.",
    ),
    (
        "engine",
        "orders_max",
        "Most live orders; one more is rejected. Limits of the engine only grow while their journal lasts: where it has a higher one, that one stays.",
    ),
    ("engine", "instruments_max", "Most instruments."),
    ("engine", "sessions_max", "Most sessions."),
    (
        "engine",
        "closed_orders_kept",
        "Closed orders remembered, to refuse a used ClOrdID and answer late cancels.",
    ),
    ("engine", "state_hash_interval", "Commands between two journaled state hashes; 0 for none."),
    ("instrument", "symbol", "Symbol (55), at most 24 characters."),
    ("instrument", "tick", "Smallest price step, a decimal in quotes."),
    ("instrument", "lot", "Smallest quantity step, a decimal in quotes."),
    (
        "instrument",
        "order_qty_max",
        "Largest OrderQty, a decimal in quotes; default: eighteen digits.",
    ),
    ("instrument", "price_max", "Largest price, a decimal in quotes; default: 2^36 - 1 ticks."),
    (
        "instrument",
        "status",
        "Status at the start of the venue: \"open\", \"halted\" or \"closed\". An instrument of the journal that is left out here keeps its status, and may be traded.",
    ),
    ("firm", "name", "Name that sessions have as their firm."),
    (
        "firm",
        "orders_per_second",
        "As of a session, for all sessions of the firm together and beside their own bounds.",
    ),
    ("firm", "orders_burst", "As of a session."),
    ("firm", "throttle", "As of a session."),
    ("session", "comp_id", "Comp id of the client: his SenderCompID (49)."),
    (
        "session",
        "allow_from",
        "Addresses and ranges that he may connect from; an empty list lets nobody in.",
    ),
    ("session", "reset_on_logon", "Whether each Logon starts both sequence numbers at 1."),
    (
        "session",
        "next_expected_msg_seq_num",
        "Whether the answer to each of its Logons has NextExpectedMsgSeqNum (789), from FIX 4.4 on; if not, where the Logon has it.",
    ),
    (
        "session",
        "last_msg_seq_num_processed",
        "Whether headers of messages to it have LastMsgSeqNumProcessed (369), from FIX 4.2 on: the last message from it that the journal has counted.",
    ),
    (
        "session",
        "versions",
        "Versions of FIX that he may log on with, such as [\"FIX.4.2\", \"FIX.5.0SP2\"]; an empty list is all. Default: all.",
    ),
    (
        "session",
        "username",
        "Username (553) that his Logon must have, from FIX 4.3 on; with password only. Default: none.",
    ),
    (
        "session",
        "password",
        "Hash of the Password (554) that his Logon must have, made by: ironbook password. Before FIX 4.3 the password stands in RawData (96). Default: none.",
    ),
    ("session", "tls", "Whether he may log on over TLS only."),
    (
        "session",
        "certificate",
        "SHA-256 of the client certificate that his connection must show: then it is over TLS, and fix.tls_client_ca is needed. Default: none.",
    ),
    (
        "session",
        "trade",
        "Whether new orders and replaces of this session are taken; cancels and status requests always are.",
    ),
    (
        "session",
        "symbols",
        "Instruments in which it may send orders and whose market data it may see, such as [\"AAPL\", \"MSFT\"]; an empty list is all. Default: all.",
    ),
    (
        "session",
        "accounts",
        "Accounts (1) that its orders may be for; an empty list is any. Default: any, and none.",
    ),
    ("session", "firm", "Firm that it belongs to. Default: none."),
    (
        "session",
        "orders_per_second",
        "New orders and replaces that it may send in a second, in the long run; 0 for no bound. Cancels are not counted.",
    ),
    (
        "session",
        "orders_burst",
        "How many of them it may send at once after a pause; 0 for as many as in a second.",
    ),
    (
        "session",
        "throttle",
        "What happens to those beyond that: \"reject\", or \"delay\": it is not read from before the next may come, so that what follows waits, too. Default: reject.",
    ),
    (
        "session",
        "cancel_on_disconnect",
        "When its orders are canceled because it is gone: \"none\", \"logout\" (it logged out), \"disconnect\" (the connection broke, it fell silent or broke the protocol, or the venue stopped or died) or \"both\". Default: none.",
    ),
    (
        "session",
        "cancel_grace_ms",
        "Milliseconds in which it may log on again before that, from the end of its connection or, if that is later, the start of the venue.",
    ),
    (
        "session",
        "cancel_gtc",
        "Whether its orders that are good till canceled go too; if not, only those for the day.",
    ),
    (
        "session",
        "schedule",
        "A schedule of its own in place of [schedule], with the same keys: {start = \"08:00\", end = \"17:00\"}; {} for always.",
    ),
    (
        "session",
        "risk",
        "Risk limits of its own in place of [risk], with the same keys: {order_notional = \"50000\", open_orders = 20}; {} for none.",
    ),
    (
        "session",
        "read_only",
        "Whether requests of this session are refused: a drop copy, of the reports of all sessions or, if it has a firm, of that firm's.",
    ),
    (
        "session",
        "copies",
        "Sessions whose reports a drop copy gets instead, such as [\"TRADER1\"].",
    ),
];

/// Where something is wrong in a text, and what; not the line itself, which may have a password in it.
fn without_text(error: &toml::de::Error, text: &str) -> String {
    let message = error.message();
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return message.to_owned();
    };
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    format!("line {line}, column {column}: {message}")
}

/// Sections that may be there several times.
const LISTS: [&str; 3] = ["instrument", "firm", "session"];

/// The configuration as a TOML file with the meaning, unit and default of every key.
pub fn render(config: &Config) -> String {
    let table = |config: &Config| toml::Table::try_from(config).unwrap_or_default();
    let (values, defaults) = (table(config), table(&Config::default()));
    let mut text =
        String::from("# Configuration of an Ironbook venue. Every key may be left out.\n");
    let mut section = "";
    for &(in_section, key, meaning) in KEYS {
        if LISTS.contains(&in_section) {
            continue;
        }
        if in_section != section {
            section = in_section;
            let _ = write!(text, "\n[{section}]\n");
        }
        let value = |table: &toml::Table| table[section].get(key).cloned();
        let _ = match (value(&defaults), value(&values)) {
            (Some(default), Some(value)) => {
                writeln!(text, "# {meaning} Default: {default}\n{key} = {value}")
            }
            (_, Some(value)) => writeln!(text, "# {meaning}\n{key} = {value}"),
            (_, None) => writeln!(text, "# {meaning}\n# {key} ="),
        };
    }
    for section in LISTS {
        render_list(&mut text, section, &values);
    }
    text
}

/// Entries of a list of tables; the first one carries the meaning of the keys.
fn render_list(text: &mut String, section: &str, values: &toml::Table) {
    let _ = write!(text, "\n# Keys of each {section}:\n");
    for (_, key, meaning) in KEYS.iter().filter(|(in_section, ..)| *in_section == section) {
        let _ = writeln!(text, "#   {key}: {meaning}");
    }
    let entries = values.get(section).and_then(toml::Value::as_array);
    for entry in entries.into_iter().flatten() {
        let _ = writeln!(text, "[[{section}]]");
        // A table within it stands on one line, as it would otherwise have to come last.
        for (key, value) in entry.as_table().into_iter().flatten() {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("test.toml"))
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn what_is_printed_reads_back() {
        let mut config = Config::default();
        config.threads.core_cpu = Cpu::Index(1);
        config.threads.gateways = 3;
        config.journal.old_segments = OldSegments::Compress;
        config.snapshot.every_commands = 0;
        config.instruments[0].price_max = Some("5000".to_owned());
        config.instruments[1].status = StatusConfig::Halted;
        config.sessions[0].username = Some("somebody".to_owned());
        config.sessions[0].password = Some(PasswordHash::of(b"x").unwrap().to_string());
        config.fix.tls_listen = Some(SocketAddr::from(([127, 0, 0, 1], 9879)));
        config.market_data.listen = Some(SocketAddr::from(([127, 0, 0, 1], 9880)));
        config.market_data.tls_listen = Some(SocketAddr::from(([127, 0, 0, 1], 9881)));
        config.market_data.depth_max = 5;
        config.metrics.listen = Some(SocketAddr::from(([0, 0, 0, 0], 9882)));
        config.metrics.beyond_loopback = true;
        config.metrics.stages = false;
        config.metrics.stages_bytes = 0;
        config.operator.enabled = true;
        config.fix.tls_certificate = Some("venue.pem".into());
        config.fix.tls_key = Some("venue.key".into());
        config.fix.tls_client_ca = Some("clients.pem".into());
        config.sessions[1].certificate = Some(Sha256([0xa1; 32]));
        config.sessions[0].symbols = vec!["MSFT".to_owned()];
        config.sessions[0].accounts = vec!["ACC1".to_owned()];
        config.sessions[0].trade = false;
        config.sessions[9].copies = vec!["TRADER1".to_owned(), "TRADER2".to_owned()];
        config.sessions[0].firm = Some("ACME".to_owned());
        config.sessions[0].orders_per_second = 100;
        config.sessions[0].orders_burst = 10;
        config.sessions[0].throttle = ThrottleAction::Delay;
        config.firms.push(FirmConfig {
            name: "ACME".to_owned(),
            orders_per_second: 1_000,
            orders_burst: 0,
            throttle: ThrottleAction::Reject,
        });
        config.sessions[0].cancel_on_disconnect = CancelOnDisconnect::Both;
        config.sessions[0].cancel_grace_ms = 3_000;
        config.sessions[0].cancel_gtc = true;
        config.schedule.start = Some("00:00".to_owned());
        config.schedule.end = config.schedule.start.clone();
        config.sessions[0].schedule = Some(ScheduleConfig {
            start: Some("17:00".to_owned()),
            end: Some("16:00".to_owned()),
            days: vec![Day::Sun, Day::Mon],
            time_zone: "America/New_York".to_owned(),
            reset: ResetConfig::Weekly,
        });
        config.risk.traded_notional = "2500000.50".to_owned();
        config.sessions[0].risk = Some(RiskConfig { open_orders: 20, ..RiskConfig::default() });
        config.sessions[1].versions = vec!["FIX.4.2".to_owned(), "FIX.5.0SP2".to_owned()];
        assert_eq!(parse(&render(&config)).unwrap(), config);
    }

    #[test]
    fn every_key_has_a_meaning() {
        // The parser knows the keys that are not in the default too, and names them all.
        let known = |text: &str| {
            let message = toml::from_str::<Config>(text).unwrap_err().to_string();
            let (_, names) = message.split_once("expected ").expect("what is expected");
            let names = names.lines().next().unwrap_or_default().split('`');
            names.skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
        };
        for section in known("no_such_key = 1") {
            let list = LISTS.contains(&section.as_str());
            let head = if list { format!("[[{section}]]") } else { format!("[{section}]") };
            let keys = known(&format!("{head}\nno_such_key = 1"));
            let meant = KEYS.iter().filter(|(of, ..)| *of == section).map(|(_, key, _)| *key);
            assert_eq!(BTreeSet::from_iter(meant), keys.iter().map(String::as_str).collect());
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_the_line_that_may_have_a_password() {
        for text in
            ["passwrd = \"hunter2\"", "password = hunter2", "password = \"hunter2", "hunter2 = 1 2"]
        {
            let whole = format!("[[session]]\ncomp_id = \"A\"\n{text}\n");
            let message = parse(&whole).expect_err(text).to_string();
            assert!(message.contains("line 3, column "), "{text}: {message}");
            let is_key = text.starts_with("hunter2");
            assert!(is_key || !message.contains("hunter2"), "{text}: {message}");
        }
    }

    #[test]
    fn refusals_name_line_or_key() {
        for (text, expected) in [
            ("[fix]\nlisten = \"127.0.0.1:1\"\nconections_max = 3\n", "line 3"),
            ("[fix]\nconections_max = 3\n", "conections_max"),
            ("[fix]\nconnections_max = 0\n", "fix.connections_max = 0: 1 to 65536"),
            ("[snapshot]\nkeep = 0\n", "snapshot.keep = 0: 1 to 1000"),
            ("[journal]\nold_segments = \"burn\"\n", "line 2"),
            ("[journal]\nsegment_bytes = 100000\n", "power of two"),
            ("[[instrument]]\nsymbol = \"A\"\ntick = \"0\"\nlot = \"1\"\n", "greater than zero"),
            ("[[instrument]]\nsymbol = \"A\"\ntick = \"1e3\"\nlot = \"1\"\n", "decimal number"),
            ("[[session]]\ncomp_id = \"IRONBOOK\"\n", "the venue's own"),
            (
                "[[session]]\ncomp_id = \"A\"\nversions = [\"FIX.4\"]\n",
                "session A: versions = FIX.4: is none of FIX.4.0, ",
            ),
            ("[threads]\nlayout = \"fast\"\n", "line 2"),
            ("[threads]\ngateways = 0\n", "threads.gateways = 0: 1 to 8 is allowed"),
            ("[threads]\ngateways = 9\n", "threads.gateways = 9: 1 to 8 is allowed"),
            (
                "[threads]\ngateways = 2\nlayout = \"shared\"\n",
                "threads.gateways = 2: needs threads.layout = \"dedicated\" or \"auto\"",
            ),
            ("[fix]\nallow_from = [\"10.1.2.3/8\"]\n", "write 10.0.0.0/8"),
            (
                "[[session]]\ncomp_id = \"A\"\npassword = \"x\"\n",
                "session A: password = (not shown): is no PHC string",
            ),
            (
                "[[session]]\ncomp_id = \"A\"\nsymbols = [\"GOOG\"]\n",
                "session A: symbols = GOOG: is no [[instrument]]",
            ),
            (
                "[[session]]\ncomp_id = \"A\"\naccounts = [\"thirteen-long\"]\n",
                "session A: accounts = thirteen-long: ",
            ),
            (
                "[fix]\ntls_listen = \"127.0.0.1:1\"\n",
                "fix.tls_certificate = : a file in PEM is needed",
            ),
            (
                "[fix]\ntls_listen = \"127.0.0.1:1\"\ntls_certificate = \"a\"\n",
                "fix.tls_key = : a file in PEM is needed",
            ),
            ("[fix]\ntls_client_ca = \"a\"\n", "fix.tls_client_ca = a: is of no use without"),
            (
                "[[session]]\ncomp_id = \"A\"\ntls = true\n",
                "session A: tls = true: needs fix.tls_listen",
            ),
            ("[[session]]\ncomp_id = \"A\"\ncertificate = \"a1:b2\"\n", "is no SHA-256"),
            (
                &format!("[[session]]\ncomp_id = \"A\"\ncertificate = \"{}\"\n", "A1:".repeat(32)),
                "session A: certificate = a1a1",
            ),
            ("[[session]]\ncomp_id = \"A\"\nusername = \"x\"\n", "needs a password beside it"),
            (
                "[[session]]\ncomp_id = \"A\"\ncancel_grace_ms = 86400001\n",
                "session A: cancel_grace_ms = 86400001: 0 to 86400000 is allowed",
            ),
            (
                "[[session]]\ncomp_id = \"A\"\norders_per_second = 1000001\n",
                "session A: orders_per_second = 1000001: 0 to 1000000 is allowed",
            ),
            (
                &format!("[[session]]\ncomp_id = \"A\"\nfirm = \"{}\"\n", "F".repeat(257)),
                "session A: firm = FFFF",
            ),
            (
                "[metrics]\nstages_bytes = 65535\n",
                "metrics.stages_bytes = 65535: 0, or 65536 to 1073741824 is allowed",
            ),
            (
                "[[session]]\ncomp_id = \"A\"\nfirm = \"\"\n",
                "session A: firm = : 1 to 256 bytes are allowed",
            ),
            (
                "[[session]]\ncomp_id = \"A\"\norders_burst = 5\n",
                "session A: orders_burst = 5: needs orders_per_second",
            ),
            ("[[firm]]\nname = \"X\"\n", "firm.name = X: is the firm of no [[session]]"),
            (
                "[[firm]]\nname = \"X\"\n[[firm]]\nname = \"X\"\n[[session]]\ncomp_id = \"A\"\nfirm = \"X\"\n",
                "firm.name = X: is listed twice",
            ),
            (
                "[[session]]\ncomp_id = \"A\"\ncopies = [\"A\"]\n",
                "session A: copies = A: needs read_only = true",
            ),
            (
                "[[session]]\ncomp_id = \"A\"\nread_only = true\ncopies = [\"B\"]\n",
                "session A: copies = B: is no [[session]] that sends orders",
            ),
            (
                "[market_data]\ndepth_max = 301\n",
                "market_data.depth_max = 301: 1 to 300 is allowed",
            ),
            (
                "[market_data]\ntls_listen = \"127.0.0.1:1\"\n",
                "market_data.tls_listen = 127.0.0.1:1: needs market_data.listen",
            ),
            (
                "[market_data]\nlisten = \"127.0.0.1:1\"\ntls_listen = \"127.0.0.1:2\"\n",
                "needs fix.tls_listen, whose certificate and key it uses",
            ),
            (
                "[metrics]\nlisten = \"0.0.0.0:9879\"\n",
                "metrics.listen = 0.0.0.0:9879: is no loopback address",
            ),
            ("[risk]\nloss = \"1.123456789\"\n", "risk.loss = 1.123456789: must be a decimal"),
            ("[risk]\nloss = \"10000000000\"\n", "at most 10 digits before the point and 8 behind"),
            ("[risk]\nwindow_ms = 0\n", "risk.window_ms = 0: 1 to 86400000 is allowed"),
            (
                "[[session]]\ncomp_id = \"A\"\nrisk = {order_notional = \"-1\"}\n",
                "session A: risk.order_notional = -1: must be a decimal",
            ),
            ("[fix]\nlockout_s = 0\n", "fix.lockout_s = 0: 1 to 86400"),
            ("[schedule]\nreset = \"daily\"\n", "schedule.start = : days and reset need"),
            (
                "[[session]]\ncomp_id = \"A\"\nschedule = {start = \"9\", end = \"10:00\"}\n",
                "session A: schedule.start = 9: must be a time of the day",
            ),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_drop_copy_is_of_no_more_sessions_than_its_record_has_room_for() {
        let session = |comp_id: String, read_only| SessionConfig {
            comp_id,
            read_only,
            firm: Some("FIRM".to_owned()),
            ..default_sessions().remove(0)
        };
        let check = |sessions: usize, times: usize| {
            let mut config = Config { sessions: Vec::new(), ..Config::default() };
            let names = (0..sessions).map(|number| format!("S{number}"));
            config.engine.sessions_max = 1 << 20;
            config.sessions.extend(names.clone().map(|name| session(name, false)));
            let mut copy = session("COPY".to_owned(), true);
            copy.copies = names.flat_map(|name| vec![name; times]).collect();
            config.sessions.push(copy);
            config.check().map_err(|error| error.to_string())
        };
        // By its firm, by name, and by names that are listed twice.
        for (times, key) in [(0, "firm"), (1, "copies"), (2, "copies")] {
            assert_eq!(check(COPIES_MAX, times), Ok(()), "{times} times");
            let error = check(COPIES_MAX + 1, times).unwrap_err();
            let (found, most) = (COPIES_MAX + 1, COPIES_MAX);
            let expected = format!("session COPY: {key} = {found} sessions: at most {most}");
            assert!(error.contains(&expected), "{error}");
        }
    }

    #[test]
    fn terms_take_their_scale_from_the_step() {
        let terms = default_instruments()[3].terms().unwrap();
        assert_eq!((terms.price_scale, terms.tick), (2, 1));
        assert_eq!((terms.qty_scale, terms.lot), (8, 1));
    }
}
