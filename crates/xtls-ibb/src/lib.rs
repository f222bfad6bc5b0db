//! XEP-0047 in-band bytestreams and XEP-0261, sans-IO: seq, base64, windows, acknowledgements.
