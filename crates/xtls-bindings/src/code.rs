//! What calls refuse, in numbers.

use crate::table::table;

table! {
    /// Why a call did nothing. Each command of `xtls` has its own few of these; what is refused by several for the same reason is
    /// the same code.
    Code {
        /// it was done
        Ok = 0, "ok";
        // What only a border between languages can get wrong.
        /// a pointer is null that must not be
        NullPointer = 1, "null-pointer";
        /// the handle is none, or was closed
        BadHandle = 2, "bad-handle";
        /// the object is in use: by another thread, or by the call that this one was made from
        Busy = 3, "busy";
        /// the library panicked in an earlier call, and the object cannot be used any more: close it
        Poisoned = 4, "poisoned";
        /// the library panicked: that is a fault of it, please report it
        Panicked = 5, "panicked";
        /// a text is not UTF-8
        NotUtf8 = 6, "not-utf8";
        /// the buffer is too small: call again with one of the size that is needed
        BufferTooSmall = 7, "buffer-too-small";
        /// as many objects are open as there can be
        TooManyHandles = 8, "too-many-handles";
        /// there is nothing at the moment
        Nothing = 9, "nothing";
        // Values that are none.
        /// the text is not an address of the kind that is wanted
        Address = 20, "address";
        /// a setting has no such name, no such value, or is missing
        Setting = 21, "setting";
        /// the text is not one stanza of XML
        Xml = 22, "xml";
        /// the certificate or the key cannot be used
        Identity = 23, "identity";
        /// the text is not a fingerprint
        Fingerprint = 24, "fingerprint";
        /// there is no such name here
        Name = 25, "name";
        /// the authorities cannot be read
        Authorities = 26, "authorities";
        /// the password is empty
        PasswordEmpty = 27, "password-empty";
        /// the password is too long
        PasswordTooLong = 28, "password-too-long";
        /// the password has a character that is not allowed
        PasswordProhibited = 29, "password-prohibited";
        // Engines.
        /// a field of the configuration is out of bounds
        Config = 40, "config";
        /// the cryptography can do neither TLS 1.2 nor TLS 1.3
        Provider = 41, "provider";
        /// the cryptography cannot do the version of TLS that the configuration demands
        MinimumTls = 42, "minimum-tls";
        /// the trust store cannot be read or written
        Store = 43, "store";
        // Ids.
        /// the id is another engine's, or none at all
        OtherEngine = 60, "other-engine";
        /// the tunnel has ended
        Ended = 61, "ended";
        /// the offer does not stand any more
        Gone = 62, "gone";
        // Beginning a tunnel.
        /// the peer is your own address
        OwnAddress = 80, "own-address";
        /// as many tunnels with this peer as the configuration allows
        TooManyWithPeer = 81, "too-many-with-peer";
        /// as many as the configuration allows
        TooMany = 82, "too-many";
        /// no session id, or one that is in use
        Sid = 83, "sid";
        /// the terms allow no TLS method
        NoMethod = 84, "no-method";
        /// the address of whoever begins cannot go with a password
        UserName = 85, "user-name";
        /// too many wrong passwords were tried with the peer; wait
        PasswordLocked = 86, "password-locked";
        /// no certificate of the peer is trusted, and no authorities are given
        NoAuthorities = 87, "no-authorities";
        /// the peer was secured before, and by something better than a leap of faith
        Downgraded = 88, "downgraded";
        /// no certificate of the peer is trusted
        NotPinned = 89, "not-pinned";
        /// to ask the user about a certificate takes TLS 1.3, which the cryptography cannot do
        NoTls13 = 90, "no-tls13";
        /// the offer is for another application
        OtherApplication = 91, "other-application";
        // In a tunnel.
        /// the tunnel is not secured yet
        NotSecured = 100, "not-secured";
        /// the tunnel carries raw bytes
        NotXml = 101, "not-xml";
        /// the tunnel carries an XML stream
        NotRaw = 102, "not-raw";
        /// this direction is finished, or the tunnel is ending
        Closing = 103, "closing";
        /// the stream is already in that state
        WrongState = 104, "wrong-state";
        /// TLS before 1.3 cannot end one direction alone: close the tunnel
        NotInThisTls = 105, "not-in-this-tls";
        /// not both ends give receipts
        Unsupported = 106, "unsupported";
        /// the peer may have sent more than was read
        Early = 107, "early";
        /// no XML stream is open
        NoStream = 108, "no-stream";
        /// the peer has been asked and has not answered
        AlreadyAsked = 109, "already-asked";
        /// as much is waiting to be sent as the configuration allows
        Full = 110, "full";
        /// the element is not a stanza
        NotAStanza = 111, "not-a-stanza";
        /// the stanza is not between the two ends
        ForeignAddress = 112, "foreign-address";
        /// the element is larger than the configuration allows
        TooLarge = 113, "too-large";
        /// it is for the stream itself to send
        Reserved = 114, "reserved";
        /// no certificate is presented to the server
        NoCertificate = 115, "no-certificate";
        /// nothing is asked that this answers
        NotAsked = 116, "not-asked";
    }
}
