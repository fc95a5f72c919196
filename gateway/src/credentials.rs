//! Passwords of Logons: kept as hashes, and checked without delaying anybody who trades.
//!
//! A check takes ten milliseconds or more on purpose, so it is done on a thread of its own. The connection
//! waits meanwhile with its Logon unread. Those who step a venue themselves check at once, so that all they
//! do stays in one order.
//!
//! A wrong user and a wrong password look alike: the password is checked in both cases.

use std::{fmt, io, sync::Arc, thread};

use argon2::{
    Argon2, Params, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash as Phc,
};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

/// Most memory that one check may take, KiB: what a hash in the configuration may ask for.
const MEMORY_KIB_MAX: u32 = 256 * 1024;

/// Most passes over that memory.
const PASSES_MAX: u32 = 64;

/// Checks that may wait for the thread; a Logon that finds no room waits in its connection.
const CHECKS_MAX: usize = 64;

/// The hash of a password, with its salt and what it costs, as PHC string:
/// `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Phc);

impl PasswordHash {
    /// Reads a PHC string.
    ///
    /// # Errors
    /// What is wrong with it, or that a check of it would cost too much.
    pub fn parse(text: &str) -> Result<Self, String> {
        let advice = "make one with: ironbook password";
        let hash =
            Phc::new(text).map_err(|error| format!("is no PHC string ({error}); {advice}"))?;
        let known = argon2::Algorithm::try_from(hash.algorithm.as_str()).is_ok();
        if !known || hash.salt.is_none() || hash.hash.is_none() {
            return Err(format!("is no argon2 hash with its salt; {advice}"));
        }
        let params = Params::try_from(&hash).map_err(|error| format!("{error}; {advice}"))?;
        if params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > PASSES_MAX {
            return Err(format!(
                "costs too much: m={MEMORY_KIB_MAX} and t={PASSES_MAX} are the most; {advice}"
            ));
        }
        Ok(Self(hash))
    }

    /// Hashes a password with a salt from the system's randomness: argon2id with the costs that OWASP
    /// recommends (19 MiB, two passes).
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn of(password: &[u8]) -> io::Result<Self> {
        Argon2::default().hash_password(password).map(Self).map_err(io::Error::other)
    }

    /// Whether this is the hash of a password.
    fn is_of(&self, password: &[u8]) -> bool {
        Argon2::default().verify_password(password, &self.0).is_ok()
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Says nothing: not for the log.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// What a Logon has to prove.
pub struct Claim {
    /// The hash of the session's password.
    pub hash: Arc<PasswordHash>,
    /// Whether the Logon names the session's user.
    pub user_matches: bool,
    /// The password in the Logon, if it has one.
    pub password: Option<Vec<u8>>,
}

impl Claim {
    /// Whether it is true; takes as long when it is not, whatever is wrong with it.
    pub fn is_true(&self) -> bool {
        let matches = self.hash.is_of(self.password.as_deref().unwrap_or_default());
        matches & self.user_matches & self.password.is_some()
    }
}

/// Says nothing: not for the log.
impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claim")
    }
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The claim's ticket.
    pub ticket: u64,
    /// Whether it was true.
    pub passed: bool,
}

/// Where a claim that was handed in stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// It was checked.
    Checked(bool),
    /// [`Checker::verdict`] tells later.
    Waits,
    /// Too many wait; hand it in again.
    Full,
}

/// Checks claims.
#[derive(Debug)]
pub enum Checker {
    /// At once.
    Inline,
    /// On a thread of its own.
    Aside(Aside),
}

/// A thread that checks claims, one after the other.
#[derive(Debug)]
pub struct Aside {
    /// None once the thread is to end.
    claims: Option<Sender<(u64, Claim)>>,
    verdicts: Receiver<Verdict>,
    /// Claims without a verdict.
    open: usize,
    thread: Option<thread::JoinHandle<()>>,
}

