//! The versions of FIX: which there are, and how a Logon names one.
//!
//! Up to FIX 4.4 a version is one thing, named by BeginString(8). From FIX 5.0 on the session speaks FIXT.1.1
//! and the application has a version of its own, ApplVerID(1128), which may also be an older one.

use crate::dictionary::Dictionary;
use crate::field::Precision;
use std::sync::OnceLock;

/// A version of the application's messages; the code is its ApplVerID(1128).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ApplVerId {
    /// FIX 4.0
    Fix40 = b'2',
    /// FIX 4.1
    Fix41 = b'3',
    /// FIX 4.2
    Fix42 = b'4',
    /// FIX 4.3
    Fix43 = b'5',
    /// FIX 4.4
    Fix44 = b'6',
    /// FIX 5.0
    Fix50 = b'7',
    /// FIX 5.0 SP1
    Fix50Sp1 = b'8',
    /// FIX 5.0 SP2
    Fix50Sp2 = b'9',
}

impl ApplVerId {
    /// All of them, the oldest first.
    pub const ALL: [Self; 8] = [
        Self::Fix40,
        Self::Fix41,
        Self::Fix42,
        Self::Fix43,
        Self::Fix44,
        Self::Fix50,
        Self::Fix50Sp1,
        Self::Fix50Sp2,
    ];

    /// The name as BeginString(8) spells it, or would.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fix40 => "FIX.4.0",
            Self::Fix41 => "FIX.4.1",
            Self::Fix42 => "FIX.4.2",
            Self::Fix43 => "FIX.4.3",
            Self::Fix44 => "FIX.4.4",
            Self::Fix50 => "FIX.5.0",
            Self::Fix50Sp1 => "FIX.5.0SP1",
            Self::Fix50Sp2 => "FIX.5.0SP2",
        }
    }

    /// The version with this name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name().as_bytes() == name)
    }

    /// Reads ApplVerID(1128) or DefaultApplVerID(1137).
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|version| value == [version.code()])
    }

    /// The code as sent.
    #[inline]
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Its place in [`ApplVerId::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        (self as u8 - Self::Fix40 as u8) as usize
    }

    /// Whether sessions of this version need FIXT.1.1.
    const fn needs_fixt(self) -> bool {
        self as u8 >= Self::Fix50 as u8
    }
}

/// A set of versions of the application's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplVerIds(u8);

impl ApplVerIds {
    /// All versions.
    pub const ALL: Self = Self(u8::MAX);

    /// Whether a version is in the set.
    #[must_use]
    pub const fn has(self, version: ApplVerId) -> bool {
        self.0 >> version.index() & 1 == 1
    }
}

impl FromIterator<ApplVerId> for ApplVerIds {
    fn from_iter<I: IntoIterator<Item = ApplVerId>>(versions: I) -> Self {
        Self(versions.into_iter().fold(0, |bits, version| bits | 1 << version.index()))
    }
}

/// What a session speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    /// The version of the application's messages that say nothing else.
    pub application: ApplVerId,
    /// Whether the session layer is FIXT.1.1 rather than that of the application's version.
    pub fixt: bool,
}

impl Version {
    /// FIX 4.4
    pub const FIX44: Self = Self::of(ApplVerId::Fix44);

    /// Every version over the session layer it came with, the oldest first.
    pub const ALL: [Self; ApplVerId::ALL.len()] = {
        let mut all = [Self::FIX44; ApplVerId::ALL.len()];
        let mut at = 0;
        while at < all.len() {
            all[at] = Self::of(ApplVerId::ALL[at]);
            at += 1;
        }
        all
    };

    /// A version over the session layer it came with.
    #[must_use]
    pub const fn of(application: ApplVerId) -> Self {
        Self { application, fixt: application.needs_fixt() }
    }

    /// The version a Logon is for: BeginString(8), and DefaultApplVerID(1137) when that is FIXT.1.1.
    #[must_use]
    pub fn of_logon(begin_string: &[u8], default_appl_ver_id: Option<&[u8]>) -> Option<Self> {
        if begin_string == Self::FIXT.as_bytes() {
            let application = ApplVerId::parse(default_appl_ver_id?)?;
            return Some(Self { application, fixt: true });
        }
        let application = ApplVerId::named(begin_string)?;
        (!application.needs_fixt()).then_some(Self::of(application))
    }

    const FIXT: &'static str = "FIXT.1.1";

    /// BeginString(8)
    #[must_use]
    pub const fn begin_string(self) -> &'static str {
        if self.fixt { Self::FIXT } else { self.application.name() }
    }

    /// The version whose rules the session layer follows: FIXT.1.1 came with the last ones.
    #[must_use]
    pub const fn session_layer(self) -> ApplVerId {
        if self.fixt { ApplVerId::Fix50Sp2 } else { self.application }
    }

    /// Its tables, made when they are first asked for; see [`Version::prepare`].
    #[must_use]
    pub fn dictionary(self) -> &'static Dictionary {
        const VERSIONS: usize = ApplVerId::ALL.len();
        static DICTIONARIES: [OnceLock<Dictionary>; 2 * VERSIONS] =
            [const { OnceLock::new() }; 2 * VERSIONS];
        let at = self.application.index() + if self.fixt { VERSIONS } else { 0 };
        DICTIONARIES[at].get_or_init(|| Dictionary::new(self))
    }

    /// Makes the tables of all versions, so that no Logon has to.
    pub fn prepare() {
        for version in Self::ALL {
            let _ = version.dictionary();
            let _ = Self { fixt: true, ..version }.dictionary();
        }
    }

    /// Digits of the second in times: none before FIX 4.2, whose times have no fraction.
    #[must_use]
    pub fn precision(self, wanted: Precision) -> Precision {
        if self.session_layer() < ApplVerId::Fix42 { Precision::Seconds } else { wanted }
    }

    /// EndSeqNo(16) for "all that follow", however many there are: a large number before FIX 4.2, zero since.
    #[must_use]
    pub fn infinite_seq_no(self) -> u64 {
        if self.session_layer() < ApplVerId::Fix42 { 999_999 } else { 0 }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.application.name())?;
        if self.fixt { write!(f, " over {}", Self::FIXT) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logon_names_its_version() {
        for version in Version::ALL {
            let code = [version.application.code()];
            let named = version.fixt.then_some(&code[..]);
            assert_eq!(Version::of_logon(version.begin_string().as_bytes(), named), Some(version));
            assert_eq!(
                Version::of_logon(version.application.name().as_bytes(), None).is_some(),
                !version.fixt
            );
            let over_fixt = Version { fixt: true, ..version };
            assert_eq!(Version::of_logon(b"FIXT.1.1", Some(&code)), Some(over_fixt));
        }
        for (begin_string, default) in [
            (&b"FIXT.1.1"[..], None),
            (b"FIXT.1.1", Some(&b"1"[..])),
            (b"FIXT.1.1", Some(b"10")),
            (b"FIXT.1.1", Some(b"")),
            (b"FIXT.1.2", Some(b"9")),
            (b"FIX.3.9", None),
            (b"FIX.4.45", None),
            (b"", None),
        ] {
            assert_eq!(Version::of_logon(begin_string, default), None);
        }
    }

    #[test]
    fn sets_hold_what_they_are_made_of() {
        let some = [ApplVerId::Fix42, ApplVerId::Fix50Sp2];
        let set: ApplVerIds = some.into_iter().collect();
        for version in ApplVerId::ALL {
            assert_eq!(set.has(version), some.contains(&version));
            assert!(ApplVerIds::ALL.has(version));
        }
    }
}
