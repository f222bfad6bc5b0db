//! Base64 as XEP-0047 has it: RFC 4648 § 4, padded, canonical, and checked before a byte is written.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::PAD};

use crate::{BytestreamFault, Payload, Whitespace};

/// The vector instructions of the machine where there are any. [`PAD`] is RFC 4648 § 4 and nothing else: padding is
/// required, and the bits that no byte carries are zero.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static BASE64: LazyLock<base64::engine::Simd> = LazyLock::new(|| base64::engine::Simd::standard(PAD));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static BASE64: LazyLock<base64::engine::GeneralPurpose> =
    LazyLock::new(|| base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, PAD));

/// Characters that are gathered before they are decoded where white space stands among them: whole groups of four.
const GATHERED: usize = 1024;

/// Appends the base64 of `block` in one run, with padding.
///
/// Straight into the string, which the other crate does by way of a buffer of its own, with a look at each character. That one
/// decodes faster, and is strict.
pub(crate) fn encode(block: &[u8], out: &mut String) {
    base64_simd::STANDARD.encode_append(block, out);
}

/// The characters that `bytes` bytes become.
pub(crate) fn encoded_len(bytes: usize) -> usize {
    bytes.div_ceil(3).saturating_mul(4)
}

/// Appends the decoded block to `out` and tells its size. On a fault nothing is appended.
///
/// The size is computed first: nothing larger than `block_size` is ever decoded.
pub(crate) fn decode(
    payload: Payload<'_>,
    whitespace: Whitespace,
    block_size: u16,
    out: &mut Vec<u8>,
) -> Result<usize, BytestreamFault> {
    // Nearly every block is one run without white space inside; only when that does not work out is it looked at closely.
    if let Some(text) = payload.single() {
        let run = match whitespace {
            Whitespace::Tolerant => trim(text),
            Whitespace::Strict => text,
        };
        let size = decoded_len(run.len(), padding(run.iter().rev()));
        if let Some(size) = size.filter(|size| *size <= usize::from(block_size))
            && append(size, out, |space| BASE64.decode_slice(run, space).ok())
        {
            return Ok(size);
        }
    }
    let size = scan(payload, whitespace, block_size)?;
    if append(size, out, |space| decode_gathered(payload, space)) { Ok(size) } else { Err(BytestreamFault::NotBase64) }
}

/// Decodes one run of characters with nothing else among them into `block`, in place of what was in it. False if it is not base64;
/// then `block` has nothing of use in it.
pub(crate) fn decode_run(run: &[u8], block: &mut Vec<u8>) -> bool {
    let Some(size) = decoded_len(run.len(), padding(run.iter().rev())) else { return false };
    // Blocks are of one size nearly always, and nothing is filled with zeros then.
    block.resize(size, 0);
    BASE64.decode_slice(run, block).is_ok_and(|decoded| decoded == size)
}

/// Lets `decode` fill `size` more bytes of `out`; takes them back unless it fills them all.
fn append(size: usize, out: &mut Vec<u8>, decode: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool {
    let start = out.len();
    out.resize(start + size, 0);
    let done = out.get_mut(start..).and_then(decode) == Some(size);
    if !done {
        out.truncate(start);
    }
    done
}

/// Counts the characters that are not white space and tells the size of what they decode to.
fn scan(payload: Payload<'_>, whitespace: Whitespace, block_size: u16) -> Result<usize, BytestreamFault> {
    let mut characters = 0_usize;
    // The last two characters, the last one in front.
    let mut last = [0_u8; 2];
    for piece in payload.pieces() {
        for byte in piece.ok_or(BytestreamFault::NotBase64)? {
            if !is_space(*byte) {
                characters += 1;
                last = [*byte, last[0]];
            } else if whitespace == Whitespace::Strict {
                return Err(BytestreamFault::NotBase64);
            }
        }
    }
    let size = decoded_len(characters, padding(last.iter())).ok_or(BytestreamFault::NotBase64)?;
    if size > usize::from(block_size) {
        return Err(BytestreamFault::BlockTooLarge { bytes: size, block_size });
    }
    Ok(size)
}

/// Decodes into `space` what was scanned, the white space left out. `None` if it is not base64. With padding anywhere but
/// at the end (XEP-0047 § 6) it comes out shorter than was scanned.
fn decode_gathered(payload: Payload<'_>, space: &mut [u8]) -> Option<usize> {
    let mut gathered = [0_u8; GATHERED];
    let mut count = 0;
    let mut size = 0;
    for byte in payload.pieces().flatten().flatten().filter(|byte| !is_space(**byte)) {
        if count == GATHERED {
            size += BASE64.decode_slice(gathered, space.get_mut(size..)?).ok()?;
            count = 0;
        }
        *gathered.get_mut(count)? = *byte;
        count += 1;
    }
    let end = BASE64.decode_slice(gathered.get(..count)?, space.get_mut(size..)?).ok()?;
    Some(size + end)
}

/// The number of pad characters, looking from the end.
fn padding<'a>(from_end: impl Iterator<Item = &'a u8>) -> usize {
    from_end.take(2).take_while(|byte| **byte == b'=').count()
}

/// The bytes that so many characters with so much padding among them decode to. `None` if no base64 has that length.
fn decoded_len(characters: usize, padding: usize) -> Option<usize> {
    characters.is_multiple_of(4).then(|| (characters / 4 * 3).saturating_sub(padding))
}

/// Without the white space around it.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [byte, rest @ ..] = text
        && is_space(*byte)
    {
        text = rest;
    }
    while let [rest @ .., byte] = text
        && is_space(*byte)
    {
        text = rest;
    }
    text
}

/// XML 1.0 § 2.3, production S.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
