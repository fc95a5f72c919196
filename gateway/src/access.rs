//! Who may connect: addresses, how many connections from each, and how many failed Logons.
//!
//! All of it is looked at before anything is allocated for a connection, but for the few kilobytes that TLS
//! takes to say no. What is remembered of an address is bounded, and so are the lines that refusals leave in the log.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ironbook_engine::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::FixConfig;

/// Addresses with failed Logons that are remembered at once: 32 KiB. When there are more, those that failed
/// longest ago are forgotten first.
const SOURCES_MAX: usize = 1_024;
const _: () = assert!(SOURCES_MAX * size_of::<Failures>() == 32 * 1_024);

/// Lines about refused connections in the log, per second.
const LOG_LINES_PER_SECOND: u32 = 10;

const SECOND_NS: u64 = 1_000_000_000;

/// An address, or all that begin with the same bits: `10.1.2.3`, `10.0.0.0/8`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    address: IpAddr,
    prefix: u32,
}

impl AddressRange {
    /// Every address of IPv4, and every one of IPv6.
    pub const ALL: [Self; 2] = [
        Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 0 },
        Self { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix: 0 },
    ];

    /// Whether an address is in the range. One of IPv4 that came over IPv6 is one of IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && first_bits(address, self.prefix) == self.address
    }
}

/// An address with zeros behind its first bits.
fn first_bits(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

impl From<IpAddr> for AddressRange {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl From<Ipv4Addr> for AddressRange {
    fn from(address: Ipv4Addr) -> Self {
        IpAddr::V4(address).into()
    }
}

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
        let no_range =
            || format!("{text} is no address: write 10.1.2.3, 10.0.0.0/8 or 2001:db8::/32");
        let whole = Self::from(address.parse::<IpAddr>().map_err(|_| no_range())?);
        if !text.contains('/') {
            return Ok(whole);
        }
        let prefix = prefix.parse().ok().filter(|bits| *bits <= whole.prefix);
        let prefix = prefix.ok_or_else(no_range)?;
        let address = first_bits(whole.address, prefix);
        if address != whole.address {
            return Err(format!("{text} has more bits than its prefix: write {address}/{prefix}"));
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        if Self::from(self.address) == *self { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl TryFrom<String> for AddressRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.to_string()
    }
}

/// Whose connections are counted together: an address of IPv4, and the first half of one of IPv6, as
/// whoever has one of these has them all.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        address @ IpAddr::V6(_) => first_bits(address, 64),
        address => address,
    }
}

/// Lets connections in, or not.
#[derive(Debug)]
pub struct Guard {
    allow_from: Vec<AddressRange>,
    per_address_max: usize,
    /// Open connections by [`source`]; no entry for none.
    open: HashMap<IpAddr, usize>,
    failures_max: u32,
    lockout_ns: u64,
    failures: Vec<Failures>,
    /// Bounds what refusals write into the log.
    log: LogBound,
}

/// Failed Logons from an address.
#[derive(Clone, Copy, Debug)]
struct Failures {
    source: IpAddr,
    count: u32,
    /// The first of them, or the one that locked the address.
    since: Timestamp,
}

/// Lines that may be logged, some in each second.
#[derive(Debug, Default)]
struct LogBound {
    second: u64,
    lines: u32,
    left_out: u64,
}

impl Guard {
    /// As configured.
    pub fn new(config: &FixConfig) -> Self {
        Self {
            allow_from: config.allow_from.clone(),
            per_address_max: config.connections_per_address_max,
            open: HashMap::with_capacity(config.connections_max),
            failures_max: config.logon_failures_max,
            lockout_ns: config.lockout_s.saturating_mul(SECOND_NS),
            failures: Vec::with_capacity(SOURCES_MAX),
            log: LogBound::default(),
        }
    }

