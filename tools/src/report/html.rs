//! The page.

use std::fmt::Write as _;

use ironbook_incident::{
    book::BookView,
    question::{
        top::{Firsts, OperatorRow, Top},
        trades::Trades,
    },
    text::{hash, mib, utc},
};

use super::{Facts, heat};
use crate::{
    chart::{Axis, Line, Scale, draw, escape},
    output::grouped,
    page::{begin, figure},
};

/// Name of the axis that all charts share.
pub(super) const SECONDS: &str = "seconds from the beginning";

/// The whole page. `command` makes it again.
pub(super) fn page(facts: &Facts, command: &str) -> String {
    let mut out = begin("Ironbook report", "What happened");
    out.push_str("<style>pre{background:#f6f6f6;padding:.5em .8em;overflow-x:auto}</style>\n");
    what(&mut out, facts);
    findings(&mut out, facts);
    over_time(&mut out, facts);
    for depth in &facts.depths {
        book_over_time(&mut out, facts, depth);
    }
    moment(&mut out, facts);
    who(&mut out, facts);
    if let Some((percent, trades)) = &facts.away {
        away(&mut out, facts, *percent, trades);
    }
    out.push_str("<h2>Once more</h2>\n");
    commands(&mut out, &[command.to_owned()]);
    out.push_str("</html>\n");
    out
}

/// Commands that say more.
fn commands(out: &mut String, lines: &[String]) {
    let _ = writeln!(out, "<pre>{}</pre>", escape(&lines.join("\n")));
}

/// A table whose first column is text and the others numbers.
fn table<R: AsRef<[String]>>(out: &mut String, head: &[&str], rows: impl IntoIterator<Item = R>) {
    out.push_str("<table><tr>");
    for cell in head {
        let _ = write!(out, "<th>{}", escape(cell));
    }
    for row in rows {
        out.push_str("<tr>");
        for cell in row.as_ref() {
            let _ = write!(out, "<td>{}", escape(cell));
        }
    }
    out.push_str("</table>\n");
}

fn what(out: &mut String, facts: &Facts) {
    let verified = &facts.verified;
    let (from, to) = facts.times;
    let names = if facts.names.are_redacted() { "replaced by pseudonyms" } else { "as they are" };
    let rows = [
        ("Journal", facts.dir.clone()),
        ("Written by", facts.build.clone()),
        ("Read by", format!("ironbook {}", env!("CARGO_PKG_VERSION"))),
        ("Part", format!("sequence {} to {}", facts.span.first, facts.span.last)),
        ("From", utc(from)),
        ("To", utc(to)),
        ("Frames", grouped(facts.activity.frames)),
        ("Commands", grouped(facts.activity.commands)),
        ("State at its end", hash(facts.state_hash)),
        (
            "The whole journal",
            format!(
                "{} frames up to sequence {}, {}",
                grouped(verified.frames),
                grouped(verified.last_sequence),
                mib(verified.bytes)
            ),
        ),
        ("Its running hash", hash(verified.running_hash)),
        ("Names", names.to_owned()),
    ];
    table(out, &[], rows.map(|(what, found)| [what.to_owned(), found]));
    let (dir, last) = (&facts.dir, facts.span.last);
    commands(
        out,
        &[format!("ironbook verify {dir}"), format!("ironbook replay {dir} --until {last}")],
    );
}

fn findings(out: &mut String, facts: &Facts) {
    out.push_str("<h2>Findings and gaps</h2>\n");
    for finding in &facts.findings {
        let _ = writeln!(out, "<p class=\"warn\">{}</p>", escape(finding));
    }
    if facts.findings.is_empty() {
        out.push_str("<p>Every byte of the journal is as it was written.</p>\n");
    }
    let Top { trips, changes, operators, .. } = &facts.top;
    happenings(out, ("trips", trips), |row| {
        format!("tripped: {row} at sequence {}, {}", row.sequence, utc(row.time_ns))
    });
    happenings(out, ("changes of a status", changes), |(sequence, time_ns, symbol, status)| {
        let time = utc(*time_ns);
        format!("{symbol} is {status} from sequence {sequence} on, {time}")
    });
    happenings(out, ("actions of operators", operators), |(sequence, time_ns, row)| {
        let OperatorRow { action, target, name, reason, .. } = row;
        let time = utc(*time_ns);
        format!("operator {name}: {action} {target}: {reason}; at sequence {sequence}, {time}")
    });
    if facts.activity.gaps.is_empty() {
        out.push_str("<p>No second is without a frame.</p>\n");
    } else {
        let rows = facts.activity.gaps.iter().map(|gap| {
            let length = format!("{:.3}", gap.length_ns as f64 / 1e9);
            [utc(gap.time_ns), gap.sequence.to_string(), length]
        });
        table(out, &["nothing came after", "sequence", "seconds"], rows);
    }
    commands(out, &[format!("ironbook verify {}", facts.dir)]);
}

