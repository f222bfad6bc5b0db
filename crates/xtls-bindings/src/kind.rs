//! What happens, in numbers.

use crate::table::table;

table! {
    /// What an event is. docs/guide/first-tunnel.md of the repository says what to do at each.
    EventKind {
        /// somebody offers a tunnel: accept or reject it
        Incoming = 1, "incoming";
        /// an offer was taken back, or nobody decided in time
        IncomingGone = 2, "incoming-gone";
        /// the offer goes to another resource of the same account
        Redirected = 3, "redirected";
        /// ask for the shared password
        PasswordRequired = 4, "password-required";
        /// ask whether the certificate is the peer's
        TrustRequired = 5, "trust-required";
        /// the peer is authenticated, and the tunnel can be used
        Secured = 6, "secured";
        /// the peer has accepted us too
        Confirmed = 7, "confirmed";
        /// the trust store could not write what was learned; the tunnel goes on
        StoreFailed = 8, "store-failed";
        /// stanzas can be sent from now on
        StreamOpened = 9, "stream-opened";
        /// no more stanzas can be sent; the tunnel stays
        StreamClosed = 10, "stream-closed";
        /// a stanza came
        Stanza = 11, "stanza";
        /// the peer sent a stanza in another's name; it was dropped
        Impersonation = 12, "impersonation";
        /// the peer sent a stanza for another entity; it was dropped
        Misaddressed = 13, "misaddressed";
        /// the peer's certificates, or why there are none
        CertificatesReceived = 14, "certificates-received";
        /// what a peer is ready for, or why it is not known
        Probed = 15, "probed";
        /// a peer that is known looks for you
        PresenceWanted = 16, "presence-wanted";
        /// make this connection
        Connect = 17, "connect";
        /// give up this connection
        Abandon = 18, "abandon";
        /// there is something to read
        Readable = 19, "readable";
        /// there is room to write again
        Writable = 20, "writable";
        /// a server on the way lets few bytes through
        Throttled = 21, "throttled";
        /// the peer has sent its last byte
        PeerFinished = 22, "peer-finished";
        /// the peer's application has everything
        Receipt = 23, "receipt";
        /// the tunnel has ended; its id is dead
        Closed = 24, "closed";
    }
}

table! {
    /// What became of a stanza that was handed to the engine.
    Disposition {
        /// answered or used: nobody else needs to see it
        Consumed = 0, "consumed";
        /// used, and yours too: presence
        Observed = 1, "observed";
        /// yours
        NotOurs = 2, "not-ours";
        /// of a session that the engine does not hold: refuse it if nobody else takes it
        Unclaimed = 3, "unclaimed";
        /// not a stanza: the stream is broken
        Malformed = 4, "malformed";
    }
}
