//! A directory in memory that crashes and fails on demand: for simulations and tests.
//!
//! It keeps each file twice, as the page cache has it and as the disk has it, and the names twice
//! as well. What lies between the two at a crash is decided by the seed, so a run is repeated by
//! its seed to the byte. The disk takes sectors of 512 bytes whole or not at all, in any sequence; what
//! the kernel writes by itself it may have read while the sector was stored to, so that its end is older.
//!
//! What it does not do: fail a read through a map, which would be a SIGBUS, and tell stores apart
//! that leave the bytes as they were.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;

use crate::format::SECTOR_BYTES;
use crate::map::{Map, Memory, PAGE_BYTES, SimulatedPages, check_len};
use crate::scan::is_zero;
use crate::storage::{Blocks, Lock, LockError, Storage};

/// What the lock's holder says about itself.
const HOLDER: &str = "simulated";
/// Of a [`FaultRates`] value: always.
const ALWAYS: u32 = 1_000;

/// How a simulated life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process is killed. The page cache survives, and goes on to be written by and by.
    ProcessDeath,
    /// The power is cut. Every sector that was not synced is as it was on the disk or as the page
    /// cache had it, each by itself; so is every name.
    PowerLoss,
}

/// What can be made to fail once: see [`SimulatedStorage::fail_next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A sync fails with EIO. Some of the sectors reach the disk, and the kernel takes all of them
    /// for written: they are only synced again when they are stored to again.
    Sync,
    /// A read fails with EIO.
    Read,
    /// An allocation fails with ENOSPC.
    Allocation,
    /// A write fails with EIO after some of its pages.
    Write,
}

/// How often operations fail by themselves, in thousandths; and which storage it is altogether.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultRates {
    /// [`Fault::Sync`].
    pub sync: u32,
    /// [`Fault::Read`].
    pub read: u32,
    /// [`Fault::Allocation`].
    pub allocation: u32,
    /// [`Fault::Write`].
    pub write: u32,
    /// The file system is mounted read-only: everything that changes it fails with EROFS.
    pub read_only: bool,
    /// Syncs return `Ok` and do nothing. A journal can't be right on such a disk: this is for
    /// showing that a simulation would notice.
    pub lies_about_sync: bool,
}

/// A handle to a simulated directory in one of its lives. A crash ends the life for all handles and
/// maps, and [`crash`](Self::crash) returns a handle to the next.
///
/// To be used from one thread, with [`open_stepped`](crate::open_stepped).
#[derive(Clone)]
pub struct SimulatedStorage {
    disk: Arc<Mutex<Disk>>,
    life: u64,
    dir: PathBuf,
}

impl SimulatedStorage {
    /// An empty directory on a disk without bounds and faults.
    pub fn new(seed: u64) -> SimulatedStorage {
        let disk = Disk {
            random: Random(seed),
            life: 0,
            operations_left: None,
            rates: FaultRates::default(),
            next: BTreeMap::new(),
            capacity: None,
            clock_ns: 0,
            locked: false,
            files: BTreeMap::new(),
            files_created: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
        };
        SimulatedStorage { disk: Arc::new(Mutex::new(disk)), life: 0, dir: "simulated".into() }
    }

    /// Ends this life. Handles and maps of it refuse everything from now on, and what is stored
    /// through such a map is lost. Faults stay as they are set; what
    /// [`stop_after`](Self::stop_after) stopped goes on.
    ///
    /// # Panics
    /// When the life of this handle has ended before.
    pub fn crash(&self, kind: Crash) -> SimulatedStorage {
        let mut disk = self.disk();
        assert!(disk.life == self.life, "this life has ended before");
        disk.crash(kind);
        SimulatedStorage { disk: self.disk.clone(), life: disk.life, dir: self.dir.clone() }
    }

    /// After `operations` more that change something this life is at its end: all that follow
    /// fail, until [`crash`](Self::crash) says what kind of end it was.
    pub fn stop_after(&self, operations: u64) {
        self.disk().operations_left = Some(operations + 1);
    }

    /// Whether [`stop_after`](Self::stop_after) has come true.
    pub fn is_stopped(&self) -> bool {
        self.disk().operations_left == Some(0)
    }

    /// How often operations fail from now on.
    pub fn set_fault_rates(&self, rates: FaultRates) {
        self.disk().rates = rates;
    }

