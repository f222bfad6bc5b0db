//! What a fault of the stream means for a link.

use xtls_channel::{Fault, Stage};
use xtls_stream::{DirectFault, StartTlsFault, StreamFault};

/// Sorts a fault of the stream. `first` are the first bytes that came, until a header has.
pub(crate) fn of_stream(fault: DirectFault, stage: Stage, first: Option<&[u8]>, truncated: bool) -> Fault {
    match (&fault, first) {
        (DirectFault::StartTls(StartTlsFault::NotOffered), _) => Fault::NoTls,
        (DirectFault::StartTls(fault), _) => Fault::StartTls(*fault),
        (DirectFault::EarlyEnd, _) => Fault::EndedEarly { stage, truncated },
        (DirectFault::Stream(StreamFault::Xml(_) | StreamFault::Namespace), Some(first)) => {
            Fault::NotXmpp { looks_like: looks_like(first) }
        }
        _ => Fault::Link(fault),
    }
}

/// What protocol begins like this.
fn looks_like(first: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 9] = [
        (&[22, 3], "TLS"),
        (&[21, 3], "TLS"),
        (b"HTTP/", "HTTP"),
        (b"GET ", "HTTP"),
        (b"POST", "HTTP"),
        (b"SSH-", "SSH"),
        (b"220", "SMTP or FTP"),
        (b"* OK", "IMAP"),
        (b"+OK", "POP3"),
    ];
    KNOWN.iter().find(|(beginning, _)| first.starts_with(beginning)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_on_the_port_is_named_where_its_first_bytes_tell() {
        for (first, name) in [
            (b"\x16\x03\x01\x02".as_slice(), Some("TLS")),
            (b"HTTP/1.1 400 Bad Request", Some("HTTP")),
            (b"SSH-2.0-OpenSSH", Some("SSH")),
            (b"220 mail.example.com ESMTP", Some("SMTP or FTP")),
            (b"hello", None),
            (b"", None),
        ] {
            assert_eq!(looks_like(first), name);
        }
    }
}
