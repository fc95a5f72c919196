//! The hotfix engine as initiator trades on a venue in FIX 4.4 and 4.2.
//!
//!     ironbook-interop-hotfix PATH_TO_IRONBOOK [PATH_TO_FIX42_XML]
//!
//! The engine checks every message of the venue against its dictionary and answers a bad one with a Reject:
//! there may be none. It keeps numbers and messages in files, loses its connection, and gets what it missed.
//! A wire of this program's own lies between the two ([`wire`]): what goes over it is looked at, waits or is
//! lost. Ends with the line 'N passed, 0 failed'.
//!
//! Where engine and standard differ:
//!
//! - Its Logon says NextExpectedMsgSeqNum(789), and then it asks by ResendRequest all the same for what its
//!   Logon has shown to be missing, and sends nothing by itself that the answer's 789 shows to be missing.
//!   The venue sends once what is asked for twice, and asks for what it misses with the next message.
//! - It says 789 in every version, and FIX has it from 4.4 on. In FIX 4.2 it can only log on with
//!   ResetSeqNumFlag(141), so that nothing can be missed there.
//! - The SequenceReset-GapFill of its resend has no PossDupFlag(43), and at the end it goes one number short:
//!   up to its last message, not past it.
//! - FIXT.1.1 is beyond it: its Logon has no DefaultApplVerID(1137), which is required.
//! - It knows which fields a message may have and what a group must have, not which fields a message must have.

mod client;
mod venue;
mod wire;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use hotfix_message::fix44;

use client::{Client, Field, Quantities, Version, raw, report};
use venue::Venue;
use wire::From;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// HeartBtInt(108) where silence is no matter, seconds.
const LONG: u64 = 60;

/// HeartBtInt(108) where silence is what is tried, seconds. Either end asks after 1.2 of them, and has given
/// the other up after 2.
const SHORT: u64 = 4;

/// Orders that are filled while their owner is away.
const MISSED: usize = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(passed) => {
            println!("{passed} passed, 0 failed");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<usize, Error> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let usage = "usage: ironbook-interop-hotfix PATH_TO_IRONBOOK [PATH_TO_FIX42_XML]";
    let binary = arguments.next().ok_or(usage)?;
    let fix44 = Version { begin_string: "FIX.4.4", dictionary: None };
    let fix42 =
        arguments.next().map(|path| Version { begin_string: "FIX.4.2", dictionary: Some(path) });

    let place = tempfile::tempdir()?;
    let files = place.path().join("engine");
    let mut venue = Venue::start(&binary, &place.path().join("journal")).await?;
    let mut passed = 0;
    let mut pass = |what: &str| {
        println!("{what}: passed");
        passed += 1;
    };

    let port = venue.port;
    let mut maker = Client::log_on(port, "TRADER1", &fix44, LONG, &files).await?;
    let mut taker = Client::log_on(port, "TRADER2", &fix44, LONG, &files).await?;
    let silent = silences(port, &fix44, &files);
    let ((), ()) = tokio::try_join!(trading(&fix44, &mut maker, &mut taker), silent)?;
    pass("FIX.4.4, trading");
    pass("FIX.4.4, heartbeats and test requests");
    cut_off(&mut maker, &mut taker).await?;
    pass("FIX.4.4, reports missed on a broken connection");
    away(&mut venue, &mut maker, &mut taker).await?;
    pass("FIX.4.4, reports missed by an engine and a venue that were gone");
    lost(&mut maker).await?;
    pass("FIX.4.4, an order lost on its way");
    maker.stop().await?;
    taker.stop().await?;
    maker.audit(2)?;
    taker.audit(0)?;

    if let Some(fix42) = &fix42 {
        let mut maker = Client::log_on(port, "TRADER5", fix42, LONG, &files).await?;
        let mut taker = Client::log_on(port, "TRADER6", fix42, LONG, &files).await?;
        trading(fix42, &mut maker, &mut taker).await?;
        maker.stop().await?;
        taker.stop().await?;
        maker.audit(0)?;
        taker.audit(0)?;
        pass("FIX.4.2, trading");
    }
    let status = venue.stop().await?;
    if !status.success() {
        return Err(format!("the venue does not stop in order: {status}").into());
    }
    Ok(passed)
}

