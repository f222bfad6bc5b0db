//! Short names that stay the same, each written once.

/// Gives a type `as_str` and `NAMES` from one table: one arm for each variant and none for the rest, so that a variant without a
/// name does not compile.
///
/// ```
/// enum Colour {
///     Red,
///     Other(u8),
/// }
///
/// impl Colour {
///     xtls_stanza::names! {
///         /// A short and stable name.
///         self: Self {
///             Self::Red => "red",
///             Self::Other(_) => "other",
///         }
///     }
/// }
/// assert_eq!(Colour::NAMES, ["red", "other"]);
/// assert_eq!((Colour::Red.as_str(), Colour::Other(7).as_str()), ("red", "other"));
/// ```
#[macro_export]
macro_rules! names {
    ($(#[$doc:meta])* $self:ident: $type:ty { $($pattern:pat => $name:literal,)* }) => {
        /// All that [`as_str`](Self::as_str) can say, in the order of the variants.
        pub const NAMES: &'static [&'static str] = &[$($name),*];

        $(#[$doc])*
        #[must_use]
        pub fn as_str($self: $type) -> &'static str {
            match $self {
                $($pattern => $name,)*
            }
        }
    };
}
