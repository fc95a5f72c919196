//! The state machine of one FIX session, after the FIX 4.4 specification, volume 2, and its test cases, and
//! what the other versions' session layers do otherwise.
//!
//! # Version
//! An acceptor speaks the version of the Logon, by BeginString(8) and DefaultApplVerID(1137), until the next
//! one. Sequence numbers belong to the session, whatever the version. Over FIXT.1.1 a message may say in
//! ApplVerID(1128) that it is of another version; answers are always of the session's.
//!
//! # Sequence numbers
//! The session numbers what it sends at the moment it encodes it, in [`Session::transmit`]. It never sends by
//! itself: it asks, through [`Session::poll`], and whoever drives it decides in which order requests and
//! application messages are transmitted. A driver with a journal writes each of them there first; a simple
//! one transmits at once.
//!
//! # Driving it
//! ```text
//! connected      -> handle_connected(now); an initiator then calls logon(now)
//! bytes          -> frame; garbled: handle_garbled(now); message: Message::parse, handle_message(now, &m),
//!                   or refuse_logon(now, &m, why) for a Logon that proved to be somebody else's
//!                   Application: translate m; refuse(&m, why) when it can't be served
//! then, always   -> while release_held(&mut buf): Message::parse, handle_message again
//! then, always   -> while poll(): do as the Output says, in this order
//!                   next_in() changed? journal it
//! next_deadline  -> handle_timeout(now), then poll
//! disconnected   -> handle_disconnected()
//! ```

mod held;
mod output;
#[cfg(test)]
mod tests;

pub use held::HELD_BYTES_MAX;
pub use output::{BODY_MAX, DisconnectReason, OUTPUTS_MAX, Output, Request};

use crate::dictionary::{Dictionary, Strictness};
use crate::encode::{Body, Encoder};
use crate::field::{
    MsgSeqNum, NANOS_PER_SECOND, Precision, TimestampText, parse_timestamp, parse_u64,
};
use crate::message::{Message, MsgType, Refusal, Reject, SessionRejectReason};
use crate::version::{ApplVerId, ApplVerIds, Version};
use held::Held;
use output::Outputs;
use std::ops::RangeInclusive;

/// Longest TestReqID(112) that is answered.
pub const TEST_REQ_ID_MAX: usize = 200;

/// Longest CompID, SubID or LocationID that is sent back in a reversed route.
pub const COMP_ID_MAX: usize = 32;

/// A gap that isn't filled is asked for again when this much time passed without progress, and another
/// message past the gap arrives.
const RESEND_RETRY_NS: u64 = 10 * NANOS_PER_SECOND;

/// Which end of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Waits for a Logon and answers it.
    Acceptor,
    /// Sends the first Logon.
    Initiator,
}

/// What a session is configured with; fixed while it lives.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Which end this is.
    pub role: Role,
    /// What an initiator speaks, and an acceptor until a Logon says otherwise.
    pub version: Version,
    /// Versions of the application an acceptor lets a Logon, or a message over FIXT.1.1, be of.
    pub versions: ApplVerIds,
    /// Our SenderCompID(49).
    pub sender_comp_id: String,
    /// The counterparty's, our TargetCompID(56).
    pub target_comp_id: String,
    /// HeartBtInt(108) in seconds: the values an acceptor takes over from the Logon; an initiator asks for
    /// the largest.
    pub heart_bt_int: RangeInclusive<u64>,
    /// How far SendingTime(52) may be from now, in nanoseconds.
    pub sending_time_tolerance_ns: u64,
    /// Both sequence numbers start at 1 with every Logon.
    pub reset_on_logon: bool,
    /// Whether tags the version doesn't know are rejected.
    pub strictness: Strictness,
    /// How long a connection may be without a Logon, in nanoseconds.
    pub logon_timeout_ns: u64,
    /// How long a Logout may stay unanswered, in nanoseconds.
    pub logout_timeout_ns: u64,
    /// Digits of the second in SendingTime(52) and other times, where the version has any.
    pub precision: Precision,
    /// Every Logon, or answer to one, says NextExpectedMsgSeqNum(789), where the version has it. If not, an
    /// acceptor's says it when the Logon that it answers does.
    pub next_expected_msg_seq_num: bool,
    /// Headers say LastMsgSeqNumProcessed(369), where the version has it: see [`Session::note_processed`].
    pub last_msg_seq_num_processed: bool,
    /// Messages that one ResendRequest asks for at the most; 0 for all that are missing.
    pub resend_request_chunk: u64,
}

impl SessionConfig {
    /// FIX 4.4 for an initiator, any version for an acceptor, with the usual bounds: HeartBtInt 1 to 60 s,
    /// SendingTime within 120 s, 10 s to log on, 2 s to log out.
    #[must_use]
    pub fn new(role: Role, sender_comp_id: &str, target_comp_id: &str) -> Self {
        Self {
            role,
            version: Version::FIX44,
            versions: ApplVerIds::ALL,
            sender_comp_id: sender_comp_id.to_owned(),
            target_comp_id: target_comp_id.to_owned(),
            heart_bt_int: 1..=60,
            sending_time_tolerance_ns: 120 * NANOS_PER_SECOND,
            reset_on_logon: false,
            strictness: Strictness::Strict,
            logon_timeout_ns: 10 * NANOS_PER_SECOND,
            logout_timeout_ns: 2 * NANOS_PER_SECOND,
            precision: Precision::Millis,
            next_expected_msg_seq_num: false,
            last_msg_seq_num_processed: false,
            resend_request_chunk: 0,
        }
    }
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No connection.
    Disconnected,
    /// Connected, no Logon seen; an initiator may have sent its own.
    AwaitingLogon,
    /// Both ends are logged on.
    LoggedOn,
    /// Our Logout is sent, the counterparty's isn't here yet.
    AwaitingLogout,
    /// The end was requested ([`Output::Disconnect`]); whatever arrives is ignored.
    Closing,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// An application message, in sequence and well formed: translate it.
    Application(MsgSeqNum),
    /// A session message or a rejected one: the session has dealt with it.
    Consumed,
    /// A message past a gap: kept, or dropped when there is no room, as it will be sent again.
    Held,
    /// A message that doesn't count: a duplicate, or one after the end.
    Ignored,
}

