//! Short texts among the settings.

/// Up to `N` bytes of text, 255 at most: `client.id` and its like. It can be made when the program is compiled, too:
///
/// ```
/// use demitasse_core::Name;
///
/// const DEVICE: Name<64> = Name::new("greenhouse-7");
/// let found: Name<64> = "greenhouse-8".try_into()?;
/// assert_ne!(DEVICE, found);
/// # Ok::<(), demitasse_core::NameTooLong>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name<const N: usize> {
    length: u8,
    bytes: [u8; N],
}

impl<const N: usize> Name<N> {
    /// None.
    pub const EMPTY: Self = Name { length: 0, bytes: [0; N] };

    /// The name `text`.
    ///
    /// # Panics
    /// It has more than `N` bytes: in a `const` that is an error of the compiler. [`TryFrom`] gives an error instead.
    pub const fn new(text: &str) -> Self {
        match Self::of(text) {
            Some(name) => name,
            None => panic!("the name is too long for this setting"),
        }
    }

    const fn of(text: &str) -> Option<Self> {
        let mut name = Self::EMPTY;
        if text.len() > N || text.len() > u8::MAX as usize {
            return None;
        }
        name.length = text.len() as u8;
        if let Some((place, _)) = name.bytes.split_at_mut_checked(text.len()) {
            place.copy_from_slice(text.as_bytes());
        }
        Some(name)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        match self.bytes.split_at_checked(self.length as usize) {
            Some((name, _)) => name,
            None => &[],
        }
    }

    /// It as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl<const N: usize> Default for Name<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> TryFrom<&str> for Name<N> {
    type Error = NameTooLong;

    fn try_from(text: &str) -> Result<Self, NameTooLong> {
        Self::of(text).ok_or(NameTooLong { length: text.len(), capacity: N })
    }
}

impl<const N: usize> core::fmt::Debug for Name<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(feature = "defmt")]
impl<const N: usize> defmt::Format for Name<N> {
    fn format(&self, f: defmt::Formatter<'_>) {
        self.as_str().format(f);
    }
}

/// A name that has more bytes than its setting can hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NameTooLong {
    /// Bytes that it has.
    pub length: usize,
    /// Bytes that it may have.
    pub capacity: usize,
}

impl core::fmt::Display for NameTooLong {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the name has {} bytes, it may have {}", self.length, self.capacity)
    }
}

impl core::error::Error for NameTooLong {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_an_error_with_the_sizes() {
        assert_eq!(Name::<3>::try_from("abc").unwrap().as_str(), "abc");
        assert_eq!(Name::<3>::try_from("abcd").unwrap_err(), NameTooLong { length: 4, capacity: 3 });
        let long = [b'a'; 256];
        let long = core::str::from_utf8(&long).unwrap();
        assert_eq!(Name::<300>::try_from(long).unwrap_err().length, 256);
        assert!(Name::<0>::EMPTY.is_empty() && Name::<0>::try_from("").unwrap().as_bytes().is_empty());
    }
}
