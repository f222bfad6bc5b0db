//! Trust stores: one that fails, and what every one of them has to do.

mod check;
mod failing;

pub use check::check_store;
pub use failing::{FailingStore, StoreCall};