    /// Whether a connection from an address may be.
    ///
    /// # Errors
    /// Why it may not.
    pub fn admit(&self, peer: IpAddr, now: Timestamp) -> Result<(), &'static str> {
        if !self.allow_from.iter().any(|range| range.contains(peer)) {
            return Err("fix.allow_from has not this address");
        }
        let open = self.open.get(&source(peer));
        if open.is_some_and(|open| *open >= self.per_address_max) {
            return Err("fix.connections_per_address_max connections are open from there");
        }
        self.check_failures(peer, now)
    }

    /// A connection from an address is open from now on.
    pub fn opened(&mut self, peer: IpAddr) {
        *self.open.entry(source(peer)).or_default() += 1;
    }

    /// A connection that was [`opened`](Self::opened) is closed.
    pub fn closed(&mut self, peer: IpAddr) {
        let source = source(peer);
        match self.open.get_mut(&source) {
            Some(open) if *open > 1 => *open -= 1,
            _ => drop(self.open.remove(&source)),
        }
    }

    /// Whether a Logon from an address is looked at.
    ///
    /// # Errors
    /// The address is locked.
    pub fn check_failures(&self, peer: IpAddr, now: Timestamp) -> Result<(), &'static str> {
        let found = self.failures.iter().find(|known| known.source == source(peer));
        let locked = found.is_some_and(|known| {
            self.failures_max > 0 && known.count >= self.failures_max && self.is_near(known, now)
        });
        if locked {
            return Err("fix.logon_failures_max Logons from there have failed, fix.lockout_s ago");
        }
        Ok(())
    }

    /// Whether failures still count.
    fn is_near(&self, known: &Failures, now: Timestamp) -> bool {
        now.0.saturating_sub(known.since.0) < self.lockout_ns
    }

    /// A Logon from an address named somebody who it is not.
    pub fn failed(&mut self, peer: IpAddr, now: Timestamp) {
        let source = source(peer);
        let found = self.failures.iter().position(|known| known.source == source);
        let index = found.unwrap_or_else(|| self.place());
        let fresh = Failures { source, count: 0, since: now };
        match self.failures.get_mut(index) {
            None => self.failures.push(fresh),
            Some(known) if known.source != source => *known = fresh,
            Some(_) => {}
        }
        let known = self.failures[index];
        let count = if self.is_near(&known, now) { known.count + 1 } else { 1 };
        let begins = count == 1 || count == self.failures_max;
        let since = if begins { now } else { known.since };
        self.failures[index] = Failures { source, count, since };
    }

    /// Where failures of another address are remembered.
    fn place(&self) -> usize {
        if self.failures.len() < SOURCES_MAX {
            return self.failures.len();
        }
        let oldest = (0..SOURCES_MAX).min_by_key(|index| self.failures[*index].since);
        oldest.unwrap_or_default()
    }

    /// Logs that somebody was refused, or counts what is left out when there is much of it.
    pub fn log(&mut self, now: Timestamp, line: fmt::Arguments<'_>) {
        if let Some(left_out) = self.log.begin(now) {
            log::info!("{left_out} more connections were refused");
        }
        if self.log.takes() {
            log::info!("{line}");
        }
    }
}

impl LogBound {
    /// What the last second left out, when another one begins.
    fn begin(&mut self, now: Timestamp) -> Option<u64> {
        let second = now.0 / SECOND_NS;
        if second == self.second {
            return None;
        }
        let left_out = std::mem::take(self).left_out;
        self.second = second;
        (left_out > 0).then_some(left_out)
    }

