//! Many sessions at once: whether all are served alike, and what those cost that say nothing.
//!
//! Open loop: requests are meant to be sent at an even pace, by one session after the other, and each counts
//! from the time it was meant to be sent. One thread is all clients; it looks only at sessions that wait for an
//! answer.

use std::{
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use ironbook_fix::{
    field::Decimal,
    order::{NewOrderSingle, Side},
};
use ironbook_gateway::{
    client::{Access, Client, ClientError},
    clock::{Clock, SystemClock},
    config::{Config, SessionConfig},
    venue::Venue,
};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    distance::{self, MeasureError, NEAR_CPU, pin},
    workload::RequestId,
};

/// Longest wait for a Logon, the next answer of all, or the end of a session.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A venue for measuring that so many sessions may log on to.
///
/// # Errors
/// When the venue does not start.
pub fn venue(dir: &Path, sessions: usize) -> Result<Venue, MeasureError> {
    let base = distance::config(dir);
    let template = Config::default().sessions[0].clone();
    let session = |number| SessionConfig { comp_id: comp_id(number), ..template.clone() };
    let mut config = Config { sessions: (0..sessions).map(session).collect(), ..base };
    config.fix.connections_max = sessions;
    config.fix.connections_per_address_max = sessions;
    config.engine.sessions_max = config.engine.sessions_max.max(sessions as u32);
    distance::ready_venue(&config, false)
}

fn comp_id(number: usize) -> String {
    format!("C{number}")
}

/// Sessions that are logged on.
pub struct Crowd {
    clients: Vec<Client>,
    /// Requests sent so far: no ClOrdID comes twice.
    requests: u64,
}

/// How long the answers to each session took.
#[derive(Clone, Debug)]
pub struct Served {
    /// Nanoseconds from the intended time of a request to its first report, by session, ascending.
    latencies: Vec<Vec<u64>>,
}

impl Crowd {
    /// Logs all sessions of a venue on.
    ///
    /// # Errors
    /// When the venue refuses one.
    pub fn log_on(address: SocketAddr, sessions: usize) -> Result<Self, MeasureError> {
        pin(NEAR_CPU);
        let log_on = |number| {
            let comp_id = comp_id(number);
            Client::log_on(address, &comp_id, "IRONBOOK", &Access::default(), ANSWER_MAX)
        };
        let clients = (0..sessions).map(log_on).collect::<Result<_, _>>()?;
        Ok(Self { clients, requests: 0 })
    }

    /// Sends orders that rest, so many by each session and in all so many a second, and waits for the answers.
    ///
    /// # Errors
    /// When a session ends, or no answer comes any more.
    pub fn send(&mut self, each: usize, per_second: f64) -> Result<Served, MeasureError> {
        let sessions = self.clients.len();
        let (start, step_ns) = (Instant::now(), 1e9 / per_second);
        let intended = |request: usize| Duration::from_nanos((request as f64 * step_ns) as u64);
        let mut served = Served { latencies: vec![Vec::with_capacity(each); sessions] };
        // Requests that wait for their answers, the oldest first.
        let mut waiting: Vec<(usize, RequestId)> = Vec::new();
        let (mut sent, mut heard) = (0, Duration::ZERO);
        while sent < sessions * each || !waiting.is_empty() {
            while sent < sessions * each && intended(sent) <= start.elapsed() {
                let id = self.order(sent % sessions)?;
                waiting.push((sent, id));
                sent += 1;
            }
            let mut at = 0;
            while let Some((request, _)) = waiting.get(at) {
                let session = request % sessions;
                // What comes may answer several requests of the session.
                let mut answered = Vec::new();
                self.clients[session].poll(|message| {
                    let is_it =
                        |(_, id): &(usize, RequestId)| message.get(11) == Some(id.as_bytes());
                    answered.extend(waiting.iter().position(is_it));
                })?;
                let now = start.elapsed();
                if !answered.is_empty() {
                    heard = now;
                } else if now > heard + ANSWER_MAX {
                    return Err(ClientError::Timeout(ANSWER_MAX).into());
                }
                answered.sort_unstable();
                for place in answered.into_iter().rev() {
                    let (request, _) = waiting.remove(place);
                    let latency = now.saturating_sub(intended(request));
                    served.latencies[session].push(latency.as_nanos() as u64);
                }
                at += 1;
            }
        }
        served.latencies.iter_mut().for_each(|of| of.sort_unstable());
        Ok(served)
    }