/// A limit order.
async fn order(
    client: &mut Client,
    version: &Version,
    cl_ord_id: &str,
    side: &str,
    qty: &str,
    price: &str,
) -> Result<(), Error> {
    let mut fields = about(version, cl_ord_id, side);
    fields.extend([(fix44::ORDER_QTY, qty), (fix44::ORD_TYPE, "2"), (fix44::PRICE, price)]);
    client.send("D", &fields).await
}

/// What all requests about an order say.
fn about<'v>(version: &Version, cl_ord_id: &'v str, side: &'v str) -> Vec<(Field, &'v str)> {
    let mut fields = vec![
        (fix44::CL_ORD_ID, cl_ord_id),
        (fix44::SYMBOL, "AAPL"),
        (fix44::SIDE, side),
        (fix44::TRANSACT_TIME, "20240301-09:30:00"),
    ];
    // Required before FIX 4.4.
    fields.extend(version.is_fix42().then_some((fix44::HANDL_INST, "1")));
    fields
}

/// Two sessions trade; an order is replaced and canceled; and what is refused.
async fn trading(version: &Version, maker: &mut Client, taker: &mut Client) -> Result<(), Error> {
    // FIX 4.2 tells fills in part and whole ones apart in ExecType, too, and a replaced order in OrdStatus.
    let fix42 = version.is_fix42();
    let (part, whole) = if fix42 { ("1", "2") } else { ("F", "F") };
    let with = |mut fields: Vec<(Field, &'static str)>, more: &[(Field, &'static str)]| {
        fields.extend(more);
        fields
    };
    let last = |px, qty| [(fix44::LAST_PX, px), (fix44::LAST_QTY, qty)];

    order(maker, version, "s1", "2", "100", "189.50").await?;
    let new = maker.expect(&report("s1", "0", "0", Quantities("100", "0", "100", "0.00"))).await?;
    order(maker, version, "s2", "2", "150", "189.60").await?;
    maker.expect(&report("s2", "0", "0", Quantities("150", "0", "150", "0.00"))).await?;

    order(taker, version, "b1", "1", "200", "189.60").await?;
    taker.expect(&report("b1", "0", "0", Quantities("200", "0", "200", "0.00"))).await?;
    let fill = report("b1", part, "1", Quantities("200", "100", "100", "189.50"));
    taker.expect(&with(fill, &last("189.50", "100"))).await?;
    let fill = report("b1", whole, "2", Quantities("200", "200", "0", "189.55"));
    taker.expect(&with(fill, &last("189.60", "100"))).await?;

    let fill = report("s1", whole, "2", Quantities("100", "100", "0", "189.50"));
    let filled = maker.expect(&with(fill, &last("189.50", "100"))).await?;
    if raw(&filled, fix44::ORDER_ID) != raw(&new, fix44::ORDER_ID) {
        return Err(maker.failure("got another OrderID for the same order"));
    }
    let fill = report("s2", part, "1", Quantities("150", "100", "50", "189.60"));
    maker.expect(&with(fill, &last("189.60", "100"))).await?;

    let mut fields = about(version, "s3", "2");
    fields.push((fix44::ORIG_CL_ORD_ID, "s2"));
    fields.extend([(fix44::ORDER_QTY, "120"), (fix44::ORD_TYPE, "2"), (fix44::PRICE, "189.60")]);
    maker.send("G", &fields).await?;
    let replaced = report("s3", "5", "1", Quantities("120", "100", "20", "189.60"));
    maker.expect(&with(replaced, &[(fix44::ORIG_CL_ORD_ID, "s2")])).await?;

    cancel(maker, version, "c1", "s3").await?;
    let canceled = report("c1", "4", "4", Quantities("120", "100", "0", "189.60"));
    maker.expect(&with(canceled, &[(fix44::ORIG_CL_ORD_ID, "s3")])).await?;

    cancel(maker, version, "c2", "s3").await?;
    let too_late = [
        (fix44::MSG_TYPE, "9"),
        (fix44::CL_ORD_ID, "c2"),
        (fix44::ORIG_CL_ORD_ID, "s3"),
        (fix44::ORD_STATUS, "4"),
        (fix44::CXL_REJ_RESPONSE_TO, "1"),
        (fix44::CXL_REJ_REASON, "0"),
    ];
    maker.expect(&too_late).await?;
    cancel(maker, version, "c3", "nobody").await?;
    let unknown = [
        (fix44::MSG_TYPE, "9"),
        (fix44::CL_ORD_ID, "c3"),
        (fix44::ORIG_CL_ORD_ID, "nobody"),
        (fix44::ORDER_ID, "NONE"),
        (fix44::ORD_STATUS, "8"),
        (fix44::CXL_REJ_RESPONSE_TO, "1"),
        (fix44::CXL_REJ_REASON, "1"),
    ];
    maker.expect(&unknown).await?;

    order(maker, version, "r1", "1", "10", "189.505").await?;
    let refused = report("r1", "8", "8", Quantities("10", "0", "0", "0"));
    let rule = (fix44::TEXT, "price 189.505 is not a multiple of the tick 0.01");
    maker.expect(&with(refused, &[rule])).await?;
    Ok(())
}