    /// Whether another line may be logged.
    fn takes(&mut self) -> bool {
        self.lines += 1;
        let takes = self.lines <= LOG_LINES_PER_SECOND;
        self.left_out += u64::from(!takes);
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> AddressRange {
        text.parse().expect(text)
    }

    fn at(second: u64) -> Timestamp {
        Timestamp(second * SECOND_NS)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn ranges_contain_what_begins_like_them() {
        for (text, inside, outside) in [
            ("10.1.2.3", "10.1.2.3", "10.1.2.2"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.168.4.0/22", "192.168.7.255", "192.168.8.0"),
            ("0.0.0.0/0", "255.0.0.1", "::1"),
            ("10.1.2.3", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("::ffff:10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "127.0.0.1"),
            ("::/0", "2001::", "0.0.0.0"),
        ] {
            assert!(range(text).contains(address(inside)), "{text} {inside}");
            assert!(!range(text).contains(address(outside)), "{text} {outside}");
        }
        assert!(AddressRange::ALL.iter().all(|range| range.prefix == 0));
    }

    #[test]
    fn ranges_are_written_as_they_are_read() {
        for text in ["10.1.2.3", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "::1", "::/0"] {
            assert_eq!(range(text).to_string(), text);
        }
        assert_eq!(range("10.1.2.3/32").to_string(), "10.1.2.3");
        for (text, expected) in [
            ("10.1.2.3/8", "10.1.2.3/8 has more bits than its prefix: write 10.0.0.0/8"),
            ("10.0.0.0/33", "10.0.0.0/33 is no address"),
            ("::/129", "::/129 is no address"),
            ("10.0.0.0/", "is no address"),
            ("10.0.0", "is no address"),
            ("/8", "is no address"),
            ("", "is no address"),
        ] {
            let error = text.parse::<AddressRange>().expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
    }

    fn guard(failures_max: u32) -> Guard {
        Guard::new(&FixConfig {
            allow_from: vec![range("10.0.0.0/8"), range("2001:db8::/32")],
            connections_per_address_max: 2,
            logon_failures_max: failures_max,
            lockout_s: 60,
            ..FixConfig::default()
        })
    }

    #[test]
    fn connections_are_let_in_from_somewhere_and_not_too_many() {
        let mut guard = guard(3);
        let (one, other) = (address("2001:db8::1"), address("2001:db8::2"));
        guard.opened(one);
        assert_eq!(guard.admit(other, at(0)), Ok(()));
        guard.opened(other);
        assert!(guard.admit(one, at(0)).unwrap_err().contains("per_address"));
        assert_eq!(guard.admit(address("2001:db8:0:1::1"), at(0)), Ok(()));
        guard.closed(one);
        assert_eq!(guard.admit(one, at(0)), Ok(()));
        guard.closed(other);
        assert!(guard.open.is_empty(), "nothing is kept of who is gone");
        assert!(guard.admit(address("9.1.1.1"), at(0)).unwrap_err().contains("allow_from"));
        assert_eq!(source(address("2001:db8::1")), source(address("2001:db8::ffff:0:0:1")));
        assert_ne!(source(address("2001:db8::1")), source(address("2001:db8:0:1::1")));
        assert_eq!(source(address("::ffff:10.1.2.3")), address("10.1.2.3"));
    }

    #[test]
    fn addresses_are_locked_for_a_while_after_failures() {
        let mut guard = guard(3);
        let (one, other) = (address("10.1.1.1"), address("10.1.1.2"));
        for second in [0, 10] {
            guard.failed(one, at(second));
        }
        assert_eq!(guard.admit(one, at(11)), Ok(()));
        guard.failed(one, at(12));
        assert!(guard.admit(one, at(13)).unwrap_err().contains("logon_failures_max"));
        assert!(guard.admit(one, at(71)).is_err(), "from the last failure on");
        assert_eq!(guard.admit(other, at(13)), Ok(()));
        assert_eq!(guard.admit(one, at(72)), Ok(()));
        // Failures that lie far apart lock nobody.
        for second in [100, 130, 160, 190] {
            guard.failed(one, at(second));
            assert_eq!(guard.admit(one, at(second)), Ok(()), "{second}");
        }
        let mut never = self::guard(0);
        (0..100).for_each(|_| never.failed(one, at(1)));
        assert_eq!(never.admit(one, at(1)), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut guard = guard(1);
        let first = address("10.0.0.0");
        for number in 0..3 * SOURCES_MAX as u32 {
            let peer = IpAddr::V4((u32::from_be_bytes([10, 0, 0, 0]) + number).into());
            guard.failed(peer, Timestamp(number.into()));
            assert!(guard.check_failures(peer, Timestamp(number.into())).is_err());
        }
        assert_eq!(guard.failures.len(), SOURCES_MAX);
        assert_eq!(guard.check_failures(first, at(0)), Ok(()), "forgotten first");
    }

    #[test]
    fn lines_in_the_log_are_bounded() {
        let mut log = LogBound::default();
        assert_eq!(log.begin(at(1)), None);
        assert_eq!((0..25).filter(|_| log.takes()).count(), 10);
        assert_eq!(log.begin(Timestamp(SECOND_NS + 1)), None);
        assert!(!log.takes());
        assert_eq!(log.begin(at(2)), Some(16));
        assert!(log.takes());
        assert_eq!(log.begin(at(3)), None);
    }
}
