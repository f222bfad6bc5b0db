//! SOCKS5 bytestreams (XEP-0065) as a Jingle transport (XEP-0260), sans-IO.
//!
//! A [`DstAddr`] names a bytestream where the two ends of its connection meet.

mod dst_addr;

pub use dst_addr::{DstAddr, DstAddrError};