    /// The next operation of this kind fails, or as many as this is called.
    pub fn fail_next(&self, fault: Fault) {
        *self.disk().next.entry(fault).or_default() += 1;
    }

    /// Bytes that all files together can have; `None`: no bound.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk().capacity = bytes;
    }

    /// What [`Storage::wall_clock_ns`] returns; 0 at first.
    pub fn set_clock_ns(&self, now_ns: u64) {
        self.disk().clock_ns = now_ns;
    }

    /// The kernel writes some of the dirty sectors to the disk, as it may at any time.
    pub fn write_back(&self) {
        let disk = &mut *self.disk();
        for file in disk.files.values_mut() {
            file.reach_disk(0, file.len, &mut disk.random.half_written());
        }
    }

    /// Flips bits of a byte on the disk. It shows after the next power loss: until then the page
    /// cache hides it.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn flip(&self, name: &str, offset: u64, mask: u8) {
        let mut disk = self.disk();
        let id = disk.names[name];
        disk.file(id).flips.push((offset as usize, mask));
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk, for an operation that changes nothing.
    fn look(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.disk();
        if disk.life != self.life {
            return Err(io::Error::other("this simulated life has ended"));
        }
        if disk.operations_left == Some(0) {
            return Err(stopped());
        }
        Ok(disk)
    }

    /// The disk, for an operation that changes it.
    fn change(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let mut disk = self.look()?;
        if disk.rates.read_only {
            return Err(Errno::ROFS.into());
        }
        if let Some(left) = &mut disk.operations_left {
            *left -= 1;
            if *left == 0 {
                return Err(stopped());
            }
        }
        Ok(disk)
    }

    fn map(&self, name: &str, len: usize, writable: bool) -> io::Result<Map> {
        let mut disk = self.look()?;
        let id = disk.find(name)?;
        let file = disk.file(id);
        check_len(file.len as u64, len)?;
        let pages = Pages { storage: self.clone(), file: id };
        Ok(Map::simulated(file.cached.clone(), len, Arc::new(pages), writable))
    }

    fn create_file(&self, name: &str, len: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.change()?;
        disk.allocate(name, len)?;
        let file = File::new(len as usize)?;
        let result = disk.write(&file.cached, 0, bytes);
        disk.files_created += 1;
        let id = disk.files_created;
        disk.files.insert(id, file);
        disk.rename(NameChange::Created(name.into(), id));
        result
    }
}

impl Storage for SimulatedStorage {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn lock(&self) -> Result<Lock, LockError> {
        let mut disk = self.look().map_err(LockError::Failed)?;
        if disk.rates.read_only {
            return Err(LockError::NotWritable(Errno::ROFS.into()));
        }
        if disk.locked {
            return Err(LockError::Held { holder: HOLDER.into() });
        }
        disk.locked = true;
        Ok(Lock::new(Locked(self.clone())))
    }

    fn lock_holder(&self) -> Option<String> {
        self.look().is_ok_and(|disk| disk.locked).then(|| HOLDER.into())
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.look()?.rates.read_only {
            true => Err(Errno::ROFS.into()),
            false => Ok(()),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.look()?.names.keys().cloned().collect())
    }

    fn file_len(&self, name: &str) -> io::Result<u64> {
        let mut disk = self.look()?;
        let id = disk.find(name)?;
        Ok(disk.file(id).len as u64)
    }

    fn read_at(&self, name: &str, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.look()?;
        let id = disk.find(name)?;
        if disk.fails(Fault::Read) {
            return Err(Errno::IO.into());
        }
        let file = disk.file(id);
        let offset = file.len.min(offset as usize);
        let read = buffer.len().min(file.len - offset);
        file.cached.read(offset, &mut buffer[..read]);
        Ok(read)
    }

    fn write_all_at(&self, name: &str, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.change()?;
        let id = disk.find(name)?;
        let (offset, len) = (offset as usize, disk.file(id).len);
        assert!(offset + bytes.len() <= len, "no write of the journal makes a file longer");
        let cached = disk.file(id).cached.clone();
        disk.write(&cached, offset, bytes)?;
        disk.file(id).store(offset, offset + bytes.len());
        Ok(())
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.create_file(name, bytes.len() as u64, bytes)
    }

