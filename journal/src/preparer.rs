//! The helper thread that keeps segments ready ahead of the writer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::map::Map;
use crate::segment;
use crate::shared::Shared;

/// How often it looks for work. Waking it from the writer would cost the writer a system call.
const POLL: Duration = Duration::from_millis(1);
const RETRY: Duration = Duration::from_secs(1);

pub(crate) fn start(shared: Arc<Shared>, ahead: u64) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("journal-prepare".into()).spawn(move || run(&shared, ahead))
}

fn run(shared: &Shared, ahead: u64) {
    while !shared.stop_preparer.load(Ordering::Acquire) {
        if shared.prepared() > shared.current() + ahead {
            shared.prune();
            thread::park_timeout(POLL);
        } else {
            prepare_next(shared);
        }
    }
}

fn prepare_next(shared: &Shared) {
    let index = shared.prepared();
    match prepare(shared, index) {
        Ok(map) => {
            shared.add_prepared(map);
            shared.preparer_status.clear();
        }
        Err(error) => {
            let dir = shared.dir.display();
            shared
                .preparer_status
                .fail(format!("segment {index} can't be prepared in {dir}: {error}"));
            thread::park_timeout(RETRY);
        }
    }
}

/// Recovery leaves only zeros behind the tail, so a segment that exists is taken unless it is short.
fn prepare(shared: &Shared, index: u64) -> io::Result<Map> {
    let file = match segment::open_writable(&shared.dir, index) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            segment::create(&shared.dir, index, shared.segment_bytes)?
        }
        Ok(file) if file.metadata()?.len() != shared.segment_bytes => {
            segment::create(&shared.dir, index, shared.segment_bytes)?
        }
        opened => opened?,
    };
    segment::map_prepared(&file, shared.segment_bytes)
}
