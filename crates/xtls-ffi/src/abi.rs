//! The types of the border.

use core::ffi::{c_char, c_void};

/// The version of this interface. It is raised when a program that was compiled before would not work any more.
pub const XTLS_ABI: u32 = 0;

/// A buffer of this size holds any identity that `xtls_identity_generate` makes.
pub const XTLS_IDENTITY_SIZE: usize = 8192;

/// A buffer of this size holds any stanza that the engine sends with the default settings, and the texts of nearly every event.
pub const XTLS_BUFFER_SIZE: usize = 65536;

/// An engine. The number is never given to another one: one that was freed is told from all others. 0 is none.
pub type XtlsEngine = u64;

/// What a call did: `XTLS_OK`, or why it did nothing.
pub type XtlsCode = i32;

/// A setting: a name and a value, both in UTF-8. Yes and no are `true` and `false`, times are in milliseconds.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct XtlsSetting {
    /// Its name, such as `timers.answer` or `trust`.
    pub name: *const c_char,
    /// Its value.
    pub value: *const c_char,
}

/// Keeps what is known of peers: one text, which the library makes and reads. The functions are called from inside calls of the
/// engine, on the thread that made the call. They must not call the engine (it says `XTLS_BUSY`), not block for long, and not leave by
/// `longjmp` or an exception. `user` must live until `xtls_engine_free` has returned `XTLS_OK`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct XtlsStore {
    /// `sizeof(xtls_store)`.
    pub size: usize,
    /// Handed to each function.
    pub user: *mut c_void,
    /// Copies the text that was saved last to `buffer`, says its length, and returns `XTLS_OK`; `XTLS_NOTHING` if none was ever
    /// saved; anything else if it cannot be read. Where the length is more than `size`, nothing need be copied: it is called again with
    /// a larger buffer. A text that was there and is gone is an error: otherwise everybody would be a first acquaintance again.
    pub load: Option<unsafe extern "C" fn(user: *mut c_void, buffer: *mut u8, size: usize, length: *mut usize) -> i32>,
    /// Keeps this text in the place of the last one, all of it or nothing, and returns `XTLS_OK` once it is safe.
    pub save: Option<unsafe extern "C" fn(user: *mut c_void, text: *const u8, length: usize) -> i32>,
    /// Begins a change; or null. Where several processes share the text, none of the others may change it until `unlock`.
    pub lock: Option<unsafe extern "C" fn(user: *mut c_void) -> i32>,
    /// Ends a change that `lock` began; or null.
    pub unlock: Option<unsafe extern "C" fn(user: *mut c_void)>,
}

/// Takes a line for a log: how much it matters (1: debug, 2: trace), the part of the library, and the line. Nothing that is said in
/// a tunnel, no key and no password is in it. The same holds as for the functions of `xtls_store`.
pub type XtlsLog =
    Option<unsafe extern "C" fn(user: *mut c_void, level: i32, target: *const c_char, line: *const c_char)>;

/// What an engine is made from. Set all of it to zero, then `size`, then what you need.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct XtlsSetup {
    /// `sizeof(xtls_setup)`.
    pub size: usize,
    /// Your full address.
    pub jid: *const c_char,
    /// Your certificate and its key in PEM, as `xtls_identity_generate` makes it. It is copied, and the copy is wiped.
    pub identity: *const c_char,
    /// What is known of peers is kept in this file; or null.
    pub store_path: *const c_char,
    /// Or by these functions; or null. With neither, what is known is forgotten with the engine.
    pub store: *const XtlsStore,
    /// The certificates of authorities that are trusted, in PEM; or null.
    pub authorities: *const c_char,
    /// What differs from the defaults; or null.
    pub settings: *const XtlsSetting,
    /// How many settings there are.
    pub settings_count: usize,
    /// The time of day, in seconds since 1970.
    pub unix_time: u64,
    /// Your clock in milliseconds, which may begin anywhere and must not go backwards.
    pub now: u64,
    /// Takes lines for a log; or null.
    pub log: XtlsLog,
    /// Handed to it.
    pub log_user: *mut c_void,
    /// The most that is written: 1 or 2.
    pub log_level: i32,
}