async fn cancel(
    client: &mut Client,
    version: &Version,
    cl_ord_id: &str,
    orig: &str,
) -> Result<(), Error> {
    let mut fields = about(version, cl_ord_id, "2");
    fields.retain(|(field, _)| field.tag != fix44::HANDL_INST.tag);
    fields.push((fix44::ORIG_CL_ORD_ID, orig));
    client.send("F", &fields).await
}

/// Two sessions, of which one hears nothing from the venue and the other is not heard, each until the one who
/// hears nothing has asked.
async fn silences(venue: u16, version: &Version, files: &Path) -> Result<(), Error> {
    let mut deaf = Client::log_on(venue, "TRADER3", version, SHORT, files).await?;
    let mut mute = Client::log_on(venue, "TRADER4", version, SHORT, files).await?;
    let engine_asks = asked_in_silence(&mut deaf, version, From::Venue, From::Engine);
    let venue_asks = asked_in_silence(&mut mute, version, From::Engine, From::Venue);
    tokio::try_join!(engine_asks, venue_asks)?;
    Ok(())
}

/// What `silent` sends waits until the other has sent a TestRequest, which is answered.
async fn asked_in_silence(
    client: &mut Client,
    version: &Version,
    silent: From,
    other: From,
) -> Result<(), Error> {
    let wire = client.wire.clone();
    let place = wire.place();
    wire.hold(silent);
    let asked = wire.see(place, other, &[(35, "1")]).await?;
    let id = asked.get(112).ok_or_else(|| client.failure("TestReqID is missing"))?;
    wire.release();
    wire.see(place, silent, &[(35, "0"), (112, id)]).await?;
    // Both ends send Heartbeats by themselves.
    for from in [silent, other] {
        wire.see(place, from, &[(35, "0")]).await?;
    }
    order(client, version, "quiet", "1", "10", "1.00").await?;
    client.expect(&report("quiet", "0", "0", Quantities("10", "0", "10", "0.00"))).await?;
    client.stop().await?;
    client.audit(0)?;
    match wire.tally(From::Engine, &[(35, "A")]) {
        1 => Ok(()),
        logons => Err(client.failure(&format!("has logged on {logons} times"))),
    }
}

/// Names of the orders that are filled while their owner is away.
fn missed(run: &str) -> impl Iterator<Item = String> {
    (0..MISSED).map(move |number| format!("{run}{number}"))
}

const FIX44: Version = Version { begin_string: "FIX.4.4", dictionary: None };

