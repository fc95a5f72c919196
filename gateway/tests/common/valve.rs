//! What stands between a client and a venue: it may change what the client says, and keep back what the venue says.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{Flaw, READ_BYTES, assemble, message_end};

/// What becomes of a connection behind the venue's first messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The others wait until the valve is opened.
    Hold,
    /// The client hears that there are none.
    Close,
}

/// A way to a venue; it ends with its connections when it is dropped.
pub struct Valve {
    address: SocketAddr,
    inside: Arc<Inside>,
}

struct Inside {
    venue: SocketAddr,
    /// Messages of the venue that pass on each connection.
    first: usize,
    then: Then,
    /// What a message of the client becomes, from MsgType on, with bars.
    edit: fn(&str) -> String,
    is_open: Mutex<bool>,
    opened: Condvar,
    has_ended: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Valve {
    /// Lets the first messages of the venue through on each connection.
    pub fn after(first: usize, then: Then, venue: SocketAddr) -> Self {
        Self::new(venue, (first, then), str::to_owned)
    }

    /// Changes what the client says.
    pub fn with_edit(venue: SocketAddr, edit: fn(&str) -> String) -> Self {
        Self::new(venue, (usize::MAX, Then::Hold), edit)
    }

    fn new(venue: SocketAddr, (first, then): (usize, Then), edit: fn(&str) -> String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let inside = Arc::new(Inside {
            venue,
            first,
            then,
            edit,
            is_open: Mutex::new(false),
            opened: Condvar::new(),
            has_ended: AtomicBool::new(false),
            streams: Mutex::default(),
        });
        let accepting = inside.clone();
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if accepting.has_ended.load(Ordering::SeqCst) {
                    break;
                }
                accepting.connect(client);
            }
        });
        Self { address, inside }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets through what was kept back, and all that comes.
    pub fn open(&self) {
        *self.inside.is_open.lock().expect("no thread panics") = true;
        self.inside.opened.notify_all();
    }
}

impl Drop for Valve {
    fn drop(&mut self) {
        self.inside.has_ended.store(true, Ordering::SeqCst);
        self.open();
        for stream in self.inside.streams.lock().expect("no thread panics").iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _ = TcpStream::connect(self.address);
    }
}

impl Inside {
    fn connect(self: &Arc<Self>, client: TcpStream) {
        let Ok(venue) = TcpStream::connect(self.venue) else { return };
        let same = |stream: &TcpStream| stream.try_clone().expect("a handle");
        self.streams.lock().expect("no thread panics").extend([same(&client), same(&venue)]);
        let (inside, from, to) = (self.clone(), same(&client), same(&venue));
        thread::spawn(move || pass(&from, &to, |message| Some(inside.edited(message))));
        let inside = self.clone();
        let mut count = 0;
        thread::spawn(move || {
            pass(&venue, &client, |message| {
                count += 1;
                (count <= inside.first || inside.lets_through()).then(|| message.to_vec())
            });
        });
    }

    fn edited(&self, message: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(message).replace('\u{1}', "|");
        let (begin, end) = (text.find("35=").unwrap_or(0), text.rfind("10=").unwrap_or(text.len()));
        let edited = (self.edit)(&text[begin..end]);
        if edited == text[begin..end] { message.to_vec() } else { assemble(&edited, Flaw::None) }
    }

    /// Waits until the rest may pass, if it may.
    fn lets_through(&self) -> bool {
        let is_open = self.is_open.lock().expect("no thread panics");
        self.then == Then::Hold
            && *self.opened.wait_while(is_open, |is_open| !*is_open).expect("no thread panics")
    }
}

/// Takes messages from one end to the other, as they are made into, until one is not or there are no more; then
/// the other end has heard all.
fn pass(mut from: &TcpStream, mut to: &TcpStream, mut make: impl FnMut(&[u8]) -> Option<Vec<u8>>) {
    let (mut input, mut bytes) = (Vec::new(), [0; READ_BYTES]);
    'reading: while let Ok(count @ 1..) = from.read(&mut bytes) {
        input.extend_from_slice(&bytes[..count]);
        while let Some(end) = message_end(&input) {
            let Some(message) = make(&input[..end]) else { break 'reading };
            if to.write_all(&message).is_err() {
                break 'reading;
            }
            input.drain(..end);
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
