//! Random numbers of the operating system.

use xtls::tls::default_provider;

use crate::exit::Failure;

/// So many random bytes.
///
/// # Errors
///
/// When there are none to be had.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    let filled = default_provider().secure_random.fill(&mut bytes);
    filled.map_err(|_| Failure::other("the operating system gives no random numbers"))?;
    Ok(bytes)
}
