//! Your certificate and its key.

use core::ffi::c_char;

use xtls_bindings::Identity;
use zeroize::Zeroizing;

use crate::abi::XtlsCode;
use crate::border::{self, Room, call};

/// Makes a key and a certificate for it, as one text in PEM: keep it where nobody else can read it, and wipe the buffer. It ends with
/// a zero, which its length counts. `algorithm` is `ecdsa-p256`, `ed25519` or `rsa-3072`. A buffer of `XTLS_IDENTITY_SIZE` bytes will do.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_identity_generate(
    jid: *const c_char,
    algorithm: *const c_char,
    unix_time: u64,
    buffer: *mut c_char,
    size: usize,
    length: *mut usize,
) -> XtlsCode {
    call(|| {
        // SAFETY: the caller promises texts.
        let jid = unsafe { border::text(jid, "jid") }?;
        // SAFETY: the same.
        let algorithm = unsafe { border::text(algorithm, "algorithm") }?;
        // SAFETY: the caller promises that so much can be written.
        let room = unsafe { Room::new(buffer.cast(), size, length) }?;
        let identity = Identity::generate(jid, algorithm, unix_time)?;
        let mut both = Zeroizing::new(String::with_capacity(identity.certificate.len() + identity.key.len()));
        both.push_str(&identity.certificate);
        both.push_str(&identity.key);
        room.put_text(&both)
    })
}

/// The fingerprint of the certificate in a text of PEM, as `sha-256:…`. It ends with a zero, which its length counts.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_identity_fingerprint(
    identity: *const c_char,
    buffer: *mut c_char,
    size: usize,
    length: *mut usize,
) -> XtlsCode {
    call(|| {
        // SAFETY: the caller promises a text.
        let pem = unsafe { border::text(identity, "identity") }?;
        // SAFETY: the caller promises that so much can be written.
        let room = unsafe { Room::new(buffer.cast(), size, length) }?;
        room.put_text(&Identity::from_pem(pem).fingerprint()?)
    })
}