/// What was asked for when a gap was found.
#[derive(Debug, Clone, Copy)]
struct Gap {
    /// BeginSeqNo(7) of the ResendRequest.
    begin: MsgSeqNum,
    /// Nobody has asked yet: the counterparty learns of it by our NextExpectedMsgSeqNum(789), and fills it
    /// before it sends anything new.
    promised: bool,
    /// The highest number seen past the gap; the gap is closed when everything up to it has come.
    through: MsgSeqNum,
    /// The last message of the part that was asked for, unless that was all of it.
    part_end: Option<MsgSeqNum>,
    asked_ns: u64,
}

/// What a Logon's NextExpectedMsgSeqNum(789) has brought to the counterparty again.
#[derive(Debug, Clone, Copy)]
struct Recovered {
    begin: MsgSeqNum,
    logged_on_ns: u64,
}

/// One FIX session.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    encoder: Encoder,
    /// Of the version of the last Logon.
    dictionary: &'static Dictionary,
    /// The version that the last message in sequence was checked in.
    application_version: ApplVerId,
    state: State,
    /// MsgSeqNum the next message from the counterparty should have.
    next_in: MsgSeqNum,
    /// MsgSeqNum of the next message transmitted.
    next_out: MsgSeqNum,
    /// HeartBtInt in nanoseconds, agreed at Logon.
    heart_bt_int_ns: u64,
    /// When something was last sent or requested.
    last_sent_ns: u64,
    /// When a message last arrived.
    last_received_ns: u64,
    /// Whether a TestRequest is out since `last_received_ns`.
    test_requested: bool,
    /// When the state was entered that a timeout bounds.
    entered_ns: u64,
    /// We logged out because of a fault: nothing but the Logout counts any more.
    faulted: bool,
    /// The initiator's Logon asked for both numbers to start anew.
    reset_asked: bool,
    recovered: Option<Recovered>,
    gap: Option<Gap>,
    held: Held,
    /// Whether the next message to be handled was held: its envelope was looked at when it came.
    is_released: bool,
    outputs: Outputs,
}

impl Session {
    /// A session that isn't connected.
    ///
    /// `next_in` is the number of the next message from the counterparty, `next_out` of the next one sent;
    /// both 1 for a new session.
    #[must_use]
    pub fn new(config: SessionConfig, next_in: MsgSeqNum, next_out: MsgSeqNum) -> Self {
        Self {
            encoder: encoder(&config, config.version),
            dictionary: config.version.dictionary(),
            application_version: config.version.application,
            config,
            state: State::Disconnected,
            next_in,
            next_out,
            heart_bt_int_ns: 0,
            last_sent_ns: 0,
            last_received_ns: 0,
            test_requested: false,
            entered_ns: 0,
            faulted: false,
            reset_asked: false,
            recovered: None,
            gap: None,
            held: Held::default(),
            is_released: false,
            outputs: Outputs::default(),
        }
    }

    /// Where the session stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// MsgSeqNum expected from the counterparty. Journal it whenever a `handle_*` call changed it.
    #[must_use]
    pub fn next_in(&self) -> MsgSeqNum {
        self.next_in
    }

    /// MsgSeqNum of the next message transmitted.
    #[must_use]
    pub fn next_out(&self) -> MsgSeqNum {
        self.next_out
    }

    /// What the session was configured with.
    #[must_use]
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// What the session speaks: the version of the last Logon.
    #[must_use]
    pub fn version(&self) -> Version {
        self.dictionary.version()
    }

    /// The version of the application message that [`Session::handle_message`] passed on last.
    #[inline]
    #[must_use]
    pub fn application_version(&self) -> ApplVerId {
        self.application_version
    }

    /// HeartBtInt(108) agreed at Logon, in seconds; 0 before.
    #[must_use]
    pub fn heart_bt_int(&self) -> u64 {
        self.heart_bt_int_ns / NANOS_PER_SECOND
    }

