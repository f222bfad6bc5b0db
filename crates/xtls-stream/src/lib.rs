//! The XML stream inside an XTLS tunnel (XEP-0246), sans-IO.