/// What became of a stanza.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct XtlsHandled {
    /// One of `XTLS_CONSUMED` and the others.
    pub disposition: i32,
    /// What to name to `xtls_refuse`, of `XTLS_UNCLAIMED`.
    pub refusal: u64,
}

/// What happened. Which fields say something depends on the kind; texts of the others are empty, never null. All texts stand in the
/// buffer that was handed in with the event, and are good as long as that is. Lists have a space between any two.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct XtlsEvent {
    /// `sizeof(xtls_event)`, set by you.
    pub size: usize,
    /// One of `XTLS_EVENT_INCOMING` and the others.
    pub kind: i32,
    /// The tunnel, or the question that was asked by `xtls_probe`.
    pub id: u64,
    /// The short name of the kind.
    pub name: *const c_char,
    /// Who it is about.
    pub peer: *const c_char,
    /// What runs in the tunnel, of incoming: `xml-stream`, `bytes`, or a namespace.
    pub application: *const c_char,
    /// The id of the session, of incoming.
    pub sid: *const c_char,
    /// The stanza; an address that was claimed; a report on a certificate; words for the user.
    pub text: *const c_char,
    /// The certificate of the peer, of trust-required and secured.
    pub fingerprint: *const c_char,
    /// What is announced, of incoming; what the peer was known by, of trust-required and secured, if that has changed; the keys of
    /// probed; the certificates of certificates-received.
    pub fingerprints: *const c_char,
    /// What is offered, of incoming; what the peer was secured by before, of trust-required; what secured it, of secured.
    pub methods: *const c_char,
    /// Which end is asked, of password-required.
    pub side: *const c_char,
    /// What authenticated the peer, of secured.
    pub authentication: *const c_char,
    /// The version of TLS, the cipher suite and the key exchange, of secured.
    pub tls: *const c_char,
    /// Who ended it, of closed.
    pub by: *const c_char,
    /// Why, of closed: `done`, `terminated`, `aborted` or `fault`.
    pub reason: *const c_char,
    /// The condition of XEP-0166, of closed with `terminated`.
    pub condition: *const c_char,
    /// What went wrong, of closed with `fault`, of probed and certificates-received.
    pub fault: *const c_char,
    /// Whose fault it is.
    pub blame: *const c_char,
    /// Whether the peer has everything, of closed.
    pub receipt: *const c_char,
    /// All bytes that were written, of receipt; those not acknowledged, of closed; in a second, of throttled.
    pub bytes: u64,
    /// Authentication failed, or may have been attacked, of closed.
    pub is_security: bool,
    /// What was read may be a part of what was sent, of closed.
    pub truncated: bool,
    /// The peer has accepted us too, of secured.
    pub confirmed: bool,
    /// The certificate was outside its dates, of secured.
    pub out_of_date: bool,
    /// A certificate that nobody can verify yet is taken, of probed.
    pub takes_insecure: bool,
    /// A password may be used, of probed.
    pub takes_password: bool,
}

/// How a tunnel is doing.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct XtlsStats {
    /// `sizeof(xtls_stats)`, set by you.
    pub size: usize,
    /// Milliseconds since it began.
    pub age: u64,
    /// Bytes that were encrypted for the peer.
    pub sent: u64,
    /// How many of these are acknowledged.
    pub acked: u64,
    /// Bytes that came.
    pub received: u64,
    /// Bytes of yours that are not acknowledged.
    pub unacked: u64,
    /// Bytes a second that a server lets through, if one holds it back.
    pub throttled: u64,
    /// Milliseconds until a block is acknowledged, of late.
    pub round_trip: u64,
    /// How many times blocks came back.
    pub retries: u32,
}
