//! The two public session types: one shape, two roles.

use std::fmt;

use crate::client::Client;
use crate::config::{ClientConfig, ServerConfig, SrpConfigError};
use crate::error::{Error, ExportError, Truncated, WriteError};
use crate::group::Group;
use crate::random::Random;
use crate::record;
use crate::server::Server;
use crate::session::{Common, Session};
use crate::suite::CipherSuite;

macro_rules! session {
    ($(#[$doc:meta])* $name:ident, $role:ident, $config:ident) => {
        $(#[$doc])*
        pub struct $name(Session<$role>);

        impl $name {
            /// A session that has not started. Nothing is drawn from `random` before the first [`read`](Self::read).
            ///
            /// # Errors
            ///
            /// The configuration has an empty list in it.
            pub fn new(config: $config, random: Box<dyn Random + Send + Sync>) -> Result<Self, SrpConfigError> {
                config.check()?;
                Ok(Self(Session::new(Common::new(random), $role::new(config))))
            }

            /// Takes bytes from the peer, split anywhere, none among them: the same bytes give the same output however
            /// they are split. Appends what the peer wrote to `plaintext`, and what must go to the peer to `records_out`.
            ///
            /// Nothing the peer does makes it wait, panic or keep more than one record and one handshake message. What
            /// comes after the peer's close_notify is ignored (RFC 5246 § 7.2.1).
            ///
            /// # Errors
            ///
            /// The session is dead, and its keys are wiped. The alert that says why, if there is one to send, is in
            /// `records_out`, and what was authenticated before it is in `plaintext`. Every later call gives the same
            /// error and appends nothing.
            pub fn read(
                &mut self,
                records: &[u8],
                plaintext: &mut Vec<u8>,
                records_out: &mut Vec<u8>,
            ) -> Result<(), Error> {
                self.0.read(records, plaintext, records_out)
            }

            /// Appends `plaintext` to `records_out`, all of it, in as many records as it needs.
            ///
            /// # Errors
            ///
            /// Nothing was appended: the peer is not authenticated yet, the session is over, the keys are used up, or
            /// the source of random bytes failed.
            pub fn write(
                &mut self,
                plaintext: &[u8],
                records_out: &mut Vec<u8>,
            ) -> Result<(), WriteError> {
                self.0.write(plaintext, records_out)
            }

            /// Appends a record without plaintext, which RFC 5246 § 6.2.1 allows: it tells the peer's application nothing. Peers
            /// put up with some in a row, [`MAX_EMPTY_RECORDS`](crate::MAX_EMPTY_RECORDS) if they are sessions of this crate.
            ///
            /// # Errors
            ///
            /// As [`write`](Self::write).
            pub fn write_empty(&mut self, records_out: &mut Vec<u8>) -> Result<(), WriteError> {
                self.0.write_empty(records_out)
            }

            /// Ends this side: appends close_notify (RFC 5246 § 7.2.1), once. TLS 1.2 has no half-closed session, so the
            /// peer answers in kind and discards what it had not written yet; what it wrote before that is still read.
            ///
            /// Before the handshake is complete this ends the session with [`Error::Closed`].
            pub fn close(&mut self, records_out: &mut Vec<u8>) {
                self.0.close(records_out);
            }

            /// To be called when the transport has ended.
            ///
            /// # Errors
            ///
            /// The peer had not sent close_notify, so what was read may not be all that it wrote.
            pub fn end_of_input(&self) -> Result<(), Truncated> {
                self.0.end_of_input()
            }

            /// True until the peer has proved that it knows the password, and for good if it does not.
            #[must_use]
            pub fn is_handshaking(&self) -> bool {
                !self.0.common().is_connected()
            }

            /// Whether the peer's close_notify has come: the end of its data, authenticated.
            #[must_use]
            pub fn peer_closed(&self) -> bool {
                self.0.common().closed_by_peer
            }

            /// Whether a password was put to the test in this session, which allows for one guess.
            ///
            /// A client has laid itself open to one as soon as it has sent its Finished, a server as soon as it has
            /// judged the client's. Until then a failure, a forged alert for instance, tells nobody anything.
            #[must_use]
            pub fn password_attempted(&self) -> bool {
                self.0.common().password_attempted
            }

            /// The cipher suite, as soon as both sides know it.
            #[must_use]
            pub fn cipher_suite(&self) -> Option<CipherSuite> {
                self.0.common().suite
            }

            /// The group, as soon as both sides know it.
            #[must_use]
            pub fn group(&self) -> Option<Group> {
                self.0.common().group
            }

            /// No record from now on is longer than `wire` bytes, header included; handshake messages are split to fit.
            ///
            /// From 57 to 16441, the default, which is what TLS allows; a number outside counts as the nearer of the
            /// two. A record of 57 bytes holds 15 bytes of plaintext.
            pub fn set_max_record(&mut self, wire: usize) {
                self.0.set_max_record(wire);
            }

            /// The most plaintext that [`write`](Self::write) puts into `wire` bytes as one record; 0 if none fits.
            #[must_use]
            pub fn plaintext_capacity(wire: usize) -> usize {
                record::capacity(wire)
            }

            /// Fills `out` with keying material that both sides, and nobody else, can derive (RFC 5705 § 4).
            ///
            /// The master secret is bound to the handshake (RFC 7627), so this may serve as a channel binding
            /// (RFC 9266: label `EXPORTER-Channel-Binding`, an empty context, 32 bytes). Absent and empty context differ.
            ///
            /// # Errors
            ///
            /// There is no session, the label belongs to TLS, or the context is too long. `out` is unchanged.
            pub fn export_keying_material(
                &self,
                out: &mut [u8],
                label: &[u8],
                context: Option<&[u8]>,
            ) -> Result<(), ExportError> {
                self.0.export(out, label, context)
            }

            #[cfg(test)]
            pub(crate) fn inner(&mut self) -> &mut Session<$role> {
                &mut self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("handshaking", &self.is_handshaking())
                    .field("peer_closed", &self.peer_closed())
                    .field("cipher_suite", &self.cipher_suite())
                    .field("group", &self.group())
                    .finish_non_exhaustive()
            }
        }
    };
}

session! {
    /// The side that logs in. The first [`read`](Self::read), which may be given no bytes, makes the ClientHello.
    ClientSession, Client, ClientConfig
}

session! {
    /// The side that is logged in to.
    ServerSession, Server, ServerConfig
}