    /// What to do next, in the order to do it. Call until `None` after every other call that takes `now`.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop()
    }

    // ---- what happened -------------------------------------------------------------------------------

    /// A connection is made. An initiator calls [`Session::logon`] next.
    pub fn handle_connected(&mut self, now_ns: u64) {
        self.enter(State::AwaitingLogon, now_ns);
        self.last_received_ns = now_ns;
        self.last_sent_ns = now_ns;
        self.test_requested = false;
        self.faulted = false;
        self.reset_asked = false;
        self.recovered = None;
        self.forget_gap();
        self.outputs.clear();
    }

    /// The connection is gone, whoever ended it. What was requested and not yet polled is forgotten.
    pub fn handle_disconnected(&mut self) {
        self.state = State::Disconnected;
        self.forget_gap();
        self.outputs.clear();
    }

    /// Bytes that were no message arrived. They count for nothing, except as the very first thing said.
    pub fn handle_garbled(&mut self, _now_ns: u64) {
        if self.state == State::AwaitingLogon {
            self.close(DisconnectReason::NotLogon);
        }
    }

    /// Something arrived that is not read before a time that the other side does not choose: it isn't
    /// silent.
    pub fn note_received(&mut self, now_ns: u64) {
        self.last_received_ns = now_ns;
        self.test_requested = false;
    }

    /// A message arrived.
    pub fn handle_message(&mut self, now_ns: u64, message: &Message<'_>) -> Handled {
        match self.state {
            State::Disconnected | State::Closing => Handled::Ignored,
            State::AwaitingLogon => {
                self.last_received_ns = now_ns;
                self.first_message(now_ns, message)
            }
            State::LoggedOn | State::AwaitingLogout => {
                self.last_received_ns = now_ns;
                self.test_requested = false;
                self.message(now_ns, message)
            }
        }
    }

    /// Moves the message that is next in sequence, if it was held, to `out` (which is cleared), to be given
    /// to [`Session::handle_message`] again. `false` when there is none.
    pub fn release_held(&mut self, out: &mut Vec<u8>) -> bool {
        loop {
            match self.held.take(self.next_in, out) {
                held::Taken::None => return false,
                held::Taken::Message => {
                    self.is_released = true;
                    return true;
                }
                // Its purpose was served when it came; only its number was still to be counted.
                held::Taken::Number => self.advance(self.next_in.next()),
            }
        }
    }

    /// Whether [`Session::release_held`] would find something: a driver that had no room comes back to it.
    #[must_use]
    pub fn holds_next(&self) -> bool {
        self.held.has(self.next_in)
    }

    /// The time of [`Session::next_deadline`] has come.
    pub fn handle_timeout(&mut self, now_ns: u64) {
        match self.state {
            State::Disconnected | State::Closing => {}
            State::AwaitingLogon => {
                if now_ns >= self.entered_ns.saturating_add(self.config.logon_timeout_ns) {
                    self.close(DisconnectReason::LogonTimeout);
                }
            }
            State::AwaitingLogout => {
                if now_ns >= self.entered_ns.saturating_add(self.config.logout_timeout_ns) {
                    self.outputs.push(Output::LoggedOut);
                    self.close(DisconnectReason::LogoutTimeout);
                }
            }
            State::LoggedOn => self.handle_silence(now_ns),
        }
    }

    /// When to call [`Session::handle_timeout`], in nanoseconds since the Unix epoch; `None` without a
    /// connection.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let after = |from: u64, span: u64| Some(from.saturating_add(span));
        match self.state {
            State::Disconnected | State::Closing => None,
            State::AwaitingLogon => after(self.entered_ns, self.config.logon_timeout_ns),
            State::AwaitingLogout => after(self.entered_ns, self.config.logout_timeout_ns),
            State::LoggedOn => {
                let send = self.last_sent_ns.saturating_add(self.heart_bt_int_ns);
                Some(send.min(self.last_received_ns.saturating_add(self.silence_ns())))
            }
        }
    }

    // ---- what the driver wants -----------------------------------------------------------------------

    /// The initiator says hello: requests a Logon, after [`Output::ResetSequence`] when so configured.
    pub fn logon(&mut self, now_ns: u64) {
        assert!(self.config.role == Role::Initiator, "only an initiator logs on by itself");
        if self.state != State::AwaitingLogon {
            return;
        }
        self.heart_bt_int_ns = self.config.heart_bt_int.end().saturating_mul(NANOS_PER_SECOND);
        self.reset_asked = self.config.reset_on_logon;
        if self.reset_asked {
            self.reset();
        }
        let expected = self.config.next_expected_msg_seq_num.then_some(self.next_in);
        self.send_logon(now_ns, self.reset_asked, expected);
    }

    /// Ends the session in order: requests a Logout with an optional Text(58), up to 128 bytes of it, and
    /// waits for the answer.
    pub fn logout(&mut self, now_ns: u64, text: Option<&str>) {
        match self.state {
            State::LoggedOn => {
                self.send_logout(now_ns, text.unwrap_or_default());
                self.enter(State::AwaitingLogout, now_ns);
            }
            State::AwaitingLogon => self.close(DisconnectReason::Requested),
            _ => {}
        }
    }

    /// Refuses the Logon in hand in place of [`Session::handle_message`], though the session would take it: a
    /// Logout with the reason, then the end of the connection. It uses no number of the counterparty. `status`
    /// is SessionStatus(1409), where the version has it.
    ///
    /// A message that is no Logon of this session is not answered, as ever.
    pub fn refuse_logon(
        &mut self,
        now_ns: u64,
        message: &Message<'_>,
        text: &str,
        status: Option<u64>,
    ) {
        if self.state != State::AwaitingLogon {
            return;
        }
        let Some((_, version)) = self.named_logon(now_ns, message) else {
            self.close(DisconnectReason::NotLogon);
            return;
        };
        self.speak(version);
        self.request(now_ns, Request::logout_with(self.dictionary, text, status));
        self.close(DisconnectReason::BadLogon);
    }

    /// Refuses an application message that [`Session::handle_message`] passed on: requests a Reject(3) or a
    /// BusinessMessageReject(j), which FIX has from 4.2 on. One of these is not refused in turn: two ends that do would
    /// never come to an end.
    pub fn refuse(&mut self, now_ns: u64, message: &Message<'_>, refusal: &Refusal<'_>) {
        if message.msg_type() == Some(MsgType::BUSINESS_MESSAGE_REJECT) {
            return;
        }
        self.last_sent_ns = now_ns;
        match refusal {
            Refusal::Session(reject) => self.send_reject(now_ns, message, reject),
            Refusal::Business(reject) => {
                let request = if self.version().application < ApplVerId::Fix42 {
                    Request::reject_with_text(self.dictionary, message, reject.text)
                } else {
                    Request::business_reject(self.dictionary, message, reject)
                };
                self.outputs.push(Output::Send(request));
            }
        }
    }

    /// Numbers and encodes a message: appends header, `body` and trailer to `out`, gives the number used.
    ///
    /// `body` holds the fields after the header as `tag=value` with SOH each; header fields other than the
    /// session's own, such as PossResend(97), come first in it.
    pub fn transmit(
        &mut self,
        sending_time_ns: u64,
        msg_type: MsgType,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> MsgSeqNum {
        let seq = self.number(sending_time_ns);
        self.encoder.message(seq, sending_time_ns, msg_type, body, out);
        seq
    }

    /// [`Session::transmit`] for a typed message, written in one pass. A type that the session's version
    /// doesn't have goes as [`Session::transmit_gap`].
    #[inline]
    pub fn transmit_typed<B: Body>(
        &mut self,
        sending_time_ns: u64,
        body: &B,
        out: &mut Vec<u8>,
    ) -> MsgSeqNum {
        if self.version().application < B::SINCE {
            return self.transmit_gap(sending_time_ns, out);
        }
        let seq = self.number(sending_time_ns);
        self.encoder.typed(seq, sending_time_ns, body, out);
        seq
    }

    /// Uses a number for a message that the session's version has no words for: a SequenceReset-GapFill says
    /// that there is none.
    #[cold]
    pub fn transmit_gap(&mut self, sending_time_ns: u64, out: &mut Vec<u8>) -> MsgSeqNum {
        let body = Request::gap_fill_body(self.next_out.next());
        self.transmit(sending_time_ns, MsgType::SEQUENCE_RESET, body.body(), out)
    }

    /// Both numbers start at 1 because the driver says so, while there is no connection: the inbound one at
    /// once, the outbound one with [`Session::reset_outbound`].
    pub fn reset_inbound(&mut self) {
        assert!(self.state == State::Disconnected, "nobody counts on the old numbers");
        self.next_in = MsgSeqNum::FIRST;
    }

    /// Carries out [`Output::ResetSequence`] for the outbound side: the next message transmitted is number 1.
    /// A driver with a journal calls it when its journal has passed the reset, before it transmits what
    /// came after.
    pub fn reset_outbound(&mut self) {
        self.next_out = MsgSeqNum::FIRST;
    }

    /// Goes on with `next_out`: a driver whose journal counted messages while nobody was connected calls it
    /// before it transmits the next one.
    pub fn resume_outbound(&mut self, next_out: MsgSeqNum) {
        self.next_out = next_out;
    }

    /// Encodes a message again that was sent as `seq`: PossDupFlag(43) Y, OrigSendingTime(122) its first
    /// SendingTime(52). Uses no number.
    pub fn encode_resend(
        &mut self,
        seq: MsgSeqNum,
        orig_sending_time_ns: u64,
        now_ns: u64,
        msg_type: MsgType,
        body: &[u8],
        out: &mut Vec<u8>,
    ) {
        self.last_sent_ns = now_ns;
        self.encoder.repeated(seq, orig_sending_time_ns, now_ns, msg_type, body, out);
    }

    /// [`Session::encode_resend`] for a typed message that the session's version has.
    pub fn encode_resend_typed<B: Body>(
        &mut self,
        seq: MsgSeqNum,
        orig_sending_time_ns: u64,
        now_ns: u64,
        body: &B,
        out: &mut Vec<u8>,
    ) {
        self.last_sent_ns = now_ns;
        self.encoder.repeated_typed(seq, orig_sending_time_ns, now_ns, body, out);
    }

    /// Encodes a SequenceReset-GapFill in place of the messages from `begin` up to and without
    /// `new_seq_no`. Uses no number.
    pub fn encode_gap_fill(
        &mut self,
        begin: MsgSeqNum,
        new_seq_no: MsgSeqNum,
        now_ns: u64,
        out: &mut Vec<u8>,
    ) {
        self.last_sent_ns = now_ns;
        let body = Request::gap_fill_body(new_seq_no);
        let msg_type = MsgType::SEQUENCE_RESET;
        self.encoder.repeated(begin, now_ns, now_ns, msg_type, body.body(), out);
    }

    /// Says what LastMsgSeqNumProcessed(369) of the messages encoded from now on is, in a session that is
    /// configured to have it. Only the driver knows what a message was processed for: one with a journal says
    /// what the journal has counted, so that no crash makes the claim untrue.
    #[inline]
    pub fn note_processed(&mut self, msg_seq_num: MsgSeqNum) {
        let wanted = self.config.last_msg_seq_num_processed && self.dictionary.is_header(369);
        self.encoder.last_processed = wanted.then_some(msg_seq_num);
    }

    #[inline]
    fn number(&mut self, sending_time_ns: u64) -> MsgSeqNum {
        let seq = self.next_out;
        self.next_out = seq.next();
        self.last_sent_ns = self.last_sent_ns.max(sending_time_ns);
        seq
    }

    // ---- Logon ---------------------------------------------------------------------------------------

    /// Before the Logon nothing is answered: whoever doesn't know the names learns nothing.
    fn first_message(&mut self, now_ns: u64, message: &Message<'_>) -> Handled {
        let msg_type = message.msg_type();
        if self.config.role == Role::Initiator && msg_type == Some(MsgType::LOGOUT) {
            self.count(message);
            self.close(DisconnectReason::LogonRefused);
            return Handled::Consumed;
        }
        let Some((seq, version)) = self.named_logon(now_ns, message) else {
            self.close(DisconnectReason::NotLogon);
            return Handled::Ignored;
        };
        match self.agree(version).and_then(|()| self.read_logon(message)) {
            Ok(logon) => self.accept_logon(now_ns, seq, &logon),
            Err(text) => {
                self.send_logout(now_ns, text);
                self.close(DisconnectReason::BadLogon);
                Handled::Consumed
            }
        }
    }

    /// Number and version of a message that is a Logon of this session, of now.
    fn named_logon(&self, now_ns: u64, message: &Message<'_>) -> Option<(MsgSeqNum, Version)> {
        let known = message.msg_type() == Some(MsgType::LOGON)
            && self.comp_ids_match(message)
            && self.sending_time_is_near(now_ns, message);
        let version = Version::of_logon(message.begin_string(), message.get(1137));
        message.msg_seq_num().filter(|_| known).zip(version)
    }

    fn accept_logon(&mut self, now_ns: u64, seq: MsgSeqNum, logon: &Logon) -> Handled {
        let answer = self.config.role == Role::Acceptor;
        if let Some(text) = self.reset_fault(seq, logon) {
            self.send_logout(now_ns, text);
            self.close(DisconnectReason::BadLogon);
            return Handled::Consumed;
        }
        let resets = answer && (logon.reset || self.config.reset_on_logon);
        let next_out = if resets { MsgSeqNum::FIRST } else { self.next_out };
        if !resets && seq < self.next_in && !logon.poss_dup {
            self.refuse_low(now_ns, seq);
            return Handled::Consumed;
        }
        if let Some(expected) = logon.next_expected.filter(|expected| *expected > next_out) {
            self.request(now_ns, Request::logout_next_expected(next_out, expected));
            self.close(DisconnectReason::BadLogon);
            return Handled::Consumed;
        }
        if resets {
            self.reset();
        }
        // Where both ends say what they expect next, each sends by itself what the other misses.
        let both_say =
            logon.next_expected.is_some() && (answer || self.config.next_expected_msg_seq_num);
        self.heart_bt_int_ns = logon.heart_bt_int.saturating_mul(NANOS_PER_SECOND);
        let missing = seq > self.next_in;
        if answer {
            let expected = if missing { self.next_in } else { self.next_in.max(seq.next()) };
            let says = both_say || self.config.next_expected_msg_seq_num;
            self.send_logon(now_ns, logon.reset, says.then_some(expected));
        }
        self.enter(State::LoggedOn, now_ns);
        self.outputs.push(Output::LoggedOn);
        if let Some(begin) = logon.next_expected.filter(|_| both_say) {
            let misses = begin < next_out;
            self.recovered = misses.then_some(Recovered { begin, logged_on_ns: now_ns });
            // Before the answer of an acceptor something may come that is on its way still.
            if misses || answer {
                self.outputs.push(Output::ResendThroughLogon { begin });
            }
        }
        if !missing {
            self.next_in = self.next_in.max(seq.next());
        } else if both_say {
            self.held.keep_number(seq);
            let begin = self.next_in;
            self.gap =
                Some(Gap { begin, promised: true, through: seq, part_end: None, asked_ns: now_ns });
        } else {
            self.ask_for_gap(now_ns, seq, false);
        }
        Handled::Consumed
    }

    /// What is wrong with how a Logon wants the numbers to start anew.
    fn reset_fault(&self, seq: MsgSeqNum, logon: &Logon) -> Option<&'static str> {
        if !logon.reset {
            None
        } else if self.config.role == Role::Initiator && !self.reset_asked {
            Some("ResetSeqNumFlag was not asked for")
        } else if seq != MsgSeqNum::FIRST {
            Some("MsgSeqNum must be 1 with ResetSeqNumFlag")
        } else {
            None
        }
    }

    /// Goes on in the version of a Logon, or says why not.
    fn agree(&mut self, version: Version) -> Result<(), &'static str> {
        let SessionConfig { role, version: own, versions, .. } = self.config;
        if role == Role::Initiator && version != own {
            return Err("The version is not the one that was asked for");
        }
        self.speak(version);
        if role == Role::Acceptor && !versions.has(version.application) {
            return Err("This version of FIX is not allowed for this session");
        }
        Ok(())
    }

    /// Writes and reads in a version from now on.
    fn speak(&mut self, version: Version) {
        if version != self.version() {
            self.encoder = encoder(&self.config, version);
            self.dictionary = version.dictionary();
        }
    }

    /// The fields of a Logon, or what to say about it.
    fn read_logon(&self, message: &Message<'_>) -> Result<Logon, &'static str> {
        let heart_bt_int = message.get(108).ok_or("HeartBtInt (108) is missing")?;
        let heart_bt_int =
            parse_u64(heart_bt_int).map_err(|_| "HeartBtInt (108) is not a positive number")?;
        if !self.config.heart_bt_int.contains(&heart_bt_int) {
            return Err("HeartBtInt (108) is out of range");
        }
        if message.get(98) != Some(b"0") {
            return Err("EncryptMethod (98) must be 0");
        }
        let checked = self.dictionary.check(message, self.config.strictness);
        checked.map_err(|reject| reject.text())?;
        let reset = message.get(141) == Some(b"Y");
        let next_expected =
            match message.get(789).filter(|_| self.dictionary.has(MsgType::LOGON, 789)) {
                None => None,
                Some(value) => {
                    let number = MsgSeqNum::parse(value).ok().filter(|number| number.get() > 0);
                    Some(number.ok_or("NextExpectedMsgSeqNum (789) is not a positive number")?)
                }
            };
        Ok(Logon { heart_bt_int, reset, next_expected, poss_dup: message.poss_dup() })
    }

    /// A Logon in the middle of a session may only start the numbers anew.
    fn logon_again(&mut self, now_ns: u64, seq: MsgSeqNum, message: &Message<'_>) -> Handled {
        let version = Version::of_logon(message.begin_string(), message.get(1137));
        match self.read_logon(message) {
            Ok(_) if version != Some(self.version()) => {
                let text = "The version can't change while logged on";
                self.end(now_ns, text, DisconnectReason::BadLogon);
            }
            Ok(logon) if logon.reset && seq == MsgSeqNum::FIRST => {
                if let Some(expected) = logon.next_expected.filter(|it| *it > MsgSeqNum::FIRST) {
                    let logout = Request::logout_next_expected(MsgSeqNum::FIRST, expected);
                    self.end_with(now_ns, logout, DisconnectReason::BadLogon);
                    return Handled::Consumed;
                }
                self.reset();
                self.next_in = seq.next();
                self.heart_bt_int_ns = logon.heart_bt_int.saturating_mul(NANOS_PER_SECOND);
                let says = logon.next_expected.is_some() || self.config.next_expected_msg_seq_num;
                self.send_logon(now_ns, true, says.then_some(self.next_in));
            }
            Ok(_) => self.end(now_ns, "Logon while logged on", DisconnectReason::BadLogon),
            Err(text) => self.end(now_ns, text, DisconnectReason::BadLogon),
        }
        Handled::Consumed
    }

    // ---- messages of a session -----------------------------------------------------------------------

    fn message(&mut self, now_ns: u64, message: &Message<'_>) -> Handled {
        let msg_type = message.msg_type();
        let is_released = std::mem::take(&mut self.is_released);
        if msg_type == Some(MsgType::LOGOUT) && self.state == State::AwaitingLogout {
            self.count(message);
            self.outputs.push(Output::LoggedOut);
            self.close(DisconnectReason::LogoutAnswered);
            return Handled::Consumed;
        }
        if self.faulted {
            return Handled::Ignored;
        }
        if message.begin_string() != self.version().begin_string().as_bytes() {
            self.fault(now_ns, "Incorrect BeginString");
            return Handled::Consumed;
        }
        let Some(seq) = message.msg_seq_num() else {
            self.end(now_ns, "Received message without MsgSeqNum", DisconnectReason::BadMessage);
            return Handled::Consumed;
        };
        // What was held is as punctual as it was when it came.
        if !is_released && let Some(reason) = self.envelope_fault(now_ns, message) {
            self.count(message);
            self.send_reject(now_ns, message, &Reject::new(reason, None));
            self.fault(now_ns, "");
            return Handled::Consumed;
        }
        match msg_type {
            Some(MsgType::LOGON) => self.logon_again(now_ns, seq, message),
            Some(MsgType::RESEND_REQUEST) => self.resend_request(now_ns, seq, message),
            Some(MsgType::SEQUENCE_RESET) if message.get(123) != Some(b"Y") => {
                self.sequence_reset(now_ns, message)
            }
            Some(MsgType::LOGOUT) if seq > self.next_in => self.answer_logout(now_ns),
            _ if seq < self.next_in => self.low(now_ns, seq, message),
            _ if seq > self.next_in => self.high(now_ns, seq, message),
            _ => self.in_sequence(now_ns, seq, message),
        }
    }

    /// Names and time of a message that are there and wrong; those missing are found by the dictionary.
    fn envelope_fault(&self, now_ns: u64, message: &Message<'_>) -> Option<SessionRejectReason> {
        let wrong = |value: Option<&[u8]>, expected: &str| {
            value.is_some_and(|value| !value.is_empty() && value != expected.as_bytes())
        };
        if wrong(message.sender_comp_id(), &self.config.target_comp_id)
            || wrong(message.target_comp_id(), &self.config.sender_comp_id)
        {
            return Some(SessionRejectReason::CompIdProblem);
        }
        let sent = message.sending_time_ns()?;
        (sent.abs_diff(now_ns) > self.config.sending_time_tolerance_ns)
            .then_some(SessionRejectReason::SendingTimeAccuracy)
    }

    fn in_sequence(&mut self, now_ns: u64, seq: MsgSeqNum, message: &Message<'_>) -> Handled {
        if let Err(reject) = self.check(message) {
            self.advance(seq.next());
            self.send_reject(now_ns, message, &reject);
            return Handled::Consumed;
        }
        if let Some(reject) = Self::poss_dup_fault(message) {
            self.advance(seq.next());
            return self.refuse_poss_dup(now_ns, message, &reject);
        }
        let msg_type = message.msg_type().expect("the dictionary knows the type");
        if msg_type == MsgType::SEQUENCE_RESET {
            return self.gap_fill(now_ns, seq, message);
        }
        self.advance(seq.next());
        match msg_type {
            MsgType::LOGOUT => self.answer_logout(now_ns),
            MsgType::TEST_REQUEST => self.answer_test_request(now_ns, message),
            MsgType::HEARTBEAT | MsgType::REJECT => Handled::Consumed,
            _ => Handled::Application(seq),
        }
    }

    /// A number that was already used.
    fn low(&mut self, now_ns: u64, seq: MsgSeqNum, message: &Message<'_>) -> Handled {
        if !message.poss_dup() {
            self.refuse_low(now_ns, seq);
            return Handled::Consumed;
        }
        match Self::poss_dup_fault(message) {
            None => Handled::Ignored,
            Some(reject) => self.refuse_poss_dup(now_ns, message, &reject),
        }
    }

    /// A number past the expected one: something is missing.
    fn high(&mut self, now_ns: u64, seq: MsgSeqNum, message: &Message<'_>) -> Handled {
        self.held.keep(seq, message.bytes());
        self.ask_for_gap(now_ns, seq, message.poss_dup());
        Handled::Held
    }

    #[inline]
    fn check(&mut self, message: &Message<'_>) -> Result<(), Reject> {
        let dictionary = self.dictionary_of(message)?;
        self.application_version = dictionary.version().application;
        dictionary.check(message, self.config.strictness)
    }

    /// The tables of a message's version: the session's, but an application message over FIXT.1.1 may say
    /// otherwise.
    #[inline]
    fn dictionary_of(&self, message: &Message<'_>) -> Result<&'static Dictionary, Reject> {
        if !self.version().fixt {
            return Ok(self.dictionary);
        }
        self.dictionary_by_appl_ver_id(message)
    }

    fn dictionary_by_appl_ver_id(
        &self,
        message: &Message<'_>,
    ) -> Result<&'static Dictionary, Reject> {
        let application = message.msg_type().is_some_and(|msg_type| !msg_type.is_admin());
        let Some(value) = message.get(1128).filter(|value| application && !value.is_empty()) else {
            return Ok(self.dictionary);
        };
        let known = ApplVerId::parse(value).filter(|known| self.config.versions.has(*known));
        let reason = SessionRejectReason::ApplicationVersion;
        let application = known.ok_or_else(|| Reject::new(reason, Some(1128)))?;
        Ok(Version { application, fixt: true }.dictionary())
    }

    /// OrigSendingTime(122) must be there and not after SendingTime(52) (specification volume 2, test case
    /// 2.f and 2.g). A gap fill has nothing it repeats.
    fn poss_dup_fault(message: &Message<'_>) -> Option<Reject> {
        if !message.poss_dup() || message.msg_type() == Some(MsgType::SEQUENCE_RESET) {
            return None;
        }
        let Some(orig) = message.get(122) else {
            return Some(Reject::new(SessionRejectReason::RequiredTagMissing, Some(122)));
        };
        let orig = match parse_timestamp(orig) {
            Ok(orig) => orig,
            Err(error) => return Some(Reject::value(122, error)),
        };
        let later = message.sending_time_ns().is_some_and(|sent| orig > sent);
        later.then(|| Reject::new(SessionRejectReason::SendingTimeAccuracy, None))
    }

    fn refuse_poss_dup(&mut self, now_ns: u64, message: &Message<'_>, reject: &Reject) -> Handled {
        self.send_reject(now_ns, message, reject);
        if reject.reason == SessionRejectReason::SendingTimeAccuracy {
            self.fault(now_ns, "");
        }
        Handled::Consumed
    }

    fn answer_logout(&mut self, now_ns: u64) -> Handled {
        self.send_logout(now_ns, "");
        self.outputs.push(Output::LoggedOut);
        self.close(DisconnectReason::LoggedOut);
        Handled::Consumed
    }

    fn answer_test_request(&mut self, now_ns: u64, message: &Message<'_>) -> Handled {
        let id = message.get(112).unwrap_or_default();
        if id.len() > TEST_REQ_ID_MAX {
            let reject = Reject::new(SessionRejectReason::ValueIncorrect, Some(112));
            self.send_reject(now_ns, message, &reject.with_text("TestReqID is too long"));
            return Handled::Consumed;
        }
        self.request(now_ns, Request::heartbeat(id));
        Handled::Consumed
    }

    // ---- gaps ----------------------------------------------------------------------------------------

    /// The counterparty asks for messages again. It's served whatever its own number, so that two ends
    /// that both miss something don't wait for each other.
    fn resend_request(&mut self, now_ns: u64, seq: MsgSeqNum, message: &Message<'_>) -> Handled {
        if seq < self.next_in && message.poss_dup() {
            return self.low(now_ns, seq, message);
        }
        if let Err(reject) = self.check(message).and_then(|()| self.queue_resend(message)) {
            self.send_reject(now_ns, message, &reject);
        }
        if seq == self.next_in {
            self.advance(seq.next());
        } else if seq > self.next_in {
            self.held.keep_number(seq);
            self.ask_for_gap(now_ns, seq, message.poss_dup());
        }
        Handled::Consumed
    }

    fn queue_resend(&mut self, message: &Message<'_>) -> Result<(), Reject> {
        let incorrect = |tag| Reject::new(SessionRejectReason::ValueIncorrect, Some(tag));
        let read = |tag: u32| {
            let value = message.get(tag).ok_or_else(|| incorrect(tag))?;
            MsgSeqNum::parse(value).map_err(|error| Reject::value(tag, error))
        };
        let (begin, end) = (read(7)?, read(16)?);
        let last = self.next_out.previous();
        if begin.get() == 0 || begin > self.next_out {
            return Err(incorrect(7));
        }
        let all = end.get() == 0 || end.get() == self.version().infinite_seq_no();
        if !all && end < begin {
            return Err(incorrect(16));
        }
        let end = if all { last } else { end.min(last) };
        if begin <= end && !self.is_on_its_way(begin) {
            self.outputs.push(Output::Resend { begin, end });
        }
        Ok(())
    }

    /// Whether a request crossed what the Logon's NextExpectedMsgSeqNum(789) has brought about already: it
    /// begins where that does, and comes soon. A second one means it.
    fn is_on_its_way(&mut self, begin: MsgSeqNum) -> bool {
        let since = self.last_received_ns;
        let crossed = self.recovered.take_if(|recovered| recovered.begin == begin);
        crossed.is_some_and(|it| since.saturating_sub(it.logged_on_ns) < RESEND_RETRY_NS)
    }

    /// SequenceReset in its reset mode: the counterparty gives up on what is missing.
    fn sequence_reset(&mut self, now_ns: u64, message: &Message<'_>) -> Handled {
        if let Err(reject) = self.check(message) {
            self.send_reject(now_ns, message, &reject);
            return Handled::Consumed;
        }
        match self.new_seq_no(message) {
            Some(new_seq_no) => self.advance(new_seq_no),
            None => self.send_reject(now_ns, message, &Self::new_seq_no_fault()),
        }
        Handled::Consumed
    }

    /// SequenceReset-GapFill in sequence: the messages up to NewSeqNo(36) won't be sent again.
    fn gap_fill(&mut self, now_ns: u64, seq: MsgSeqNum, message: &Message<'_>) -> Handled {
        match self.new_seq_no(message).filter(|new_seq_no| *new_seq_no > seq) {
            Some(new_seq_no) => self.advance(new_seq_no),
            None => {
                self.advance(seq.next());
                self.send_reject(now_ns, message, &Self::new_seq_no_fault());
            }
        }
        Handled::Consumed
    }

    /// NewSeqNo(36), unless it would take the number back.
    fn new_seq_no(&self, message: &Message<'_>) -> Option<MsgSeqNum> {
        let new_seq_no = message.get(36).and_then(|value| MsgSeqNum::parse(value).ok())?;
        (new_seq_no >= self.next_in).then_some(new_seq_no)
    }

    /// The standard's test case 11.c names no tag.
    fn new_seq_no_fault() -> Reject {
        Reject::new(SessionRejectReason::ValueIncorrect, None)
    }

    /// Asks for what is missing from the expected number on, once per gap; again when what is sent in answer
    /// has a hole of its own, or nothing came for a while. A gap that the counterparty should fill by itself is
    /// asked for when it goes on without.
    fn ask_for_gap(&mut self, now_ns: u64, seq: MsgSeqNum, poss_dup: bool) {
        let (begin, mut through) = (self.next_in, seq);
        if let Some(gap) = &mut self.gap {
            gap.through = gap.through.max(seq);
            through = gap.through;
            let hole = poss_dup && gap.begin != begin;
            let stuck = now_ns.saturating_sub(gap.asked_ns) >= RESEND_RETRY_NS;
            let broken = gap.promised && !poss_dup;
            if !hole && !stuck && !broken {
                return;
            }
        }
        self.ask(now_ns, through);
    }

    /// Asks for all from the expected number on, or for the first part of what is missing up to `through`.
    fn ask(&mut self, now_ns: u64, through: MsgSeqNum) {
        let begin = self.next_in;
        let chunk = self.config.resend_request_chunk;
        let part_end = (chunk > 0).then(|| {
            // What is held doesn't have to come again.
            let last = if self.held.has(through) { through.previous() } else { through };
            last.min(MsgSeqNum::new(begin.get().saturating_add(chunk - 1)))
        });
        self.gap = Some(Gap { begin, promised: false, through, part_end, asked_ns: now_ns });
        let end = part_end.map_or(self.version().infinite_seq_no(), MsgSeqNum::get);
        self.request(now_ns, Request::resend_request(begin, end));
    }

    /// Expects another number; a gap is closed when everything known past it has come too, and a part of one
    /// that has come is followed by the next.
    fn advance(&mut self, next_in: MsgSeqNum) {
        debug_assert!(next_in >= self.next_in, "numbers fall only with a reset");
        self.next_in = next_in;
        self.held.forget_below(next_in);
        let Some(gap) = self.gap else { return };
        if next_in > gap.through {
            self.gap = None;
        } else if gap.part_end.is_some_and(|end| next_in > end) && !self.held.has(next_in) {
            self.ask(self.last_received_ns, gap.through);
        }
    }

    fn forget_gap(&mut self) {
        self.gap = None;
        self.held.clear();
    }

    // ---- time ----------------------------------------------------------------------------------------

    /// Silence that is answered: by a TestRequest after 1.2 intervals, by the end after 2.
    fn silence_ns(&self) -> u64 {
        let interval = self.heart_bt_int_ns;
        if self.test_requested {
            interval.saturating_mul(2)
        } else {
            interval.saturating_mul(6) / 5
        }
    }

    fn handle_silence(&mut self, now_ns: u64) {
        if now_ns >= self.last_received_ns.saturating_add(self.silence_ns()) {
            if self.test_requested {
                self.outputs.push(Output::LoggedOut);
                self.close(DisconnectReason::HeartbeatTimeout);
                return;
            }
            self.test_requested = true;
            self.request(now_ns, Request::test_request(now_ns));
        }
        if now_ns >= self.last_sent_ns.saturating_add(self.heart_bt_int_ns) {
            self.request(now_ns, Request::heartbeat(b""));
        }
    }

    // ---- helpers -------------------------------------------------------------------------------------

    fn enter(&mut self, state: State, now_ns: u64) {
        self.state = state;
        self.entered_ns = now_ns;
    }

    fn close(&mut self, reason: DisconnectReason) {
        self.state = State::Closing;
        self.forget_gap();
        self.outputs.push(Output::Disconnect(reason));
    }

    /// Logs out because of a fault and waits for the answer; nothing else the counterparty says counts.
    fn fault(&mut self, now_ns: u64, text: &str) {
        self.send_logout(now_ns, text);
        self.faulted = true;
        self.enter(State::AwaitingLogout, now_ns);
    }

    /// Logs out because of a fault that leaves nothing to wait for.
    fn end(&mut self, now_ns: u64, text: &str, reason: DisconnectReason) {
        self.end_with(now_ns, Request::logout(text), reason);
    }

    fn end_with(&mut self, now_ns: u64, logout: Request, reason: DisconnectReason) {
        self.request(now_ns, logout);
        self.outputs.push(Output::LoggedOut);
        self.close(reason);
    }

    fn refuse_low(&mut self, now_ns: u64, seq: MsgSeqNum) {
        self.request(now_ns, Request::logout_too_low(self.next_in, seq));
        if self.state != State::AwaitingLogon {
            self.outputs.push(Output::LoggedOut);
        }
        self.close(DisconnectReason::MsgSeqNumTooLow);
    }

    /// Both numbers start at 1; the outbound one when the driver gets there.
    fn reset(&mut self) {
        self.next_in = MsgSeqNum::FIRST;
        self.forget_gap();
        self.outputs.push(Output::ResetSequence);
    }

    /// Counts a message that is in sequence, whatever else is wrong with it.
    fn count(&mut self, message: &Message<'_>) {
        if message.msg_seq_num() == Some(self.next_in) {
            self.advance(self.next_in.next());
        }
    }

    fn comp_ids_match(&self, message: &Message<'_>) -> bool {
        message.sender_comp_id() == Some(self.config.target_comp_id.as_bytes())
            && message.target_comp_id() == Some(self.config.sender_comp_id.as_bytes())
    }

    fn sending_time_is_near(&self, now_ns: u64, message: &Message<'_>) -> bool {
        let near = |sent: u64| sent.abs_diff(now_ns) <= self.config.sending_time_tolerance_ns;
        message.sending_time_ns().is_some_and(near)
    }

    fn request(&mut self, now_ns: u64, request: Request) {
        self.last_sent_ns = now_ns;
        self.outputs.push(Output::Send(request));
    }

    fn send_logon(&mut self, now_ns: u64, reset: bool, next_expected: Option<MsgSeqNum>) {
        let request = Request::logon(self.dictionary, self.heart_bt_int(), reset, next_expected);
        self.request(now_ns, request);
    }

    fn send_logout(&mut self, now_ns: u64, text: &str) {
        self.request(now_ns, Request::logout(text));
    }

    fn send_reject(&mut self, now_ns: u64, message: &Message<'_>, reject: &Reject) {
        self.request(now_ns, Request::reject(self.dictionary, message, reject));
    }
}

/// The encoder of a session that speaks a version.
fn encoder(config: &SessionConfig, version: Version) -> Encoder {
    let time = TimestampText::new(version.precision(config.precision));
    Encoder::new(version, &config.sender_comp_id, &config.target_comp_id, time)
}

/// What a Logon says.
#[derive(Debug, Clone, Copy)]
struct Logon {
    /// HeartBtInt(108) in seconds.
    heart_bt_int: u64,
    /// ResetSeqNumFlag(141)
    reset: bool,
    /// NextExpectedMsgSeqNum(789)
    next_expected: Option<MsgSeqNum>,
    poss_dup: bool,
}
