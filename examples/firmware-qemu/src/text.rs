//! Text in a fixed place, without `core::fmt`: its machinery takes kilobytes of flash, a decimal number needs none of it.

/// Up to `N` bytes of text; what does not fit is cut off.
pub struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    /// None yet.
    pub const fn new() -> Self {
        Text { bytes: [0; N], length: 0 }
    }

    /// Adds this.
    pub fn text(self, more: &str) -> Self {
        self.add(more.as_bytes())
    }

    fn add(mut self, more: &[u8]) -> Self {
        for (place, byte) in self.bytes.iter_mut().skip(self.length).zip(more) {
            *place = *byte;
            self.length += 1;
        }
        self
    }

    /// Adds a number, in decimal.
    pub fn number(self, number: u32) -> Self {
        let mut digits = [b'0'; 10];
        let mut rest = number;
        let mut first = digits.len();
        for (index, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            first = index;
            if rest == 0 {
                break;
            }
        }
        self.add(digits.get(first..).unwrap_or_default())
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}
