//! What is known of peers, in a database.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, Error, ErrorCode, OpenFlags, Params, Transaction, TransactionBehavior, params};
use serde::{Serialize, de::DeserializeOwned};
use xtls::{
    jid::{BareJid, JidError},
    tls::UnixTime,
    trust::{Confirmation, Confirmed, Guess, MemoryTrustStore, Permit, StoreError, TrustRecord, TrustStore},
};

use crate::{
    error::{FileError, FileFault},
    lock::PATIENCE,
    private::private_file,
};

/// A [`TrustStore`] in an SQLite database of its own, for many peers: a call reads and writes one of them. Several processes may
/// share it, and clones are the same store.
///
/// A database that does not exist is made, readable by its owner only, as are the journals beside it. Each change is one
/// transaction: it is on the disk when the call returns, and no guess at a password is counted too few. Other writers are waited
/// for, at most [`PATIENCE`].
///
/// ```
/// use xtls::trust::{Fingerprint, Pin};
/// use xtls_store::SqliteTrustStore;
///
/// # let path = std::env::temp_dir().join(format!("xtls-{}.sqlite", std::process::id()));
/// let store = SqliteTrustStore::open(&path)?;
/// let juliet = "juliet@capulet.lit".parse()?;
/// let fingerprint = Fingerprint::sha256(b"a certificate"); // which the user has compared
/// store.change(|known| known.pin(&juliet, Pin::manual(fingerprint)))?;
/// assert_eq!(store.clone().read()?.iter().count(), 1);
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SqliteTrustStore {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
}

/// What the database says that it is: `XTLS`.
const APPLICATION: i32 = 0x5854_4c53;

/// The version of the tables and of the records in them. A field that a record gets some day makes another one, since whoever
/// does not know the field would lose it.
const VERSION: u32 = 2;
/// The oldest version that is known: its pins have no date, and nothing else is different.
const OLDEST: u32 = 1;

/// Records are JSON, as `serde` writes them. Strangers are those of whom nothing but guesses is known.
const TABLES: &str = "
    CREATE TABLE peers (
        address TEXT NOT NULL PRIMARY KEY,
        is_stranger INTEGER NOT NULL,
        record TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX strangers ON peers (address) WHERE is_stranger;
    CREATE TABLE listeners (
        address TEXT NOT NULL PRIMARY KEY,
        guesses TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Of which peers the records are read.
#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    All,
    One(&'a BareJid),
    /// One, and if nothing is known of it, all strangers: one of them may have to make room.
    OneMore(&'a BareJid),
}

impl SqliteTrustStore {
    /// The store in this database, which is made if there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be made or read, is no database, has a later version, or is of another application. It stays as it is.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        let path = path.into();
        let error = |fault| FileError::new(WHAT, &path, fault);
        create(&path).map_err(|e| error(FileFault::Write(e)))?;
        let connection = connect(&path).map_err(|e| error(fault(e, FileFault::Read)))?;
        let store = Self { path: path.clone(), connection: Arc::new(Mutex::new(connection)) };
        store.prepare()?;
        Ok(store)
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that it says now.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn read(&self) -> Result<MemoryTrustStore, FileError> {
        self.look(Part::All)
    }

    /// Changes what it says now, and gives what `change` gives. What an engine does at the same time comes before or after it.
    /// This reads all of it. `change` must not call the store itself.
    ///
    /// # Errors
    ///
    /// When it cannot be locked, read or written. It stays as it is.
    pub fn change<R>(&self, change: impl FnOnce(&mut MemoryTrustStore) -> R) -> Result<R, FileError> {
        self.change_part(Part::All, change)
    }

    fn look(&self, part: Part<'_>) -> Result<MemoryTrustStore, FileError> {
        let mut connection = self.lock();
        // One transaction, so that no change of another process comes between two of its parts.
        let transaction = connection.transaction().map_err(|e| self.error(e, FileFault::Read))?;
        self.load(&transaction, part)
    }

    fn change_part<R>(&self, part: Part<'_>, change: impl FnOnce(&mut MemoryTrustStore) -> R) -> Result<R, FileError> {
        let unwritable = |e| self.error(e, FileFault::Write);
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unwritable)?;
        let before = self.load(&transaction, part)?;
        let mut known = before.clone();
        let result = change(&mut known);
        save(&transaction, &before, &known).map_err(unwritable)?;
        transaction.commit().map_err(unwritable)?;
        Ok(result)
    }

    /// The peers of this part, and all of your own addresses at which strangers have guessed, which are few.
    fn load(&self, transaction: &Transaction<'_>, part: Part<'_>) -> Result<MemoryTrustStore, FileError> {
        const STRANGERS: &str = "SELECT address, record FROM peers WHERE is_stranger";
        let unreadable = |e| self.error(e, FileFault::Read);
        let peers = match part {
            Part::All => rows(transaction, "SELECT address, record FROM peers", []),
            Part::One(peer) | Part::OneMore(peer) => {
                rows(transaction, "SELECT address, record FROM peers WHERE address = ?1", [peer.canonical()])
            }
        };
        let peers = match (peers.map_err(unreadable)?, part) {
            (none, Part::OneMore(_)) if none.is_empty() => rows(transaction, STRANGERS, []).map_err(unreadable)?,
            (peers, _) => peers,
        };
        let mut known = MemoryTrustStore::default();
        for (address, record) in peers {
            let (peer, record) = self.parse(&address, &record)?;
            *known.of(&peer) = record;
        }
        for (address, guesses) in rows(transaction, "SELECT address, guesses FROM listeners", []).map_err(unreadable)? {
            let (own, guesses) = self.parse(&address, &guesses)?;
            *known.at(&own) = guesses;
        }
        Ok(known)
    }

    fn parse<T: DeserializeOwned>(&self, address: &str, text: &str) -> Result<(BareJid, T), FileError> {
        let damaged = |why| self.fault(FileFault::Damaged(format!("{address:?}: {why}")));
        let jid = address.parse().map_err(|e: JidError| damaged(e.to_string()))?;
        Ok((jid, serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?))
    }

    /// Makes the tables where nothing is, and knows what is there.
    fn prepare(&self) -> Result<(), FileError> {
        let mut connection = self.lock();
        let read = |e| self.error(e, FileFault::Read);
        if kind(&connection).map_err(read)? == (0, 0) {
            let unwritable = |e| self.error(e, FileFault::Write);
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unwritable)?;
            // Another process may have been here meanwhile, and what has no kind may have tables all the same.
            let tables: u32 =
                transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(read)?;
            if kind(&transaction).map_err(read)? == (0, 0) && tables == 0 {
                transaction.execute_batch(TABLES).map_err(unwritable)?;
                transaction.pragma_update(None, "application_id", APPLICATION).map_err(unwritable)?;
                transaction.pragma_update(None, "user_version", VERSION).map_err(unwritable)?;
                transaction.commit().map_err(unwritable)?;
            }
        }
        let fault = match kind(&connection).map_err(read)? {
            (APPLICATION, VERSION) => return Ok(()),
            // From now on whoever does not know the field stays out.
            (APPLICATION, OLDEST..VERSION) => {
                let raised = connection.pragma_update(None, "user_version", VERSION);
                return raised.map_err(|e| self.error(e, FileFault::Write));
            }
            (APPLICATION, found) => FileFault::Version { found, known: VERSION },
            _ => FileFault::Damaged("it is the database of something else".to_owned()),
        };
        Err(self.fault(fault))
    }

    /// Whoever panicked has left a transaction, which was undone.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, error: Error, or: fn(io::Error) -> FileFault) -> FileError {
        self.fault(fault(error, or))
    }

    fn fault(&self, fault: FileFault) -> FileError {
        FileError::new(WHAT, &self.path, fault)
    }
}

