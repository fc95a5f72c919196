//! `ironbook diff`: where two journals, or a journal and this program, first differ.

use std::path::{Path, PathBuf};

use ironbook_incident::difference::{Class, Comparison, compare, compute};

use crate::{
    indexed::Source,
    output::{Exit, Outcome, say},
};

/// Say where two journals first differ, or where this program first decides otherwise than a journal says.
///
/// Exit status: 0 they are the same, 1 they differ. Which program wrote a journal makes no difference.
/// With one directory every event is computed again, from the first frame, or from the oldest good snapshot
/// where the first segments are gone, so that it tells whether a new program can take over a journal. Of two
/// journals what both have is compared.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Directory of the other journal
    #[arg(value_name = "OTHER")]
    other: Option<PathBuf>,
    /// Times may differ: of frames, of the gateway, in messages
    #[arg(long, requires = "other")]
    ignore_times: bool,
    /// Frames before the difference to print
    #[arg(long, value_name = "N", default_value_t = 5)]
    context: usize,
}

pub fn run(arguments: &Arguments) -> Outcome {
    match &arguments.other {
        Some(other) => two_journals(arguments, other),
        None => this_program(arguments),
    }
}

fn two_journals(arguments: &Arguments, other: &Path) -> Outcome {
    let Arguments { source, ignore_times, context, .. } = arguments;
    let how = Comparison { ignore_times: *ignore_times, context: *context };
    let compared = compare([&source.dir, other], source.index.as_deref(), how, &mut |_| true)?;
    let (dir, other) = (source.dir.display(), other.display());
    if source.json {
        say!("{:#}", compared.json());
    } else {
        say!("A            {dir}\nB            {other}\n{compared}");
        match (&compared.difference, &compared.damage) {
            (_, Some(_)) => say!("\nNext: ironbook verify {dir}\n      ironbook verify {other}"),
            (Some(found), _) => {
                let pair = found.books.as_ref().unwrap_or(&found.first);
                let places = [(&pair.a, &dir), (&pair.b, &other)];
                let lines = places.iter().filter_map(|(shown, dir)| {
                    let sequence = shown.as_ref()?.sequence;
                    Some(format!("ironbook replay {dir} --at seq:{sequence}"))
                });
                let time = (found.class == Class::Time)
                    .then(|| format!("ironbook diff {dir} {other} --ignore-times"));
                let lines = time.into_iter().chain(lines);
                say!("\nNext: {}", lines.collect::<Vec<_>>().join("\n      "));
            }
            (None, None) => say!("\nNext: ironbook diff {dir}"),
        }
    }
    Ok(match (&compared.damage, &compared.difference) {
        (Some((_, error)), _) => Exit::of_play(error),
        (None, Some(_)) => Exit::Finding,
        (None, None) => Exit::Fine,
    })
}

fn this_program(arguments: &Arguments) -> Outcome {
    let Arguments { source, context, .. } = arguments;
    let computed = compute(&source.dir, *context, &mut |_| true)?;
    let dir = source.dir.display();
    if source.json {
        say!("{:#}", computed.json());
    } else {
        say!("Journal      {dir}\nProgram      {}\n{computed}", env!("CARGO_PKG_VERSION"));
        match &computed.divergence {
            Some(found) => {
                let from = found.sequence.saturating_sub(10).max(1);
                say!("\nNext: ironbook inspect {dir} --from {from}");
            }
            None => say!("\nNext: ironbook verify {dir}"),
        }
    }
    Ok(if computed.divergence.is_some() { Exit::Finding } else { Exit::Fine })
}
