//! Numbers, names and words, each in one table.

/// Makes a type of a table: a line for each variant, with its words, its number and its short name. The numbers are part of the
/// binary interface: they are never given to anything else.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident {
        $(#[doc = $words:literal] $variant:ident = $number:literal, $short:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        #[non_exhaustive]
        pub enum $name {
            $(#[doc = $words] $variant = $number,)*
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its number, which stays the same.
            #[must_use]
            pub const fn number(self) -> i32 {
                match self { $(Self::$variant => $number,)* }
            }

            /// Its short name, which stays the same in all languages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $short,)* }
            }

            /// What it means.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self { $(Self::$variant => $words.trim_ascii(),)* }
            }

            /// Its short name for C.
            #[must_use]
            pub const fn c_str(self) -> &'static core::ffi::CStr {
                match self { $(Self::$variant => $crate::table::c_text(concat!($short, "\0")),)* }
            }

            /// What it means, for C.
            #[must_use]
            pub const fn c_words(self) -> &'static core::ffi::CStr {
                match self { $(Self::$variant => $crate::table::c_text(concat!($words, "\0")),)* }
            }

            /// The one with this number.
            #[must_use]
            pub fn numbered(number: i32) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.number() == number)
            }

            /// The one with this short name.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == name)
            }
        }
    };
}

pub(crate) use table;

/// A text that ends with a zero, without the space that a line of documentation begins with.
pub(crate) const fn c_text(text: &'static str) -> &'static core::ffi::CStr {
    match core::ffi::CStr::from_bytes_with_nul(text.as_bytes().trim_ascii_start()) {
        Ok(text) => text,
        Err(_) => c"",
    }
}