    fn create_zeros(&self, name: &str, len: u64, _: Blocks, _: Duration) -> io::Result<()> {
        self.create_file(name, len, &[])
    }

    fn set_len(&self, name: &str, len: u64) -> io::Result<()> {
        let mut disk = self.change()?;
        let id = disk.find(name)?;
        disk.allocate(name, len)?;
        let file = disk.file(id);
        let len = len as usize;
        let mut bytes = file.cached_bytes();
        bytes.resize(len, 0);
        if len != file.len {
            file.cached = memory_of(&bytes)?;
            file.len = len;
        }
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut disk = self.change()?;
        let id = disk.find(name)?;
        let len = disk.file(id).len;
        disk.sync(id, 0, len)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.change()?;
        let id = disk.find(from)?;
        disk.rename(NameChange::Renamed(from.into(), to.into(), id));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.change()?;
        disk.find(name)?;
        disk.rename(NameChange::Removed(name.into()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let disk = &mut *self.change()?;
        if disk.rates.lies_about_sync {
            return Ok(());
        }
        if disk.fails(Fault::Sync) {
            return Err(Errno::IO.into());
        }
        for change in disk.unsynced_names.drain(..) {
            change.apply(&mut disk.durable_names);
        }
        Ok(())
    }

    fn map_writable(&self, name: &str, len: usize) -> io::Result<Map> {
        self.map(name, len, true)
    }

    fn map_beside(&self, name: &str, len: usize, filled: usize) -> io::Result<Map> {
        let mut disk = self.look()?;
        let id = disk.find(name)?;
        let file = disk.file(id);
        check_len(file.len as u64, len)?;
        let pages = Pages { storage: self.clone(), file: id };
        Map::simulated_beside(file.cached.clone(), len, filled, Arc::new(pages))
    }

    fn map_read_only(&self, name: &str, len: usize) -> io::Result<Map> {
        self.map(name, len, false)
    }

    fn wall_clock_ns(&self) -> u64 {
        self.disk().clock_ns
    }
}

fn stopped() -> io::Error {
    io::Error::other("this simulated life was stopped")
}

/// The lock of one life.
struct Locked(SimulatedStorage);

impl Drop for Locked {
    fn drop(&mut self) {
        let mut disk = self.0.disk();
        if disk.life == self.0.life {
            disk.locked = false;
        }
    }
}

/// The pages of a file that is mapped.
struct Pages {
    storage: SimulatedStorage,
    file: u64,
}

impl SimulatedPages for Pages {
    fn populate(&self, from: usize, to: usize) -> io::Result<()> {
        self.storage.look()?.file(self.file).store(from, to);
        Ok(())
    }

    fn sync(&self, to: usize) -> io::Result<()> {
        let mut disk = self.storage.change()?;
        disk.sync(self.file, 0, to)
    }

    fn write_durably(&self, from: usize, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.storage.change()?;
        let cached = disk.file(self.file).cached.clone();
        disk.write(&cached, from, bytes)?;
        let to = from + bytes.len();
        disk.file(self.file).store(from, to);
        disk.sync(self.file, from, to)
    }
}

struct Disk {
    random: Random,
    /// The life that goes on; handles of others are refused.
    life: u64,
    /// Operations until they fail, counting the first that does: `Some(0)` when it has.
    operations_left: Option<u64>,
    rates: FaultRates,
    /// How many operations of a kind are still to fail for sure.
    next: BTreeMap<Fault, u32>,
    capacity: Option<u64>,
    clock_ns: u64,
    locked: bool,
    /// All files that a name, durable or not, has meant.
    files: BTreeMap<u64, File>,
    files_created: u64,
    /// The names as processes see them.
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// What makes `names` of `durable_names`.
    unsynced_names: Vec<NameChange>,
}

impl Disk {
    fn find(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| Errno::NOENT.into())
    }

    fn file(&mut self, id: u64) -> &mut File {
        self.files.get_mut(&id).expect("files are kept while a name or a map of this life has them")
    }

    fn fails(&mut self, fault: Fault) -> bool {
        if let Some(left) = self.next.get_mut(&fault)
            && *left > 0
        {
            *left -= 1;
            return true;
        }
        let rate = match fault {
            Fault::Sync => self.rates.sync,
            Fault::Read => self.rates.read,
            Fault::Allocation => self.rates.allocation,
            Fault::Write => self.rates.write,
        };
        rate > 0 && self.random.below(ALWAYS.into()) < rate.into()
    }

    /// Refuses `len` bytes for the file of this name, if the disk has no room for them.
    fn allocate(&mut self, name: &str, len: u64) -> io::Result<()> {
        let others = self.names.iter().filter(|&(other, _)| other != name);
        let used: u64 = others.map(|(_, id)| self.files[id].len as u64).sum();
        let full = self.capacity.is_some_and(|capacity| used + len > capacity);
        if full || self.fails(Fault::Allocation) { Err(Errno::NOSPC.into()) } else { Ok(()) }
    }

    /// Stores `bytes`, or some pages of them and an error.
    fn write(&mut self, cached: &Memory, offset: usize, bytes: &[u8]) -> io::Result<()> {
        if self.fails(Fault::Write) {
            let end = offset + self.random.below(bytes.len() as u64 + 1) as usize;
            let part = (end / PAGE_BYTES * PAGE_BYTES).saturating_sub(offset);
            cached.write(offset, &bytes[..part]);
            return Err(Errno::IO.into());
        }
        cached.write(offset, bytes);
        Ok(())
    }

    fn rename(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    /// Makes the length of a file and its pages from byte `from` to byte `to` durable.
    fn sync(&mut self, id: u64, from: usize, to: usize) -> io::Result<()> {
        if self.rates.lies_about_sync {
            return Ok(());
        }
        let fails = self.fails(Fault::Sync);
        let file = self.files.get_mut(&id).expect("found before");
        let to = to.next_multiple_of(PAGE_BYTES).min(file.len);
        if fails {
            file.reach_disk(from, to, &mut self.random.sectors());
            file.give_up(from, to);
            return Err(Errno::IO.into());
        }
        file.disk.resize(file.len, 0);
        file.reach_disk(from, to, &mut || SECTOR_BYTES);
        Ok(())
    }

    fn crash(&mut self, kind: Crash) {
        if kind == Crash::PowerLoss {
            let mut coin = self.random.coin();
            for change in self.unsynced_names.drain(..) {
                if coin() {
                    change.apply(&mut self.durable_names);
                }
            }
            self.names = self.durable_names.clone();
        }
        for file in self.files.values_mut() {
            match kind {
                Crash::ProcessDeath => file.outlive_process(),
                Crash::PowerLoss => file.lose_power(&mut self.random.sectors()),
            }
        }
        // A name that comes and goes before the next sync may yet be what a loss of power keeps.
        let coming = self.unsynced_names.iter().filter_map(NameChange::file);
        let named: BTreeSet<u64> =
            self.names.values().chain(self.durable_names.values()).copied().chain(coming).collect();
        self.files.retain(|id, _| named.contains(id));
        self.life += 1;
        self.operations_left = None;
        self.locked = false;
    }
}

/// Something done to the names.
enum NameChange {
    Created(String, u64),
    Renamed(String, String, u64),
    Removed(String),
}

impl NameChange {
    /// The file that gets a name by it.
    fn file(&self) -> Option<u64> {
        match self {
            NameChange::Created(_, id) | NameChange::Renamed(_, _, id) => Some(*id),
            NameChange::Removed(_) => None,
        }
    }

    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            NameChange::Created(name, id) => {
                names.insert(name.clone(), *id);
            }
            NameChange::Renamed(from, to, id) => {
                names.remove(from);
                names.insert(to.clone(), *id);
            }
            NameChange::Removed(name) => {
                names.remove(name);
            }
        }
    }
}

