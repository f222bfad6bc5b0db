//! The engine.

use core::fmt;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use xtls_bindings::{Code, Error, Level, Result, Setup};

use crate::error::raise;
use crate::event::{Deadline, Event, Handled, Security};
use crate::identity::Identity;
use crate::log::Function;
use crate::sole::{Sole, not_in_store, without};
use crate::store::Store;
use crate::values::{Id, Pairs, millis, seconds, text, unix_time, write};

/// The engine of one full address.
#[pyclass(frozen, module = "xtls")]
pub(crate) struct Engine {
    inner: Sole<xtls_bindings::Engine>,
    jid: String,
    store: Py<Store>,
    clock: Clock,
}

/// How a tunnel is doing.
#[pyclass(frozen, get_all, module = "xtls")]
#[derive(Debug)]
pub(crate) struct Stats {
    phase: &'static str,
    age: f64,
    sent: u64,
    acked: u64,
    received: u64,
    unacked: u64,
    retries: u32,
    throttled: u64,
    round_trip: f64,
}

enum Clock {
    /// One of our own, by when it began.
    Own(std::time::Instant),
    /// A function that gives seconds.
    Given(Py<PyAny>),
}

impl Clock {
    #[allow(clippy::disallowed_methods, reason = "the clock, where no other is given")]
    fn now(&self, py: Python<'_>) -> PyResult<u64> {
        match self {
            Self::Own(start) => Ok(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)),
            Self::Given(clock) => millis(clock.call0(py)?.extract(py)?),
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("jid", &self.jid).finish_non_exhaustive()
    }
}

