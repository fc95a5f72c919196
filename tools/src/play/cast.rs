//! Who plays whom: which comp id in the sandbox stands for which recorded session.

use std::{collections::BTreeMap, net::SocketAddr};

use ironbook_engine::{CompId, SessionId, Text};
use ironbook_gateway::config::Config;
use ironbook_incident::{
    Fault, index::Index, names::Names, question::Span, request::frames, show::Content,
};

use crate::output::{Exit, Failure};

/// What a comp id begins with that is a test's.
const TEST_PREFIXES: [&str; 2] = ["TEST", "SANDBOX"];

/// Most sessions that are played: each takes a third of a megabyte for its connection. A sandbox takes fewer
/// connections from one address where its configuration says nothing else.
const SESSIONS_MAX: usize = 256;

/// Stands for every recorded session that is not named, and in what plays it for the recorded comp id.
const EVERY: &str = "*";

/// `FROM=TO`, as it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    recorded: String,
    plays: String,
}

impl Mapping {
    /// Reads `FROM=TO`.
    pub fn parse(word: &str) -> Result<Self, String> {
        match word.split_once('=') {
            Some((recorded, plays)) if !recorded.is_empty() && !plays.is_empty() => {
                Ok(Self { recorded: recorded.to_owned(), plays: plays.to_owned() })
            }
            _ => Err("give RECORDED=TEST comp ids, such as C7=TESTC7, or *=TEST* for all".into()),
        }
    }
}

/// A recorded session, and the one that plays it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// In the journal.
    pub session: SessionId,
    /// Its comp id there.
    pub recorded: String,
    /// The comp id in the sandbox.
    pub plays: String,
    /// Requests of it in the stretch.
    pub requests: u64,
}

/// Whether orders of a comp id can do no harm: it begins with TEST or SANDBOX, or it is one of the development
/// sessions that a venue without a configuration has.
pub fn is_test(comp_id: &str) -> bool {
    TEST_PREFIXES.iter().any(|prefix| comp_id.starts_with(prefix))
        || Config::default().sessions.iter().any(|known| known.comp_id == comp_id)
}

/// Only this machine: what is played must not get into the world.
///
/// # Errors
/// [`Exit::Usage`] for any other address.
pub fn check_address(address: SocketAddr) -> Result<(), Failure> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let message = format!(
        "--into {address}: a journal is played into a sandbox on this machine only; give an address such as \
         127.0.0.1:9879"
    );
    Err(Failure::new(Exit::Usage, message))
}

/// The sessions that sent something in a stretch, and who plays them.
///
/// # Errors
/// [`Exit::Usage`]: one that nobody plays, or who would is no test comp id, or plays two.
pub fn cast(
    index: &Index,
    names: &Names,
    span: Span,
    mappings: &[Mapping],
) -> Result<Vec<Part>, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    for (number, mapping) in mappings.iter().enumerate() {
        let recorded = &mapping.recorded;
        if mappings[..number].iter().any(|other| other.recorded == *recorded) {
            return Err(usage(format!("--map: {recorded} is named twice")));
        }
        let mut views = names.engine().sessions();
        if recorded != EVERY && !views.any(|view| view.comp_id.as_str() == recorded) {
            let known: Vec<_> =
                names.engine().sessions().map(|view| view.comp_id.to_string()).collect();
            let known = known.join(" ");
            return Err(usage(format!(
                "--map: no session has the comp id {recorded}; there are {known}"
            )));
        }
    }
    let mut parts = Vec::new();
    let mut missing = Vec::new();
    for (session, requests) in requests_by_session(index, span)? {
        let recorded = names.engine().session(session).map(|view| view.comp_id.to_string());
        let recorded = recorded.unwrap_or_default();
        match player(&recorded, mappings) {
            Some(plays) => parts.push(Part { session, recorded, plays, requests }),
            None => missing.push(format!("  --map {recorded}=TEST...  ({requests} requests)")),
        }
    }
    if !missing.is_empty() {
        let missing = missing.join("\n");
        return Err(usage(format!(
            "somebody has to play each session of the stretch; add\n{missing}\nor --map '*=TEST*' for all"
        )));
    }
    check(&parts).map_err(usage)?;
    Ok(parts)
}

