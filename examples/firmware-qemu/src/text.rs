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
    pub fn text(&mut self, more: &str) -> &mut Self {
        self.add(more.as_bytes())
    }

    fn add(&mut self, more: &[u8]) -> &mut Self {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        let count = room.len().min(more.len());
        if let (Some(place), Some(bytes)) = (room.get_mut(..count), more.get(..count)) {
            place.copy_from_slice(bytes);
            self.length += count;
        }
        self
    }

    /// Adds a number, in decimal.
    pub fn number(&mut self, mut number: u32) -> &mut Self {
        let mut digits = [0; 10];
        let mut first = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            first -= 1;
            if number == 0 {
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
