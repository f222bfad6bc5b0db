//! Row 12: bytes on the wire for each byte of payload. They are exact.

use xtls::{Element, xml::Limits};

use crate::{
    engines::{Pair, bulk_config, noise},
    failure::Failure,
    plan::Plan,
    references::tls::bulk_provider,
    report::{Line, Target, Unit},
    row::Row,
    stats::{Quartiles, float},
    transfer::{BLOCKS, Shape},
};

/// What is encrypted in a record besides the payload: its type and the tag (RFC 8446 § 5.2).
const INSIDE: usize = 1 + 16;

/// Measures row 12, if it is wanted.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    if !plan.wants(Row::Wire) {
        return Ok(Vec::new());
    }
    let mut lines = Vec::new();
    let mut largest_result = 0;
    for block in BLOCKS {
        let Counted { stanza, payload, result } = count(block);
        largest_result = largest_result.max(result);
        let (gate, aim) = if block == 4096 { (1.41, 1.40) } else { (1.345, 1.340) };
        let name = format!("bytes of a full block's stanza / payload, blocks of {block}");
        let target = Target::new(Row::Wire, name, Unit::Bytes, gate, aim);
        lines.push(target.line(Ok(Quartiles::exact(float(stanza) / float(payload)))));
        plan.note(format!(
            "blocks of {block}: a full one has {stanza} bytes for {payload} of payload, its result {result}"
        ));
    }
    let target = Target::new(Row::Wire, "bytes of the largest acknowledgement", Unit::ByteCount, 160.0, 160.0);
    lines.push(target.line(Ok(Quartiles::exact(float(largest_result)))));
    Ok(lines)
}

/// What a full block comes to.
struct Counted {
    /// Bytes of its stanza, the largest one.
    stanza: usize,
    /// Bytes of payload in it.
    payload: usize,
    /// Bytes of the largest acknowledgement.
    result: usize,
}

fn count(block: usize) -> Counted {
    let size = u16::try_from(block).expect("a block has at most 65 535 bytes");
    let mut pair = Pair::bulk(&bulk_config(size), &bulk_provider());
    // What the ends say of the negotiation goes first.
    pair.send(&noise(1));
    let data = noise(16 * Shape::of(block).write);
    let mut records = Records::default();
    let (mut blocks, mut result, mut payload) = (Vec::new(), 0, 0);
    pair.transfer(
        &data,
        |end, stanza| {
            if end == 0 {
                let bytes = decoded(stanza);
                let inside = records.payload(&bytes);
                payload += inside;
                blocks.push((bytes.len(), stanza.len(), inside));
            } else {
                result = result.max(stanza.len());
            }
        },
        |_| (),
    );
    assert_eq!(payload, data.len(), "the records hold what was sent and nothing else");
    let full = blocks.iter().map(|block| block.0).max().expect("there are blocks");
    let full: Vec<_> = blocks.iter().filter(|block| block.0 == full).collect();
    assert!(2 * full.len() > blocks.len(), "most blocks are full");
    // Numbers in a stanza have more or fewer digits; records, if they straddle, more or fewer headers in a block.
    let stanza = full.iter().map(|block| block.1).max().expect("there are full blocks");
    let payload = full.iter().map(|block| block.2).min().expect("there are full blocks");
    Counted { stanza, payload, result }
}

/// The bytes of a block.
fn decoded(stanza: &str) -> Vec<u8> {
    let mut limits = Limits::default();
    limits.stanza_bytes = limits.stanza_bytes.max(stanza.len());
    let element = Element::parse(stanza, &limits).expect("a stanza");
    let data = element.children().find(|child| child.name() == "data").expect("a block");
    base64_simd::STANDARD.decode_to_vec(data.text().as_bytes()).expect("base64")
}

/// Where we are in a row of TLS records.
#[derive(Default)]
struct Records {
    header: Vec<u8>,
    /// Bytes of the record that are still to come.
    rest: usize,
}

impl Records {
    /// How many of these bytes are payload.
    fn payload(&mut self, mut bytes: &[u8]) -> usize {
        let mut payload = 0;
        while let Some((first, after)) = bytes.split_first() {
            if self.rest == 0 {
                self.header.push(*first);
                bytes = after;
                if let [_, _, _, high, low] = self.header[..] {
                    self.rest = usize::from(u16::from_be_bytes([high, low]));
                    self.header.clear();
                }
                continue;
            }
            let taken = self.rest.min(bytes.len());
            let of_payload = |rest: usize| rest.saturating_sub(INSIDE);
            payload += of_payload(self.rest) - of_payload(self.rest - taken);
            self.rest -= taken;
            bytes = &bytes[taken..];
        }
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_is_counted_wherever_records_are_cut() {
        let mut bytes = Vec::new();
        for length in [1_u16, 300, 4074] {
            bytes.extend_from_slice(&[23, 3, 3]);
            bytes.extend_from_slice(&(length + 17).to_be_bytes());
            bytes.resize(bytes.len() + usize::from(length) + INSIDE, 0);
        }
        assert_eq!(bytes.len(), 1 + 300 + 4074 + 3 * (5 + INSIDE));
        for chunk in [1, 3, 7, 400, 5000] {
            let mut records = Records::default();
            let payload: usize = bytes.chunks(chunk).map(|bytes| records.payload(bytes)).sum();
            assert_eq!(payload, 1 + 300 + 4074, "pieces of {chunk}");
        }
    }
}