/// Who plays a recorded comp id: as it is said, as is said of all others, or itself if that is a test's.
fn player(recorded: &str, mappings: &[Mapping]) -> Option<String> {
    let said = |wanted: &str| mappings.iter().find(|mapping| mapping.recorded == wanted);
    match said(recorded).or_else(|| said(EVERY)) {
        Some(mapping) => Some(mapping.plays.replace(EVERY, recorded)),
        None => is_test(recorded).then(|| recorded.to_owned()),
    }
}

fn check(parts: &[Part]) -> Result<(), String> {
    if parts.len() > SESSIONS_MAX {
        let count = parts.len();
        return Err(format!(
            "{count} sessions sent something, and at most {SESSIONS_MAX} are played; give a shorter stretch"
        ));
    }
    let mut played = BTreeMap::new();
    for Part { recorded, plays, .. } in parts {
        if !is_test(plays) {
            return Err(format!(
                "{plays}, which is to play {recorded}, is no test comp id: it has to begin with {}, or be one \
                 of those that a venue without a configuration has",
                TEST_PREFIXES.join(" or ")
            ));
        }
        if let Err(error) = CompId::try_from(plays.as_str()) {
            return Err(format!("{plays}, which is to play {recorded}, is no comp id: {error}"));
        }
        if let Some(other) = played.insert(plays, recorded) {
            return Err(format!("{plays} can't play both {other} and {recorded}"));
        }
    }
    Ok(())
}

fn requests_by_session(index: &Index, span: Span) -> Result<BTreeMap<SessionId, u64>, Fault> {
    let mut found = BTreeMap::new();
    frames(index, span, |entry| {
        if let Content::Command(command) = &entry.content
            && let Some(session) = command.client()
        {
            *found.entry(session).or_default() += 1;
        }
        true
    })?;
    Ok(found)
}

/// Begins the ClOrdID of every request that is played, so that nobody takes one for another.
const MARK: &str = "REPLAY";

/// Longest name of a run.
const RUN_MAX: usize = 8;

/// Stands between the beginning of a ClOrdID that has no room and the hash of all of it.
const CUT: u8 = b'~';

/// Hexadecimal digits of a 64-bit hash.
const HASH_DIGITS: usize = 16;

/// How played requests are named: `REPLAY`, the run, `-`, and what they were called.
#[derive(Clone, Debug)]
pub struct Mark(String);

impl Mark {
    /// Of a run, which may have no name.
    ///
    /// # Errors
    /// What a name has to be.
    pub fn of_run(run: &str) -> Result<Self, String> {
        if run.len() <= RUN_MAX && run.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Self(format!("{MARK}{run}-")));
        }
        Err(format!("--run {run:?}: at most {RUN_MAX} letters and digits"))
    }

    /// What every name begins with.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a request that was called so. The same name comes to the same one again, so that a later
    /// request finds its order. One that has no room is cut, and ends in a hash of all of it.
    pub fn name<const N: usize>(&self, recorded: &Text<N>) -> Text<N> {
        const { assert!(N > MARK.len() + RUN_MAX + 2 + HASH_DIGITS) };
        let (mark, recorded) = (self.0.as_bytes(), recorded.as_bytes());
        let mut name = Vec::with_capacity(N);
        name.extend_from_slice(mark);
        if mark.len() + recorded.len() <= N {
            name.extend_from_slice(recorded);
        } else {
            let room = N - mark.len() - 1 - HASH_DIGITS;
            name.extend_from_slice(&recorded[..room]);
            name.push(CUT);
            name.extend_from_slice(format!("{:016x}", fnv1a(recorded)).as_bytes());
        }
        Text::try_from(name.as_slice()).expect("parts of a text, and letters")
    }
}