/// A line for each of the first ones, and how many more there are.
fn happenings<T>(out: &mut String, (name, of): (&str, &Firsts<T>), text: impl Fn(&T) -> String) {
    let more = (of.more > 0).then(|| format!("and {} more {name}", grouped(of.more)));
    for text in of.rows.iter().map(text).chain(more) {
        let _ = writeln!(out, "<p class=\"warn\">{}</p>", escape(&text));
    }
}

fn over_time(out: &mut String, facts: &Facts) {
    out.push_str("<h2>Over time</h2>\n");
    let activity = &facts.activity;
    let columns = activity.columns;
    let seconds = columns.width_ns as f64 / 1e9;
    let end = columns.seconds(columns.count);
    let x = Axis { name: SECONDS, scale: Scale::Between(0.0, end), mark: short };
    let y = Axis { name: "a second", scale: Scale::Linear, mark: short };
    let line = |name: &str, count: &dyn Fn(usize) -> u64| {
        let point = |column: usize| {
            let rate = count(column) as f64 / seconds;
            [(columns.seconds(column), rate), (columns.seconds(column + 1), rate)]
        };
        let points = (0..columns.count).flat_map(point).collect();
        Line { name: name.to_owned(), dashed: false, points }
    };
    let requests = line("requests", &|at| activity.rates[at].requests);
    let width = short(seconds);
    let caption = format!("Requests of clients a second, in parts of {width} s.");
    figure(out, draw("Requests a second", &x, &y, &[requests]), &caption);
    let rejects = line("rejects", &|at| activity.rates[at].rejects);
    let trades = line("trades", &|at| activity.rates[at].trades);
    let caption = "Trades and rejects a second, in the same parts.";
    figure(out, draw("Trades and rejects a second", &x, &y, &[trades, rejects]), caption);
    let rows = facts.top.seconds.iter().map(|(time_ns, row)| {
        let [requests, rejects, trades] = [row.requests, row.rejects, row.trades].map(grouped);
        [utc(*time_ns)[..19].to_owned() + "Z", requests, rejects, trades]
    });
    table(out, &["busiest seconds", "requests", "rejects", "trades"], rows);
    commands(out, &[part_of("top", facts)]);
}

/// A command about the part that the page is about.
fn part_of(command: &str, facts: &Facts) -> String {
    let (first, last) = (facts.span.first, facts.span.last);
    format!("ironbook {command} {} --from seq:{first} --to seq:{last}", facts.dir)
}

fn book_over_time(out: &mut String, facts: &Facts, depth: &ironbook_incident::picture::Depth) {
    let symbol = ironbook_incident::show::symbol(facts.names.engine(), depth.instrument);
    let _ = writeln!(out, "<h2>{} over time</h2>", escape(&symbol));
    let mut caption = format!(
        "What rests at each price (the darker the more: a shade is twice the one before), the best prices, \
         and trades: green where a buyer took, pink where a seller did; the larger the more. A column is {} s.",
        short(depth.columns.width_ns as f64 / 1e9)
    );
    if depth.outside > 0 {
        let _ = write!(
            caption,
            " {} trades lie outside of these prices; they are at the edge.",
            grouped(depth.outside)
        );
    }
    figure(out, heat::draw(&symbol, depth), &caption);
    let rows = facts.top.symbols.iter().filter(|row| row.symbol == symbol).map(|row| {
        let [first, low, high, last] = row.prices.clone();
        [row.symbol.clone(), grouped(row.trades), row.qty.clone(), first, low, high, last]
    });
    table(out, &["symbol", "trades", "qty", "first", "low", "high", "last"], rows);
    commands(out, &[format!("{} --symbol {symbol}", part_of("trades", facts))]);
}