/// Orders to sell that nobody has taken yet.
async fn rest(maker: &mut Client, run: &str) -> Result<(), Error> {
    for cl_ord_id in missed(run) {
        order(maker, &FIX44, &cl_ord_id, "2", "10", "190.00").await?;
        let new = report(&cl_ord_id, "0", "0", Quantities("10", "0", "10", "0.00"));
        maker.expect(&new).await?;
    }
    Ok(())
}

/// Takes them all.
async fn sweep(taker: &mut Client, run: &str) -> Result<(), Error> {
    let qty = (10 * MISSED).to_string();
    order(taker, &FIX44, run, "1", &qty, "190.00").await?;
    taker.expect(&[(fix44::CL_ORD_ID, run), (fix44::EXEC_TYPE, "0")]).await?;
    for left in (0..MISSED).rev() {
        let left = (10 * left).to_string();
        taker.expect(&[(fix44::EXEC_TYPE, "F"), (fix44::LEAVES_QTY, &left)]).await?;
    }
    Ok(())
}

/// The owner has them all, once, marked as sent again, and in order; then it goes on.
async fn caught_up(maker: &mut Client, run: &str) -> Result<(), Error> {
    for cl_ord_id in missed(run) {
        let mut fill = report(&cl_ord_id, "F", "2", Quantities("10", "10", "0", "190.00"));
        fill.extend([(fix44::LAST_PX, "190.00"), (fix44::LAST_QTY, "10")]);
        fill.push((fix44::POSS_DUP_FLAG, "Y"));
        let fill = maker.expect(&fill).await?;
        if raw(&fill, fix44::ORIG_SENDING_TIME).is_none() {
            return Err(maker.failure("got no OrigSendingTime"));
        }
    }
    let last = format!("{run}last");
    order(maker, &FIX44, &last, "2", "10", "300.00").await?;
    let new = maker.expect(&report(&last, "0", "0", Quantities("10", "0", "10", "0.00"))).await?;
    match raw(&new, fix44::POSS_DUP_FLAG) {
        None => Ok(()),
        Some(_) => Err(maker.failure("got something new as sent again")),
    }
}

/// Reports leave the venue and are lost with the connection. The engine comes back by itself, with its numbers.
async fn cut_off(maker: &mut Client, taker: &mut Client) -> Result<(), Error> {
    rest(maker, "cut").await?;
    let place = maker.wire.place();
    maker.wire.hold(From::Venue);
    sweep(taker, "cut").await?;
    let last = missed("cut").last().ok_or("nothing is missed")?;
    maker.wire.see(place, From::Venue, &[(35, "8"), (11, &last)]).await?;
    maker.wire.cut();
    caught_up(maker, "cut").await
}

/// The engine is logged out and gone, orders are filled, the venue dies. Both come back with their files.
async fn away(venue: &mut Venue, maker: &mut Client, taker: &mut Client) -> Result<(), Error> {
    rest(maker, "away").await?;
    maker.stop().await?;
    sweep(taker, "away").await?;
    taker.stop().await?;
    venue.die_and_come_back().await?;
    taker.start().await?;
    maker.start().await?;
    caught_up(maker, "away").await
}

/// An order leaves the engine and is lost with the connection. The Logon shows that there is something missing;
/// the engine waits to be asked, so the venue has to ask when the next order comes.
async fn lost(maker: &mut Client) -> Result<(), Error> {
    let place = maker.wire.place();
    maker.wire.hold(From::Engine);
    order(maker, &FIX44, "lost", "2", "10", "310.00").await?;
    maker.wire.see(place, From::Engine, &[(11, "lost")]).await?;
    maker.wire.cut();
    maker.wire.see(place, From::Venue, &[(35, "A")]).await?;
    maker.logged_on().await?;
    order(maker, &FIX44, "next", "2", "10", "310.00").await?;
    for cl_ord_id in ["lost", "next"] {
        maker.expect(&report(cl_ord_id, "0", "0", Quantities("10", "0", "10", "0.00"))).await?;
    }
    maker.wire.see(place, From::Engine, &[(11, "lost"), (43, "Y")]).await?;
    Ok(())
}