impl Checker {
    /// One with a thread of its own, which ends with it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn aside() -> io::Result<Self> {
        let (claims, handed) = bounded::<(u64, Claim)>(CHECKS_MAX);
        // Never full: there are no more verdicts than claims.
        let (told, verdicts) = bounded(CHECKS_MAX + 1);
        let thread = thread::Builder::new().name("passwords".to_owned()).spawn(move || {
            for (ticket, claim) in handed {
                let verdict = Verdict { ticket, passed: claim.is_true() };
                if told.send(verdict).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self::Aside(Aside::new(claims, verdicts, Some(thread))))
    }

    /// One whose claims are taken, and whose verdicts are given, by somebody else.
    pub fn elsewhere(claims: Sender<(u64, Claim)>, verdicts: Receiver<Verdict>) -> Self {
        Self::Aside(Aside::new(claims, verdicts, None))
    }

    /// Hands a claim in; the ticket is the caller's.
    pub fn hand_in(&mut self, ticket: u64, claim: Claim) -> Handed {
        let Self::Aside(aside) = self else { return Handed::Checked(claim.is_true()) };
        let Some(claims) = aside.claims.as_ref().filter(|_| aside.open < CHECKS_MAX) else {
            return Handed::Full;
        };
        match claims.try_send((ticket, claim)) {
            Ok(()) => {
                aside.open += 1;
                Handed::Waits
            }
            Err(TrySendError::Full(_)) => Handed::Full,
            // A bug ended the thread: nobody gets in.
            Err(TrySendError::Disconnected(_)) => Handed::Checked(false),
        }
    }

    /// Whether a claim can be handed in.
    pub fn has_room(&self) -> bool {
        match self {
            Self::Inline => true,
            Self::Aside(aside) => aside.open < CHECKS_MAX,
        }
    }

    /// The next verdict, if there is one.
    #[inline]
    pub fn verdict(&mut self) -> Option<Verdict> {
        match self {
            Self::Aside(aside) if aside.open > 0 => {
                let verdict = aside.verdicts.try_recv().ok()?;
                aside.open -= 1;
                Some(verdict)
            }
            _ => None,
        }
    }
}

impl Aside {
    fn new(
        claims: Sender<(u64, Claim)>,
        verdicts: Receiver<Verdict>,
        thread: Option<thread::JoinHandle<()>>,
    ) -> Self {
        Self { claims: Some(claims), verdicts, open: 0, thread }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.claims = None;
        // Nobody wants verdicts any more: the check under way is the last.
        self.verdicts = crossbeam_channel::never();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of "secret", with the least cost there is.
    const CHEAP: &str = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$";

    fn cheap() -> PasswordHash {
        let params = Params::new(8, 1, 1, None).unwrap();
        let hash = Argon2::from(params).hash_password_with_salt(b"secret", b"somesalt").unwrap();
        PasswordHash::parse(&hash.to_string()).unwrap()
    }

    #[test]
    fn hashes_are_of_one_password() {
        let hash = cheap();
        assert!(hash.to_string().starts_with(CHEAP), "{hash}");
        assert!(hash.is_of(b"secret"));
        assert!(!hash.is_of(b"Secret") && !hash.is_of(b""));
        assert_eq!(format!("{hash:?}"), "PasswordHash");
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let whole = cheap().to_string();
        for (text, expected) in [
            ("secret", "is no PHC string"),
            ("", "is no PHC string"),
            ("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ", "is no argon2 hash with its salt"),
            ("$scrypt$ln=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA", "is no argon2 hash"),
            (&whole.replace("m=8", "m=262145"), "costs too much: m=262144"),
            (&whole.replace("t=1", "t=65"), "costs too much"),
            (&whole.replace("m=8", "m=1"), "ironbook password"),
        ] {
            let error = PasswordHash::parse(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    fn claims() -> [(Claim, bool); 5] {
        let claim = |user_matches, password: Option<&str>| Claim {
            hash: Arc::new(cheap()),
            user_matches,
            password: password.map(|text| text.as_bytes().to_vec()),
        };
        [
            (claim(true, Some("secret")), true),
            (claim(false, Some("secret")), false),
            (claim(true, Some("wrong")), false),
            (claim(true, Some("")), false),
            (claim(true, None), false),
        ]
    }

    #[test]
    fn claims_are_checked_at_once_or_aside() {
        let mut aside = Checker::aside().unwrap();
        for (ticket, (claim, _)) in claims().into_iter().enumerate() {
            assert_eq!(aside.hand_in(ticket as u64, claim), Handed::Waits);
        }
        for (ticket, (claim, passed)) in claims().into_iter().enumerate() {
            assert_eq!(Checker::Inline.hand_in(0, claim), Handed::Checked(passed));
            let verdict = std::iter::repeat_with(|| aside.verdict()).flatten().next();
            assert_eq!(verdict, Some(Verdict { ticket: ticket as u64, passed }));
        }
        assert_eq!(aside.verdict(), None);
    }

    #[test]
    fn claims_that_wait_are_bounded() {
        let mut checker = Checker::aside().unwrap();
        let hand_in =
            |checker: &mut Checker| checker.hand_in(0, claims().into_iter().next().unwrap().0);
        (0..CHECKS_MAX).for_each(|_| assert_eq!(hand_in(&mut checker), Handed::Waits));
        assert_eq!(hand_in(&mut checker), Handed::Full);
        while checker.verdict().is_none() {}
        assert_eq!(hand_in(&mut checker), Handed::Waits);
    }
}