    /// Sends an order of a session; gives its ClOrdID.
    fn order(&mut self, session: usize) -> Result<RequestId, MeasureError> {
        let id = RequestId::new(b"crowd-", self.requests);
        let price = Decimal::new(10_000 + (self.requests % 50) as i64, 2);
        self.requests += 1;
        let now = SystemClock.now().0;
        let qty = Decimal::new(100, 0);
        let order = NewOrderSingle::limit(id.as_bytes(), b"AAPL", Side::Buy, qty, price, now);
        self.clients[session].queue(&order, now);
        self.clients[session].flush()?;
        Ok(id)
    }

    /// Logs all out.
    ///
    /// # Errors
    /// When the venue does not answer one.
    pub fn log_out(self) -> Result<(), MeasureError> {
        for client in self.clients {
            client.log_out(ANSWER_MAX)?;
        }
        Ok(())
    }
}

/// Processor time of this process, venue included, for each second in which nobody says anything.
pub fn idle_cost(wait: Duration) -> f64 {
    let spent = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let before = spent();
    thread::sleep(wait);
    (spent() - before) / wait.as_secs_f64()
}

impl Served {
    /// Answers in all.
    pub fn answers(&self) -> usize {
        self.latencies.iter().map(Vec::len).sum()
    }

    /// A quantile of the latency of each session, ns, in their order.
    pub fn of_sessions(&self, quantile: f64) -> Vec<u64> {
        self.latencies.iter().map(|of| at(of, quantile)).collect()
    }

    /// A quantile of the latency of all requests, ns.
    pub fn of_all(&self, quantile: f64) -> u64 {
        let mut all = self.latencies.concat();
        all.sort_unstable();
        at(&all, quantile)
    }
}

/// Of each session the median over rounds of a quantile of its latency, ns, ascending.
pub fn medians_of_sessions(rounds: &[Served], quantile: f64) -> Vec<u64> {
    let found: Vec<_> = rounds.iter().map(|round| round.of_sessions(quantile)).collect();
    let sessions = found.iter().map(Vec::len).min().unwrap_or_default();
    let median_of = |session: usize| median(found.iter().map(|round| round[session]).collect());
    let mut medians: Vec<_> = (0..sessions).map(median_of).collect();
    medians.sort_unstable();
    medians
}

/// The median of values in any order, the lower one of two; 0 of none.
pub fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    at(&values, 0.5)
}

/// A quantile of values in ascending order; 0 of none.
pub fn at(sorted: &[u64], quantile: f64) -> u64 {
    let index = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted.get(index.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_each_session_and_of_all() {
        let served = Served { latencies: vec![(1..=100).collect(), vec![7; 100], vec![]] };
        assert_eq!(served.answers(), 200);
        assert_eq!(served.of_sessions(0.99), [99, 7, 0]);
        assert_eq!(served.of_sessions(0.5), [50, 7, 0]);
        assert_eq!((served.of_all(0.5), served.of_all(1.0)), (7, 100));
    }

    #[test]
    fn a_pause_that_hits_a_session_in_one_round_of_three_is_not_its_median() {
        let round =
            |latencies: [u64; 2]| Served { latencies: latencies.map(|of| vec![of]).to_vec() };
        let rounds = [round([5, 9]), round([80, 8]), round([6, 90])];
        assert_eq!(medians_of_sessions(&rounds, 0.99), [6, 9]);
        // One that is always late stays so.
        assert_eq!(medians_of_sessions(&[round([80, 9]), round([70, 9])], 0.99), [9, 70]);
        assert!(medians_of_sessions(&[], 0.99).is_empty());
    }
}