struct File {
    /// As processes see it: `len` bytes, and zeros up to a whole page.
    cached: Arc<Memory>,
    len: usize,
    /// As the disk has it.
    disk: Vec<u8>,
    /// Pages that failed to be written and count as clean until they change, by number, with what
    /// they held. A page that changed is dirty again.
    given_up: BTreeMap<usize, Vec<u8>>,
    /// Bits that the disk has flipped.
    flips: Vec<(usize, u8)>,
}

impl File {
    fn new(len: usize) -> io::Result<File> {
        let cached = Arc::new(Memory::zeros(len)?);
        Ok(File { cached, len, disk: Vec::new(), given_up: BTreeMap::new(), flips: Vec::new() })
    }

    fn cached_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.cached.read(0, &mut bytes);
        bytes
    }

    fn cached_page(&self, page: usize) -> Vec<u8> {
        let mut bytes = vec![0; PAGE_BYTES.min(self.len - page * PAGE_BYTES)];
        self.cached.read(page * PAGE_BYTES, &mut bytes);
        bytes
    }

    /// The pages of these bytes are stored to, with whatever.
    fn store(&mut self, from: usize, to: usize) {
        let pages = from / PAGE_BYTES..to.div_ceil(PAGE_BYTES);
        self.given_up.retain(|page, _| !pages.contains(page));
    }

    /// The dirty pages from `from` to `to` count as clean.
    fn give_up(&mut self, from: usize, to: usize) {
        for page in from / PAGE_BYTES..to.div_ceil(PAGE_BYTES) {
            let bytes = self.cached_page(page);
            self.given_up.insert(page, bytes);
        }
    }

    /// Writes of each dirty sector between two bytes as many bytes to the disk as `takes` says. Behind the
    /// length that the disk knows nothing is written.
    fn reach_disk(&mut self, from: usize, to: usize, takes: &mut dyn FnMut() -> usize) {
        for page in from / PAGE_BYTES..to.min(self.disk.len()).div_ceil(PAGE_BYTES) {
            let cached = self.cached_page(page);
            if self.given_up.get(&page) == Some(&cached) {
                continue;
            }
            self.given_up.remove(&page);
            let start = page * PAGE_BYTES;
            let disk = &mut self.disk[start..];
            for (old, new) in disk.chunks_mut(SECTOR_BYTES).zip(cached.chunks(SECTOR_BYTES)) {
                let bytes = old.len().min(new.len());
                let takes = if old[..bytes] == new[..bytes] { 0 } else { bytes.min(takes()) };
                if takes == 0 {
                    continue;
                }
                let words = old[..bytes].chunks_mut(8).zip(new[..bytes].chunks(8));
                for (at, (old, new)) in words.enumerate() {
                    // It was read forward while it was filled: what had been there is as it is now, what had
                    // not lacks from some place on.
                    if at * 8 < takes || !is_zero(old) {
                        old.copy_from_slice(new);
                    }
                }
            }
        }
    }

    /// New memory, so that maps of the old life reach nothing.
    fn outlive_process(&mut self) {
        let bytes = self.cached_bytes();
        self.cached = memory_of(&bytes).expect("as much memory as before");
    }

    fn lose_power(&mut self, takes: &mut dyn FnMut() -> usize) {
        if takes() > 0 {
            self.disk.resize(self.len, 0);
        }
        self.reach_disk(0, self.len, takes);
        self.given_up.clear();
        for (offset, mask) in self.flips.drain(..) {
            if let Some(byte) = self.disk.get_mut(offset) {
                *byte ^= mask;
            }
        }
        self.len = self.disk.len();
        self.cached = memory_of(&self.disk).expect("as much memory as before");
    }
}