impl Engine {
    /// Makes a call, with the time and the log.
    fn call<R: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&mut xtls_bindings::Engine, u64) -> Result<R> + Send,
    ) -> PyResult<R> {
        let now = self.clock.now(py)?;
        self.inner.with(py, |engine| engine.logged(|engine| call(engine, now)))
    }

    /// The same for a call that refuses nothing and gives nothing.
    fn tell(&self, py: Python<'_>, call: impl FnOnce(&mut xtls_bindings::Engine, u64) + Send) -> PyResult<()> {
        self.call(py, |engine, now| {
            call(engine, now);
            Ok(())
        })
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (jid, identity, store, *, settings = None, authorities = None, unix_time = None, clock = None))]
    #[allow(clippy::disallowed_methods, reason = "the clock, where no other is given")]
    #[allow(clippy::too_many_arguments, reason = "in Python they have names")]
    fn new(
        py: Python<'_>,
        jid: &str,
        identity: &Identity,
        store: &Bound<'_, PyAny>,
        settings: Option<&Bound<'_, PyDict>>,
        authorities: Option<&str>,
        unix_time: Option<u64>,
        clock: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let store = match store.cast::<Store>() {
            Ok(store) => store.clone(),
            // An object with the methods of one.
            Err(_) => py.get_type::<Store>().call1((store,))?.cast_into::<Store>()?,
        };
        let clock = clock.map_or_else(|| Clock::Own(std::time::Instant::now()), Clock::Given);
        let (now, settings) = (clock.now(py)?, Pairs::of(settings)?);
        not_in_store(py)?;
        let known = &store.get().0;
        let inner = without(py, || {
            xtls_bindings::Engine::new(&Setup {
                jid,
                identity: &identity.0,
                store: known,
                settings: &settings.as_settings(),
                authorities,
                unix_time: unix_time.unwrap_or_else(self::unix_time),
                now,
            })
        })?;
        Ok(Self { inner: Sole::new(inner), jid: jid.to_owned(), store: store.unbind(), clock })
    }

    /// Your full address.
    #[getter]
    fn jid(&self) -> &str {
        &self.jid
    }

    /// What is known of peers.
    #[getter]
    fn store<'py>(&self, py: Python<'py>) -> &Bound<'py, Store> {
        self.store.bind(py)
    }

    fn __repr__(&self) -> String {
        format!("<xtls.Engine {}>", self.jid)
    }

    /// Has each line of the log given to this function, with its level (`debug` or `trace`) and target; None ends that.
    #[pyo3(signature = (log, level = "debug"))]
    fn set_log(&self, py: Python<'_>, log: Option<Py<PyAny>>, level: &str) -> PyResult<()> {
        let most = match level {
            "debug" => Level::Debug,
            "trace" => Level::Trace,
            _ => return Err(raise(py, &Error::new(Code::Name, "a level is debug or trace"))),
        };
        if log.as_ref().is_some_and(|log| !log.bind(py).is_callable()) {
            return Err(PyTypeError::new_err("a log is a function, which takes a level, a target and a line"));
        }
        let log = log.map(|log| -> Box<dyn xtls_bindings::Log> { Box::new(Function(log)) });
        self.tell(py, |engine, _| engine.set_log(log, most))
    }

    /// Hands in a stanza of the outer stream: each one, presence too.
    fn handle_stanza(&self, py: Python<'_>, stanza: &Bound<'_, PyAny>) -> PyResult<Handled> {
        let stanza = text(stanza, "a stanza")?;
        self.call(py, |engine, now| Ok(engine.handle_stanza(now, stanza))).map(Handled::from)
    }

    /// Refuses a stanza that was `unclaimed`, and that nobody took.
    fn refuse(&self, py: Python<'_>, refusal: u64) -> PyResult<()> {
        self.call(py, |engine, now| engine.refuse(now, refusal))
    }

    /// Leaves a stanza that was `unclaimed` to whoever has answered it.
    fn leave(&self, py: Python<'_>, refusal: u64) -> PyResult<()> {
        self.call(py, |engine, _| engine.leave(refusal))
    }

    /// Says that time has passed.
    fn handle_timeout(&self, py: Python<'_>) -> PyResult<()> {
        self.tell(py, |engine, now| engine.handle_timeout(now))
    }

    /// Says that the outer stream is gone for good.
    fn handle_disconnect(&self, py: Python<'_>) -> PyResult<()> {
        self.tell(py, |engine, now| engine.handle_disconnect(now))
    }

    /// Says that the outer stream is away, and is to be resumed.
    fn handle_suspended(&self, py: Python<'_>) -> PyResult<()> {
        self.tell(py, |engine, now| engine.handle_suspended(now))
    }

    /// Says that it is back, with nothing lost.
    fn handle_resumed(&self, py: Python<'_>) -> PyResult<()> {
        self.tell(py, |engine, now| engine.handle_resumed(now))
    }

    /// Gives the next stanza to send, in UTF-8, or None.
    fn poll_transmit<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let stanza = self.call(py, |engine, now| {
            let mut out = Vec::new();
            Ok(engine.poll_transmit(now, &mut out).map(|_| out))
        })?;
        Ok(stanza.map(|stanza| PyBytes::new(py, &stanza)))
    }

    /// Gives the next event, or None. With `hold`, an event that holds something stays counted by the bound of its tunnel, which stops the peer, until
    /// `release` is given its `held`.
    #[pyo3(signature = (*, hold = false))]
    fn poll_event(&self, py: Python<'_>, hold: bool) -> PyResult<Option<Event>> {
        let event = self.call(py, |engine, _| {
            Ok(if hold { engine.poll_event_held() } else { engine.poll_event().map(|event| (event, 0)) })
        })?;
        Ok(event.map(|(event, held)| Event::new(event, held)))
    }

    /// Says that an event which was held is taken. A number that nothing has does nothing.
    fn release(&self, py: Python<'_>, held: u64) -> PyResult<()> {
        self.tell(py, |engine, _| engine.release(held))
    }

    /// Tells when to call `handle_timeout`, or None.
    fn poll_timeout(&self, py: Python<'_>) -> PyResult<Option<Deadline>> {
        Ok(self.call(py, |engine, now| Ok(engine.poll_timeout(now)))?.map(Deadline::from))
    }

    /// Offers a tunnel to a full address. Gives its id.
    #[pyo3(signature = (peer, **options))]
    fn initiate(&self, py: Python<'_>, peer: &str, options: Option<&Bound<'_, PyDict>>) -> PyResult<u64> {
        let options = Pairs::of(options)?;
        self.call(py, |engine, now| engine.initiate(now, peer, &options.as_settings()))
    }

    /// Accepts an offer.
    #[pyo3(signature = (id, **options))]
    fn accept(&self, py: Python<'_>, id: Id, options: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        let options = Pairs::of(options)?;
        self.call(py, |engine, now| engine.accept(now, id.0, &options.as_settings()))
    }

    /// Rejects an offer, for a reason of XEP-0166, 7.4.
    #[pyo3(signature = (id, why = "decline"))]
    fn reject(&self, py: Python<'_>, id: Id, why: &str) -> PyResult<()> {
        self.call(py, |engine, now| engine.reject(now, id.0, why))
    }

    /// Asks a full address what it is ready for. Gives the id that `probed` will have.
    #[pyo3(signature = (peer, **options))]
    fn probe(&self, py: Python<'_>, peer: &str, options: Option<&Bound<'_, PyDict>>) -> PyResult<u64> {
        let options = Pairs::of(options)?;
        self.call(py, |engine, now| engine.probe(now, peer, &options.as_settings()))
    }

    /// Lets this account learn what you are ready for, and that you are there; or does not.
    #[pyo3(signature = (peer, allowed = true))]
    fn allow_offers(&self, py: Python<'_>, peer: &str, allowed: bool) -> PyResult<()> {
        self.call(py, |engine, _| engine.allow_offers(peer, allowed))
    }

    /// The full addresses of an account that are online, as presence has told, those with XTLS first.
    fn resources(&self, py: Python<'_>, peer: &str) -> PyResult<Vec<String>> {
        self.call(py, |engine, _| engine.resources(peer))
    }

    /// The features to tell of, where your client answers questions for them itself.
    fn features(&self, py: Python<'_>) -> PyResult<Vec<&'static str>> {
        self.call(py, |engine, _| Ok(engine.features()))
    }

    /// Has the engine answer questions for features, with these of yours besides its own.
    #[pyo3(signature = (node, category, kind, features = None))]
    fn set_features(
        &self,
        py: Python<'_>,
        node: &str,
        category: &str,
        kind: &str,
        features: Option<Vec<String>>,
    ) -> PyResult<()> {
        let features: Vec<&str> = features.iter().flatten().map(String::as_str).collect();
        self.call(py, |engine, _| engine.set_features(node, category, kind, &features))
    }

    /// The presence that tells of the features, to everybody or to this address alone.
    #[pyo3(signature = (to = None))]
    fn presence(&self, py: Python<'_>, to: Option<&str>) -> PyResult<String> {
        self.call(py, |engine, _| engine.presence(to))
    }

    /// Says how large a stanza the server takes, in bytes.
    fn set_stanza_limit(&self, py: Python<'_>, limit: Option<u32>) -> PyResult<()> {
        self.tell(py, |engine, now| engine.set_stanza_limit(now, limit))
    }

    /// Says that the server ended the stream for a stanza that was too large.
    fn stanza_too_large(&self, py: Python<'_>) -> PyResult<()> {
        self.tell(py, |engine, now| engine.stanza_too_large(now))
    }

    /// Changes the window: `adaptive`, or a number of blocks.
    fn set_window(&self, py: Python<'_>, window: &str) -> PyResult<()> {
        self.call(py, |engine, now| engine.set_window(now, window))
    }

    /// The tunnels that have not ended.
    fn tunnels(&self, py: Python<'_>) -> PyResult<Vec<u64>> {
        self.call(py, |engine, _| Ok(engine.tunnels()))
    }

    /// Answers the question for a password; None says that there is none.
    fn password(&self, py: Python<'_>, id: Id, password: Option<&str>) -> PyResult<()> {
        self.call(py, |engine, now| engine.password(now, id.0, password))
    }

    /// Answers the question about a certificate: `accept`, `accept-and-keep` or `refuse`.
    fn trust(&self, py: Python<'_>, id: Id, decision: &str) -> PyResult<()> {
        self.call(py, |engine, now| engine.trust(now, id.0, decision))
    }

    /// Sends a stanza inside. `FullError` says to wait for `writable`.
    fn send(&self, py: Python<'_>, id: Id, stanza: &str) -> PyResult<()> {
        self.call(py, |engine, now| engine.send(now, id.0, stanza))
    }

    /// Writes bytes, as many as there is room for, and tells how many: the rest when `writable` comes.
    fn write(&self, py: Python<'_>, id: Id, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        write(data, |piece| self.call(py, |engine, now| engine.write(now, id.0, piece)))
    }

    /// Gives all bytes that have come.
    fn read<'py>(&self, py: Python<'py>, id: Id) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.call(py, |engine, now| {
            let mut out = Vec::new();
            engine.read(now, id.0, &mut out).map(|_| out)
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Says that no more bytes will be written.
    fn finish(&self, py: Python<'_>, id: Id) -> PyResult<()> {
        self.call(py, |engine, now| engine.finish(now, id.0))
    }

    /// Ends the tunnel in order.
    fn close(&self, py: Python<'_>, id: Id) -> PyResult<()> {
        self.call(py, |engine, now| engine.close(now, id.0))
    }

    /// Ends the tunnel at once, for a reason of XEP-0166, 7.4.
    fn abort(&self, py: Python<'_>, id: Id, why: &str) -> PyResult<()> {
        self.call(py, |engine, now| engine.abort(now, id.0, why))
    }

    /// Opens an XML stream in the tunnel, after one was closed.
    fn open_stream(&self, py: Python<'_>, id: Id) -> PyResult<()> {
        self.call(py, |engine, now| engine.open_stream(now, id.0))
    }

    /// Closes the XML stream; the tunnel stays.
    fn close_stream(&self, py: Python<'_>, id: Id) -> PyResult<()> {
        self.call(py, |engine, now| engine.close_stream(now, id.0))
    }

    /// Says when the peer is given a receipt: `when-read`, `when-told` or `never`.
    fn set_give_receipt(&self, py: Python<'_>, id: Id, when: &str) -> PyResult<()> {
        self.call(py, |engine, now| engine.set_give_receipt(now, id.0, when))
    }

    /// Gives the peer a receipt: everything has come, and is stored.
    fn give_receipt(&self, py: Python<'_>, id: Id) -> PyResult<()> {
        self.call(py, |engine, now| engine.give_receipt(now, id.0))
    }

    /// Asks the peer for its certificates.
    fn request_certificates(&self, py: Python<'_>, id: Id) -> PyResult<()> {
        self.call(py, |engine, now| engine.request_certificates(now, id.0))
    }

    /// With whom a tunnel is.
    fn peer(&self, py: Python<'_>, id: Id) -> PyResult<String> {
        self.call(py, |engine, _| engine.peer(id.0))
    }

    /// How a tunnel is secured; None before it is.
    fn security(&self, py: Python<'_>, id: Id) -> PyResult<Option<Security>> {
        Ok(self.call(py, |engine, _| engine.security(id.0))?.map(Security::from))
    }

    /// How a tunnel is doing.
    fn stats(&self, py: Python<'_>, id: Id) -> PyResult<Stats> {
        let stats = self.call(py, |engine, _| engine.stats(id.0))?;
        Ok(Stats {
            phase: stats.phase,
            age: seconds(stats.age),
            sent: stats.sent,
            acked: stats.acked,
            received: stats.received,
            unacked: stats.unacked,
            retries: stats.retries,
            throttled: stats.throttled,
            round_trip: seconds(stats.round_trip),
        })
    }

    /// Keying material that both ends share (RFC 5705); None before the tunnel is secured.
    fn export_keying_material<'py>(
        &self,
        py: Python<'py>,
        id: Id,
        length: usize,
        label: &[u8],
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let material = self.call(py, |engine, _| engine.export_keying_material(id.0, length, label))?;
        Ok(material.map(|material| PyBytes::new(py, &material)))
    }
}

#[pymethods]
impl Stats {
    fn __repr__(&self) -> String {
        format!("<xtls.Stats {} sent {} received {}>", self.phase, self.sent, self.received)
    }
}
