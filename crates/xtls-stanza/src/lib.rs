//! The vocabulary of XTLS: namespaces, bounded XML elements and streams, IQs, stanza errors, fingerprints.