fn memory_of(bytes: &[u8]) -> io::Result<Arc<Memory>> {
    let memory = Memory::zeros(bytes.len())?;
    memory.write(0, bytes);
    Ok(Arc::new(memory))
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// 0 to `below` - 1.
    fn below(&mut self, below: u64) -> u64 {
        self.next() % below
    }

    /// A coin that is fair, loaded, or shows the same side always.
    fn coin(&mut self) -> impl FnMut() -> bool + use<> {
        let heads = [0, 1, 4, 7, 8][self.below(5) as usize];
        let mut random = Random(self.next());
        move || random.below(8) < heads
    }

    /// Of each sector all bytes or none, as a [coin](Self::coin) says.
    fn sectors(&mut self) -> impl FnMut() -> usize + use<> {
        let mut coin = self.coin();
        move || if coin() { SECTOR_BYTES } else { 0 }
    }

    /// The same, but of some of the sectors that are taken only the first words: of none, of one in eight or of half
    /// of them.
    fn half_written(&mut self) -> impl FnMut() -> usize + use<> {
        let mut sectors = self.sectors();
        let mut random = Random(self.next());
        let share = [0, 1, 4][random.below(3) as usize];
        move || match sectors() {
            SECTOR_BYTES if random.below(8) < share => {
                random.below(SECTOR_BYTES as u64 / 8) as usize * 8
            }
            bytes => bytes,
        }
    }
}
