//! What lies between engine and venue: passes bytes on, writes down every message, and can do to them what
//! networks do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use hotfix::message::parser::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::{Error, PATIENCE};

/// Who has sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    Engine,
    Venue,
}

/// A message on its way.
#[derive(Debug, Clone)]
pub struct Seen {
    pub from: From,
    /// With `|` as separator.
    pub text: String,
}

impl Seen {
    /// The first value of a field.
    pub fn get(&self, tag: u32) -> Option<&str> {
        let fields = self.text.split('|').filter_map(|field| field.split_once('='));
        fields.into_iter().find(|(name, _)| name.parse() == Ok(tag)).map(|(_, value)| value)
    }

    /// Whether it is a message of `from` with these fields.
    pub fn is(&self, from: From, fields: &[(u32, &str)]) -> bool {
        self.from == from && fields.iter().all(|(tag, value)| self.get(*tag) == Some(value))
    }
}

/// What is done to the bytes; changes at once.
#[derive(Debug, Clone, Copy, Default)]
struct Rule {
    /// Bytes of the engine, of the venue, wait.
    held: [bool; 2],
    /// Connections of before the last cut end, with what waits.
    cuts: usize,
}

/// The wire of one session.
#[derive(Clone)]
pub struct Wire {
    /// Where the engine connects to.
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    count: watch::Sender<usize>,
    rule: watch::Sender<Rule>,
}

impl Wire {
    /// A wire to a port of 127.0.0.1.
    pub async fn to(venue: u16) -> Result<Self, Error> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let wire = Self {
            port: listener.local_addr()?.port(),
            seen: Arc::default(),
            count: watch::Sender::new(0),
            rule: watch::Sender::new(Rule::default()),
        };
        let serving = wire.clone();
        tokio::spawn(async move {
            while let Ok((engine, _)) = listener.accept().await {
                // A venue that is dead is a connection that ends.
                let address = SocketAddr::from(([127, 0, 0, 1], venue));
                if let Ok(venue) = TcpStream::connect(address).await {
                    serving.carry(engine, venue);
                }
            }
        });
        Ok(wire)
    }

    fn carry(&self, engine: TcpStream, venue: TcpStream) {
        let _ = (engine.set_nodelay(true), venue.set_nodelay(true));
        let (from_engine, to_engine) = engine.into_split();
        let (from_venue, to_venue) = venue.into_split();
        tokio::spawn(self.clone().pass(From::Engine, from_engine, to_venue));
        tokio::spawn(self.clone().pass(From::Venue, from_venue, to_engine));
    }

    /// One direction of a connection, until either end or a cut ends it.
    async fn pass(self, from: From, mut source: OwnedReadHalf, mut sink: OwnedWriteHalf) {
        let mut rule = self.rule.subscribe();
        let born = rule.borrow_and_update().cuts;
        let (mut parser, mut waiting, mut buffer) = (Parser::default(), Vec::new(), [0; 65536]);
        loop {
            let Rule { held, cuts } = *rule.borrow_and_update();
            if cuts > born {
                return;
            }
            if !held[from as usize] && !waiting.is_empty() {
                if sink.write_all(&waiting).await.is_err() {
                    return;
                }
                waiting.clear();
            }
            tokio::select! {
                changed = rule.changed() => if changed.is_err() { return },
                read = source.read(&mut buffer) => match read {
                    Ok(length) if length > 0 => {
                        waiting.extend_from_slice(&buffer[..length]);
                        let messages = parser.parse(&buffer[..length]);
                        self.note(messages.iter().map(|it| Seen { from, text: it.to_string() }));
                    }
                    _ => return,
                },
            }
        }
    }

    fn note(&self, messages: impl Iterator<Item = Seen>) {
        let mut seen = self.seen();
        seen.extend(messages);
        self.count.send_replace(seen.len());
    }

    /// All messages so far.
    pub fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().expect("nobody panics while he holds it")
    }

    /// How many messages went by: a place to look from.
    pub fn place(&self) -> usize {
        self.seen().len()
    }

    /// The first message from `place` on of `from` with these fields; waits for it.
    pub async fn see(
        &self,
        place: usize,
        from: From,
        fields: &[(u32, &str)],
    ) -> Result<Seen, Error> {
        let mut count = self.count.subscribe();
        let look = async {
            loop {
                count.borrow_and_update();
                let found = self.seen()[place..].iter().find(|seen| seen.is(from, fields)).cloned();
                if let Some(found) = found {
                    return found;
                }
                count.changed().await.expect("the wire has its own sender");
            }
        };
        let late = |_| format!("{from:?} sends no message with {fields:?}");
        Ok(timeout(PATIENCE, look).await.map_err(late)?)
    }

    /// How many messages of `from` with these fields went by.
    pub fn tally(&self, from: From, fields: &[(u32, &str)]) -> usize {
        self.seen().iter().filter(|seen| seen.is(from, fields)).count()
    }

    /// What `from` sends waits from now on.
    pub fn hold(&self, from: From) {
        self.rule.send_modify(|rule| rule.held[from as usize] = true);
    }

    /// All goes on, with what has waited, if its connection is there.
    pub fn release(&self) {
        self.rule.send_modify(|rule| rule.held = [false; 2]);
    }

    /// Breaks the connection; what waits is lost.
    pub fn cut(&self) {
        self.rule.send_modify(|rule| *rule = Rule { held: [false; 2], cuts: rule.cuts + 1 });
    }
}
