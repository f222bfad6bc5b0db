//! What a client that embeds [`xtls`] keeps between runs, in files that its user alone can read.
//!
//! - [`FileTrustStore`]: what is known of peers, as one JSON file that several processes may share.
//! - `SqliteTrustStore`, with the feature `sqlite`: the same as a database, for many peers.
//! - [`IdentityFile`], [`IdentityDir`]: your own certificates with their keys.
//! - [`PrivateFile`]: what both are made of, for files of your own: replaced as a whole, changed by one process at a time.
//!
//! ```
//! use xtls::{Identity, tls::{KeyAlgorithm, UnixTime}};
//! use xtls_store::{FileTrustStore, IdentityFile};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = std::env::temp_dir().join(format!("xtls-store-{}", std::process::id()));
//! # let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_760_000_000));
//! xtls_store::make_private_dir(&directory)?;
//! let juliet = "juliet@capulet.lit".parse()?;
//! // Made the first time, and found ever after.
//! let make = || Identity::generate(&juliet, KeyAlgorithm::default(), time);
//! let identity = IdentityFile::new(directory.join("juliet.pem")).read_or_make(make)?;
//! // A clone is the same store: one for the engine, one for you.
//! let store = FileTrustStore::open(directory.join("trust.json"))?;
//! let for_the_engine = Box::new(store.clone());
//! # assert_eq!(IdentityFile::new(directory.join("juliet.pem")).read()?.map(|it| it.fingerprint_sha256()), Some(identity.fingerprint_sha256()));
//! # drop((for_the_engine, store));
//! # Ok(std::fs::remove_dir_all(directory)?)
//! # }
//! ```
//!
//! All calls block; those that change a file wait for other processes, for at most [`PATIENCE`]. Every error names its file.
//!
//! On Unix, directories and files are made so that nobody else can enter or read them, and a renaming is made durable by
//! syncing the directory. Elsewhere the permissions are those of the directory above.

mod error;
mod file;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod identity;
mod lock;
mod private;
#[cfg(feature = "sqlite")]
mod sqlite;
mod trust;

pub use error::{FileError, FileFault};
pub use file::PrivateFile;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use identity::{FoundIdentity, IdentityDir, IdentityFile};
pub use lock::{FileLock, PATIENCE};
pub use private::{is_readable_by_all, is_writable_by_all, make_private_dir, private_file};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteTrustStore;
pub use trust::{DocumentError, FileTrustStore, TrustDocument};
