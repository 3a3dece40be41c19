//! One set of logging macros: to `defmt`, to `log`, or to nothing.
//!
//! Only what both can format may be logged: integers, `bool`, `&str`, and our own types.

#[cfg(all(feature = "defmt", feature = "log"))]
compile_error!("choose one of the features `defmt` (device) and `log` (host)");

#[cfg(feature = "defmt")]
macro_rules! info { ($($arg:tt)*) => { defmt::info!($($arg)*) }; }
#[cfg(feature = "defmt")]
macro_rules! warning { ($($arg:tt)*) => { defmt::warn!($($arg)*) }; }
#[cfg(feature = "defmt")]
macro_rules! debug { ($($arg:tt)*) => { defmt::debug!($($arg)*) }; }

#[cfg(feature = "log")]
macro_rules! info { ($($arg:tt)*) => { log::info!($($arg)*) }; }
#[cfg(feature = "log")]
macro_rules! warning { ($($arg:tt)*) => { log::warn!($($arg)*) }; }
#[cfg(feature = "log")]
macro_rules! debug { ($($arg:tt)*) => { log::debug!($($arg)*) }; }

#[cfg(not(any(feature = "defmt", feature = "log")))]
macro_rules! info { ($fmt:literal $(, $arg:expr)* $(,)?) => { { $( let _ = &$arg; )* } }; }
#[cfg(not(any(feature = "defmt", feature = "log")))]
macro_rules! warning { ($fmt:literal $(, $arg:expr)* $(,)?) => { { $( let _ = &$arg; )* } }; }
#[cfg(not(any(feature = "defmt", feature = "log")))]
macro_rules! debug { ($fmt:literal $(, $arg:expr)* $(,)?) => { { $( let _ = &$arg; )* } }; }