/// 64-bit FNV-1a.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use ironbook_engine::ClOrdId;

    use super::*;

    fn part(recorded: &str, plays: &str) -> Part {
        let (recorded, plays) = (recorded.to_owned(), plays.to_owned());
        Part { session: SessionId(1), recorded, plays, requests: 1 }
    }

    #[test]
    fn test_comp_ids_are_those_that_say_so_and_the_shipped_ones() {
        for (comp_id, expected) in [
            ("TESTC7", true),
            ("SANDBOX-C7", true),
            ("TRADER1", true),
            ("LOADGEN", true),
            ("C7", false),
            ("MYTEST", false),
            ("test7", false),
            ("TRADER99", false),
            ("", false),
        ] {
            assert_eq!(is_test(comp_id), expected, "{comp_id}");
        }
    }

    #[test]
    fn only_this_machine_is_played_into() {
        for (address, expected) in [
            ("127.0.0.1:9879", true),
            ("127.8.9.1:9879", true),
            ("[::1]:9879", true),
            ("[::ffff:127.0.0.1]:9879", true),
            ("192.168.1.1:9879", false),
            ("0.0.0.0:9879", false),
            ("[::]:9879", false),
            ("[::ffff:10.0.0.1]:9879", false),
        ] {
            assert_eq!(check_address(address.parse().unwrap()).is_ok(), expected, "{address}");
        }
    }

    #[test]
    fn a_session_is_played_as_said_as_all_or_by_itself() {
        let mappings = ["C7=TESTX", "*=TEST-*"].map(|word| Mapping::parse(word).unwrap());
        assert_eq!(player("C7", &mappings).unwrap(), "TESTX");
        assert_eq!(player("C1", &mappings).unwrap(), "TEST-C1");
        assert_eq!(player("C1", &mappings[..1]), None);
        assert_eq!(player("TEST1", &mappings[..1]).unwrap(), "TEST1");
        for wrong in ["C7", "=TEST", "C7=", ""] {
            assert!(Mapping::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn who_plays_is_a_test_and_plays_one() {
        assert_eq!(check(&[part("C1", "TEST1"), part("C2", "TEST2")]), Ok(()));
        let long = format!("TEST{}", "X".repeat(CompId::MAX));
        for (parts, expected) in [
            (vec![part("C1", "C1")], "C1, which is to play C1, is no test comp id"),
            (vec![part("C1", "TEST1"), part("C2", "TEST1")], "TEST1 can't play both C1 and C2"),
            (vec![part("C1", &long)], "is no comp id"),
            (
                (0..=SESSIONS_MAX).map(|at| part("C", &format!("TEST{at}"))).collect(),
                "257 sessions sent something, and at most 256 are played",
            ),
        ] {
            let told = check(&parts).unwrap_err();
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn names_say_that_they_are_played_and_stay_apart() {
        let name = |text: &str| ClOrdId::try_from(text).unwrap();
        let mark = Mark::of_run("2").unwrap();
        assert_eq!(mark.name(&name("a1")), name("REPLAY2-a1"));
        let uuid = "123e4567-e89b-12d3-a456-426614174000";
        let (one, other) = (mark.name(&name(uuid)), mark.name(&name(&uuid.replace('7', "8"))));
        assert_eq!(one.as_str(), "REPLAY2-123e4567-e8~8da4bf2f8d2be9bf");
        assert_eq!(one, mark.name(&name(uuid)));
        assert_ne!(one, other);
        // The longest that has room stays as it is.
        let fits = &uuid[..ClOrdId::MAX - mark.as_str().len()];
        assert_eq!(mark.name(&name(fits)), name(&format!("REPLAY2-{fits}")));
        for wrong in ["a-b", "123456789", "ü"] {
            assert!(Mark::of_run(wrong).is_err(), "{wrong}");
        }
    }
}