fn moment(out: &mut String, facts: &Facts) {
    let moment = &facts.moment;
    let _ = writeln!(
        out,
        "<h2>At sequence {}</h2><p>{}</p>",
        grouped(moment.sequence),
        utc(moment.time_ns)
    );
    let lines = moment.entries.iter().map(|(sequence, text)| format!("{sequence:<10} {text}"));
    let _ = writeln!(out, "<pre>{}</pre>", escape(&lines.collect::<Vec<_>>().join("\n")));
    for book in &moment.books {
        ladder(out, book);
    }
    if moment.more_books > 0 {
        let _ =
            writeln!(out, "<p>{} more books have orders.</p>", grouped(moment.more_books as u64));
    }
    let (dir, at) = (&facts.dir, moment.sequence);
    commands(
        out,
        &[
            format!("ironbook replay {dir} --at seq:{at}"),
            format!("ironbook book {dir} --at seq:{at} --orders"),
        ],
    );
}

fn ladder(out: &mut String, book: &BookView) {
    let _ = writeln!(
        out,
        "<h3>{} ({}, {} live orders)</h3>",
        escape(&book.symbol),
        escape(&book.status),
        grouped(book.live_orders)
    );
    let rows = (0..book.bids.len().max(book.asks.len())).map(|row| {
        let cells = |level: Option<&ironbook_incident::book::LevelView>| {
            level.map_or_else(Default::default, |level| {
                [level.orders.to_string(), level.qty.clone(), level.price.clone()]
            })
        };
        let [orders, qty, bid]: [String; 3] = cells(book.bids.get(row));
        let [behind, amount, ask]: [String; 3] = cells(book.asks.get(row));
        [orders, qty, bid, ask, amount, behind]
    });
    table(out, &["orders", "qty", "bid", "ask", "qty", "orders"], rows);
}

fn who(out: &mut String, facts: &Facts) {
    out.push_str("<h2>Clients</h2>\n");
    let rows = facts.top.clients.iter().map(|row| {
        let [requests, rejects, fills] = [row.requests, row.rejects, row.fills].map(grouped);
        [facts.names.comp_id(&row.comp_id), requests, rejects, fills]
    });
    table(out, &["client", "requests", "rejects", "fills"], rows);
    let rows = facts
        .top
        .rules
        .iter()
        .map(|(rule, count, first)| [rule.clone(), grouped(*count), first.to_string()]);
    table(out, &["rule", "rejects", "first sequence"], rows);
    let rows = facts.top.trades.iter().map(|row| {
        let who = facts.names.comp_id(&row.comp_id);
        let cells = [row.qty.clone(), row.price.clone(), row.notional.clone(), who];
        let [qty, price, notional, who] = cells;
        [row.symbol.clone(), row.sequence.to_string(), qty, price, notional, who]
    });
    table(out, &["largest trades", "sequence", "qty", "price", "notional", "taken by"], rows);
    let mut lines = vec![format!("{} COMPID", part_of("client", facts))];
    if let Some((_, _, first)) = facts.top.rules.first() {
        lines.push(format!("ironbook why {} seq:{first}", facts.dir));
    }
    commands(out, &lines);
}

fn away(out: &mut String, facts: &Facts, percent: f64, trades: &Trades) {
    let _ = writeln!(
        out,
        "<h2>Trades {percent} % from the market</h2><p>{} trades, {} listed.</p>",
        grouped(trades.count),
        trades.trades.len()
    );
    let name = |comp_id: &str| facts.names.comp_id(comp_id);
    let rows = trades.trades.iter().map(|trade| {
        let mark = |took| if took { "*" } else { "" };
        let distance = trade.away.as_ref().map_or(String::new(), |(_, away)| format!("{away:+.2}"));
        [
            trade.trade_id.to_string(),
            trade.sequence.to_string(),
            trade.symbol.clone(),
            trade.qty.clone(),
            trade.price.clone(),
            distance,
            name(&trade.buyer.0) + mark(trade.buyer_took),
            name(&trade.seller.0) + mark(!trade.buyer_took),
        ]
    });
    let head = ["trade", "sequence", "symbol", "qty", "price", "%", "buyer", "seller"];
    table(out, &head, rows);
    let rows = trades.parties.iter().map(|party| {
        let sums = [&party.bought, &party.sold, &party.net, &party.cash].map(String::clone);
        let [bought, sold, net, cash] = sums;
        [name(&party.comp_id), party.symbol.clone(), bought, sold, net, cash]
    });
    table(out, &["party", "symbol", "bought", "sold", "net", "cash"], rows);
    commands(out, &[format!("{} --away {percent}", part_of("trades", facts))]);
}

/// A number with as many digits as it takes, and no noise of its binary form.
pub(super) fn short(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded.fract() == 0.0 && rounded.abs() >= 1_000.0 && rounded > 0.0 {
        grouped(rounded as u64)
    } else {
        format!("{rounded}")
    }
}
