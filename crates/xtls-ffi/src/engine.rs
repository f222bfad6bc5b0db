//! Engines: made, used by one at a time, freed.

use xtls_bindings::{Code, Engine, Error, Event, Identity, Level, Result, Setup, Store};

use crate::abi::{XtlsCode, XtlsEngine, XtlsSetup};
use crate::border::{self, Out, call};
use crate::store::{Functions, Lines};
use crate::table::Table;

/// An engine, and what did not fit into the caller's buffer.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) engine: Engine,
    /// Memory for the texts of events.
    pub(crate) texts: Vec<u8>,
    /// The stanza that is to be sent next, if it was taken out already.
    pub(crate) stanza: Vec<u8>,
    /// It was lent, and is the caller's until the next call.
    pub(crate) is_lent: bool,
    /// The event that is to be told next, if it was taken out already.
    pub(crate) event: Option<Event>,
}

static ENGINES: Table<Held> = Table::new();

/// Does a call of an engine, with its log, unless it is in use.
pub(crate) fn with(engine: XtlsEngine, body: impl FnOnce(&mut Held) -> Result<()>) -> XtlsCode {
    poll(engine, |held| body(held).map(|()| Code::Ok))
}

/// The same of a call that may find nothing.
pub(crate) fn poll(engine: XtlsEngine, body: impl FnOnce(&mut Held) -> Result<Code>) -> XtlsCode {
    border::poll(|| {
        ENGINES.with(engine, |held| {
            // The log is of the engine, and what is called has all that is held.
            let log = held.engine.log_scope();
            log.around(|| body(held))
        })
    })
}

impl Held {
    /// The next stanza to send, unless there is none. It stays until it is taken.
    pub(crate) fn next_stanza(&mut self, now: u64) -> Option<&mut Vec<u8>> {
        if core::mem::take(&mut self.is_lent) {
            self.stanza.clear();
        }
        let is_there = !self.stanza.is_empty() || self.engine.poll_transmit(now, &mut self.stanza).is_some();
        is_there.then_some(&mut self.stanza)
    }
}

/// Makes an engine: all tunnels of one full address. Make a new one after each login.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_engine_new(setup: *const XtlsSetup, engine: *mut XtlsEngine) -> XtlsCode {
    call(|| {
        // SAFETY: the caller promises that an engine can be written there.
        let engine = unsafe { Out::new(engine, "engine") }?;
        engine.set(0);
        // SAFETY: the caller promises that it begins with its size; zeros are null, nothing and 0.
        let setup = unsafe { border::sized(setup, "setup") }?;
        // SAFETY: the caller promises that what it points to is as the header says.
        let made = unsafe { make(&setup) }?;
        let held = Held { engine: made, texts: Vec::new(), stanza: Vec::new(), is_lent: false, event: None };
        engine.set(ENGINES.insert(held)?);
        Ok(())
    })
}

/// Frees an engine with all its tunnels, without a word to the peers: call `xtls_handle_disconnect`, or close the tunnels, before.
/// One that is in use stays.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_engine_free(engine: XtlsEngine) -> XtlsCode {
    call(|| {
        drop(ENGINES.remove(engine)?);
        Ok(())
    })
}

/// # Safety
///
/// What the setup points to is as the header says.
unsafe fn make(setup: &XtlsSetup) -> Result<Engine> {
    // SAFETY: texts that are promised, here and below.
    let jid = unsafe { border::text(setup.jid, "setup.jid") }?;
    // SAFETY: the same.
    let pem = unsafe { border::text(setup.identity, "setup.identity") }?;
    // SAFETY: the same.
    let path = unsafe { border::optional_text(setup.store_path, "setup.store_path") }?;
    // SAFETY: the same.
    let authorities = unsafe { border::optional_text(setup.authorities, "setup.authorities") }?;
    // SAFETY: so many settings of texts that are promised.
    let settings = unsafe { border::settings(setup.settings, setup.settings_count) }?;
    let store = match (path, setup.store.is_null()) {
        (Some(_), false) => {
            return Err(Error::new(Code::Setting, "`setup.store_path` and `setup.store` are both there: one will do"));
        }
        (Some(path), true) => Store::in_file(path)?,
        // SAFETY: it is not null, and the caller promises that it begins with its size and what its functions and its `user` are.
        (None, false) => Store::kept_by(unsafe { Functions::new(setup.store) }?)?,
        (None, true) => Store::in_memory(),
    };
    let identity = Identity::from_pem(pem);
    let (unix_time, now) = (setup.unix_time, setup.now);
    let mut engine = Engine::new(&Setup {
        jid,
        identity: &identity,
        store: &store,
        settings: &settings,
        authorities,
        unix_time,
        now,
    })?;
    if let Some(log) = setup.log {
        let most = match setup.log_level {
            1 => Level::Debug,
            2 => Level::Trace,
            other => {
                return Err(Error::new(Code::Setting, format_args!("`setup.log_level` is {other}, and can be 1 or 2")));
            }
        };
        // SAFETY: the caller promises what the function and its `log_user` are.
        let lines = unsafe { Lines::new(log, setup.log_user) };
        engine.set_log(Some(Box::new(lines)), most);
    }
    Ok(engine)
}
