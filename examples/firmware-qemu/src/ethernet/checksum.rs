//! TCP's checksum, by words. Controllers of this kind compute it themselves; QEMU's do not, so the driver does what the
//! chip would. The network stack's own goes by single pairs of bytes and takes three times as long.
//!
//! A frame stands in words of which the first two bytes are not its own, so that the header of IP begins a word. The sum
//! of pairs is the same in whatever order the two bytes of all of them are read, hence nothing is turned round.

/// Where the header of IP begins.
const IP: usize = 4;
/// Of TCP's header: the word that the checksum is the first half of.
const CHECKSUM: usize = 4;

/// What a frame is.
enum Frame {
    /// TCP over IPv4: where its header begins, and the sum of all that the checksum is over.
    Tcp { begins: usize, sum: u16 },
    /// It says to be that and cannot be.
    Broken,
    /// Something else, which the network stack checks.
    Other,
}

/// Whether TCP's checksum, if there is one, is right.
pub(super) fn is_right(words: &[u32], length: usize) -> bool {
    match look(words, length) {
        Frame::Tcp { sum, .. } => sum == u16::MAX,
        Frame::Broken => false,
        Frame::Other => true,
    }
}

/// Fills TCP's checksum in, if there is one; it stands at zero.
pub(super) fn fill(words: &mut [u32], length: usize) {
    if let Frame::Tcp { begins, sum } = look(words, length)
        && let Some(word) = words.get_mut(begins + CHECKSUM)
    {
        *word = *word & 0xffff_0000 | u32::from(!sum);
    }
}

/// `length` is that of the frame, Ethernet's header included.
fn look(words: &[u32], length: usize) -> Frame {
    let Some(&[kind, begin, fragment, protocol, from, to]) = words.get(IP - 1..).and_then(|w| w.first_chunk()) else {
        return Frame::Other;
    };
    let ipv4 = kind >> 16 == 0x0008 && begin >> 4 & 0xf == 4;
    if !ipv4 || protocol >> 8 & 0xff != 6 {
        return Frame::Other;
    }
    let header = (begin & 0xf) as usize * 4;
    let whole = usize::from(((begin >> 16) as u16).swap_bytes());
    let segment = whole.saturating_sub(header);
    // More fragments, or not the first.
    let fragments = fragment & 0xff3f_0000 != 0;
    let begins = IP + header / 4;
    let Some(bytes) = words.get(begins..).filter(|_| header >= 20 && segment >= 20 && whole + 14 <= length) else {
        return Frame::Broken;
    };
    let (Some(full), last) = (bytes.get(..segment / 4), bytes.get(segment / 4)) else { return Frame::Broken };
    if fragments {
        return Frame::Broken;
    }
    let odd = segment % 4 * 8;
    let tail = last.map_or(0, |word| word & !(u32::MAX << odd));
    let mut sum = add(add(from, to), u32::from((segment as u16).swap_bytes()));
    sum = add(add(sum, 0x0600), tail);
    let (fours, rest) = full.as_chunks::<4>();
    for [a, b, c, d] in fours {
        sum = add(add(add(add(sum, *a), *b), *c), *d);
    }
    for word in rest {
        sum = add(sum, *word);
    }
    let folded = (sum >> 16) + (sum & 0xffff);
    Frame::Tcp { begins, sum: ((folded >> 16) + (folded & 0xffff)) as u16 }
}

/// What overflows comes in again at the other end.
#[inline]
fn add(a: u32, b: u32) -> u32 {
    let (sum, carry) = a.overflowing_add(b);
    sum.wrapping_add(carry.into())
}
