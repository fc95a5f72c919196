//! `ironbook send`: one order from the command line.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use ironbook_fix::{
    field::Decimal,
    order::{NewOrderSingle, OrdType, Side, TimeInForce},
    report::{ExecType, ReportMessage},
};
use ironbook_gateway::{
    client::{Client, ClientError},
    clock::{Clock, SystemClock},
};

use crate::{
    access::AccessArguments,
    output::{Exit, Failure, Outcome, replay_of, say},
};

/// Send one order and print what becomes of it.
///
/// The session starts its sequence numbers at 1; the order stays in the book when the command ends, unless its
/// session cancels on disconnect.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// buy or sell
    side: SideArgument,
    /// Quantity
    qty: String,
    /// Symbol
    symbol: String,
    /// Limit price; without it, a market order
    price: Option<String>,
    /// How long it stays
    #[arg(long, value_enum, default_value_t = TifArgument::Day)]
    tif: TifArgument,
    /// Account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Comp id to log on as
    #[arg(long = "as", value_name = "COMP_ID", default_value = "TRADER1")]
    comp_id: String,
    /// Comp id of the venue
    #[arg(long, value_name = "COMP_ID", default_value = "IRONBOOK")]
    venue: String,
    /// Address of the venue
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9878")]
    fix: SocketAddr,
    /// Milliseconds to wait for further reports after the first
    #[arg(long, value_name = "MS", default_value_t = 200)]
    wait_ms: u64,
    #[command(flatten)]
    access: AccessArguments,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SideArgument {
    Buy,
    Sell,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum TifArgument {
    Day,
    Gtc,
    Ioc,
    Fok,
}

/// Longest wait for an answer of the venue.
const ANSWER_MAX: Duration = Duration::from_secs(5);

pub fn run(arguments: &Arguments) -> Outcome {
    let qty = decimal("quantity", &arguments.qty)?;
    let price = arguments.price.as_deref().map(|price| decimal("price", price)).transpose()?;
    let Arguments { fix, comp_id, venue, .. } = arguments;
    let access = arguments.access.access(*fix)?;
    let mut client = Client::log_on(*fix, comp_id, venue, &access, ANSWER_MAX)?;
    let now = SystemClock.now().0;
    let cl_ord_id = format!("send-{now}");
    let side = match arguments.side {
        SideArgument::Buy => Side::Buy,
        SideArgument::Sell => Side::Sell,
    };
    let (id, symbol) = (cl_ord_id.as_bytes(), arguments.symbol.as_bytes());
    let limit = NewOrderSingle::limit(id, symbol, side, qty, price.unwrap_or_default(), now);
    let order = NewOrderSingle {
        account: arguments.account.as_deref().map(str::as_bytes),
        ord_type: if price.is_some() { OrdType::Limit } else { OrdType::Market },
        price,
        time_in_force: match arguments.tif {
            TifArgument::Day => TimeInForce::Day,
            TifArgument::Gtc => TimeInForce::GoodTillCancel,
            TifArgument::Ioc => TimeInForce::ImmediateOrCancel,
            TifArgument::Fok => TimeInForce::FillOrKill,
        },
        ..limit
    };
    client.queue(&order, now);
    client.flush()?;
    let exit = print_reports(&mut client, Duration::from_millis(arguments.wait_ms))?;
    client.log_out(ANSWER_MAX)?;
    say!("\nNext: {}", replay_of(*fix, ""));
    Ok(exit)
}

fn decimal(name: &str, text: &str) -> Result<Decimal, Failure> {
    Decimal::parse(text.as_bytes()).map_err(|_| {
        Failure::new(Exit::Usage, format!("{name} {text:?} is not a decimal number such as 189.50"))
    })
}

/// Prints reports until none came for `quiet`; a reject makes the command fail.
fn print_reports(client: &mut Client, quiet: Duration) -> Result<Exit, Failure> {
    let mut exit = Exit::Fine;
    let mut seen = false;
    let mut last = Instant::now();
    loop {
        let count = client.poll(|message| {
            seen = true;
            if let Ok(report) = ReportMessage::parse(message)
                && print_report(&report)
            {
                exit = Exit::Finding;
            }
        })?;
        client.keep_alive(SystemClock.now().0)?;
        if count > 0 {
            last = Instant::now();
        } else if last.elapsed() > if seen { quiet } else { ANSWER_MAX } {
            break;
        } else {
            std::thread::yield_now();
        }
    }
    if seen { Ok(exit) } else { Err(ClientError::Timeout(ANSWER_MAX).into()) }
}

/// Prints a report; true when it says no.
fn print_report(report: &ReportMessage<'_>) -> bool {
    let text =
        |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    match report {
        ReportMessage::Execution(report) => {
            let refused = report.exec_type == ExecType::Rejected;
            let mut line = format!("{:?}, order {}", report.exec_type, text(Some(report.order_id)));
            if let (Some(qty), Some(price)) = (report.last_qty, report.last_px) {
                line += &format!(": {} at {}", shown(qty), shown(price));
            }
            line += &format!(
                "; status {:?}, done {}, left {}",
                report.ord_status,
                shown(report.cum_qty),
                shown(report.leaves_qty)
            );
            if report.text.is_some() {
                line += &format!(" ({})", text(report.text));
            }
            say!("{line}");
            refused
        }
        ReportMessage::BusinessReject(reject) => {
            say!("Refused: {}", text(reject.text));
            true
        }
        ReportMessage::SessionReject(reject) => {
            say!("Refused by the session: {}", text(reject.text));
            true
        }
        ReportMessage::CancelReject(reject) => {
            say!("Refused: {}", text(reject.text));
            true
        }
        ReportMessage::MassCancel(_) => false,
    }
}

fn shown(decimal: Decimal) -> String {
    crate::output::decimal(decimal.mantissa.unsigned_abs().into(), decimal.scale)
}
