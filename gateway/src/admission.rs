//! Which session a Logon is to, whether it may be from there, and what it has to prove. The same wherever
//! sessions log on.

use std::net::IpAddr;

use ironbook_engine::Timestamp;
use ironbook_fix::{
    message::{Message, MsgType},
    session::Session,
    version::Version,
};

use crate::{
    config::{Login, SessionConfig},
    credentials::Claim,
    network::Security,
};

/// SessionStatus (1409): invalid user or password.
const INVALID_LOGIN: u64 = 5;
/// SessionStatus (1409): logons are not allowed at this time.
const NOT_NOW: u64 = 7;

/// Why a connection becomes none of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAdmitted {
    /// For the log.
    pub reason: &'static str,
    /// Whether it counts as a failed Logon of its address: it named somebody who it is not.
    pub is_failure: bool,
}

impl NotAdmitted {
    /// The session has a connection.
    pub const CONNECTED: Self = Self::reason("the session is connected already");

    /// It may be that nobody did anything wrong.
    pub const fn reason(reason: &'static str) -> Self {
        Self { reason, is_failure: false }
    }

    const fn failure(reason: &'static str) -> Self {
        Self { reason, is_failure: true }
    }
}

/// The place of the session that a first message is to log on to, if that may be from there.
///
/// # Errors
/// Why it may not; nothing is answered then, so that a stranger learns nothing.
pub fn find<'a>(
    sessions: impl Iterator<Item = &'a SessionConfig>,
    message: &Message<'_>,
    peer: IpAddr,
    security: Security,
) -> Result<usize, NotAdmitted> {
    if message.msg_type() != Some(MsgType::LOGON) {
        return Err(NotAdmitted::reason("the first message is not a Logon"));
    }
    let comp_id = message.sender_comp_id().unwrap_or_default();
    let (index, config) = sessions
        .enumerate()
        .find(|(_, config)| config.comp_id.as_bytes() == comp_id)
        .ok_or(NotAdmitted::failure("unknown SenderCompID"))?;
    if !config.allow_from.iter().any(|range| range.contains(peer)) {
        return Err(NotAdmitted::failure("this comp id may not connect from there"));
    }
    if config.tls && !security.encrypted {
        return Err(NotAdmitted::failure("this comp id may connect over TLS only"));
    }
    if config.certificate.is_some() && config.certificate != security.certificate {
        return Err(NotAdmitted::failure("its certificate is not that of this comp id"));
    }
    Ok(index)
}

/// What a Logon claims and has to prove first. The version decides where a Logon has it: before FIX 4.3 there
/// is RawData (96) and no user.
pub fn claim(login: &Login, message: &Message<'_>) -> Claim {
    let Login { username, password } = login;
    let version = Version::of_logon(message.begin_string(), message.get(1137));
    let has = |tag| version.is_some_and(|it| it.dictionary().has(MsgType::LOGON, tag));
    let wanted = username.as_ref().filter(|_| has(553));
    let tag = if has(554) { 554 } else { 96 };
    Claim {
        hash: password.clone(),
        user_matches: wanted.is_none_or(|name| message.get(553) == Some(name.as_bytes())),
        password: message.get(tag).map(<[u8]>::to_vec),
    }
}

/// Refuses a Logon whose claim did not prove to be true, that wants another password, or that comes when the
/// session is `closed`, for a reason. Whether it did.
pub fn refuse_logon(
    fix: &mut Session,
    message: &Message<'_>,
    proved: bool,
    closed: Option<&str>,
    now: Timestamp,
) -> bool {
    let (text, status) = if !proved {
        ("Username (553) or Password (554) is wrong", Some(INVALID_LOGIN))
    } else if message.get(925).is_some() {
        ("NewPassword (925) is not taken here: ask the venue for another password", None)
    } else if let Some(reason) = closed {
        (reason, Some(NOT_NOW))
    } else {
        return false;
    };
    fix.refuse_logon(now.0, message, text, status);
    true
}