/// What a store in memory does, to what the database says.
impl TrustStore for SqliteTrustStore {
    fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError> {
        self.look(Part::One(peer))?.record(peer)
    }

    fn locked_until(&self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Option<UnixTime>, StoreError> {
        self.look(Part::One(peer))?.locked_until(local, peer, guess)
    }

    fn begin_guess(&mut self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError> {
        self.change_part(Part::OneMore(peer), |known| known.begin_guess(local, peer, guess))?
    }

    fn guess_was_right(&mut self, local: &BareJid, peer: &BareJid) -> Result<(), StoreError> {
        self.change_part(Part::One(peer), |known| known.guess_was_right(local, peer))?
    }

    fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> Result<Confirmation, StoreError> {
        self.change_part(Part::One(peer), |known| known.confirm(peer, confirmed))?
    }
}

/// What errors call it.
const WHAT: &str = "trust database";

/// Makes the file, so that SQLite need not, which would let others read it. Its journals get the same permissions.
fn create(path: &Path) -> io::Result<()> {
    private_file().create(true).truncate(false).open(path).map(drop)
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

/// What the database says that it is, and of which version.
fn kind(connection: &Connection) -> Result<(i32, u32), Error> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((number("application_id")?, connection.pragma_query_value(None, "user_version", |row| row.get(0))?))
}

/// The two texts of each row.
fn rows(transaction: &Transaction<'_>, query: &str, of: impl Params) -> Result<Vec<(String, String)>, Error> {
    transaction.prepare(query)?.query_map(of, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Writes what has changed.
fn save(transaction: &Transaction<'_>, before: &MemoryTrustStore, now: &MemoryTrustStore) -> Result<(), Error> {
    let (was, is): (BTreeMap<_, _>, BTreeMap<_, _>) = (before.iter().collect(), now.iter().collect());
    for gone in was.keys().filter(|peer| !is.contains_key(*peer)) {
        transaction.execute("DELETE FROM peers WHERE address = ?1", [gone.canonical()])?;
    }
    for (peer, record) in is.iter().filter(|(peer, record)| was.get(*peer) != Some(*record)) {
        transaction.execute(
            "INSERT OR REPLACE INTO peers (address, is_stranger, record) VALUES (?1, ?2, ?3)",
            params![peer.canonical(), record.is_strangers(), json(record)?],
        )?;
    }
    let (was, is): (BTreeMap<_, _>, BTreeMap<_, _>) = (before.listeners().collect(), now.listeners().collect());
    for gone in was.keys().filter(|own| !is.contains_key(*own)) {
        transaction.execute("DELETE FROM listeners WHERE address = ?1", [gone.canonical()])?;
    }
    for (own, guesses) in is.iter().filter(|(own, guesses)| was.get(*own) != Some(*guesses)) {
        transaction.execute(
            "INSERT OR REPLACE INTO listeners (address, guesses) VALUES (?1, ?2)",
            params![own.canonical(), json(guesses)?],
        )?;
    }
    Ok(())
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::ToSqlConversionFailure(Box::new(e)))
}

/// What an error of SQLite comes to; what has no name of its own is `or`.
fn fault(error: Error, or: fn(io::Error) -> FileFault) -> FileFault {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => FileFault::Locked,
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => FileFault::Damaged(error.to_string()),
        Some(_) | None => or(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests;
