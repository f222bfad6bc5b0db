//! What goes on the wire where the specifications leave a choice or contradict one another: what is emitted, exactly, and
//! each decision on an inconsistency, under the number that it has in `docs`.
mod bytestream;
mod capabilities;
mod certificates;
mod closing;
mod confirmation;
mod emit;
mod fingerprints;
mod half_rtt;
mod passwords;
mod redirect;
mod sessions;
mod streams;
mod tie_break;
mod tls;
mod unclaimed;
mod versions;
mod window;
