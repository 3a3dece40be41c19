//! Whether the consumer's tables agree with each other: for tests, which ask after every step.

use super::segment::Segment;
use super::table::{Holder, Reading};
use crate::connection::Phase;
use crate::protocol::ApiKey;
use crate::state::{Platform, State};

type Verdict = Result<(), &'static str>;

fn must(holds: bool, what: &'static str) -> Verdict {
    if holds { Ok(()) } else { Err(what) }
}

impl<P: Platform> State<P> {
    /// The first rule of reading that does not hold.
    pub(crate) fn audit_reading(&mut self) -> Verdict {
        if !self.s.started {
            return Ok(());
        }
        let gauges = self.gauges();
        must(gauges.bytes_held + gauges.bytes_in_flight <= gauges.memory, "more is held and asked for than there is")?;
        for chunk in self.chunks.iter() {
            let here = chunk.buffer.is_some();
            let right = match chunk.holder {
                Holder::Queue => here,
                // It may be on its way back from a connection's task.
                Holder::Nobody | Holder::Request | Holder::Verifier => true,
                Holder::Caller => !here,
            };
            must(right, "a chunk's buffer is not where it should be")?;
            // Where nothing fits any more a segment's beginning is behind the end.
            let end = if chunk.wanted > 0 { chunk.end.saturating_add(chunk.wanted) } else { chunk.filled };
            let fits = end <= self.s.consumer.chunk_bytes;
            must(fits, "more is wanted for a chunk than it holds")?;
        }
        let held_by = |holder| self.chunks.iter().filter(|chunk| chunk.holder == holder).count();
        let (asked, callers) = (held_by(Holder::Request), held_by(Holder::Caller));
        must(callers == self.s.consumer.callers as usize, "chunks in the hands of callers are miscounted")?;
        must(asked == self.fetches_out()?, "a chunk waits for an answer that will not come")?;
        for place in 0..self.positions.len() {
            let position = &self.positions[place];
            must(!position.fresh, "a position is still being asked for")?;
            must(!position.lent || callers > 0, "a position is lent, and nobody has a loan")?;
            if let Some(slot) = position.asked.get() {
                let outstanding = self.connections.get(slot).is_some_and(|slot| !slot.ring.is_empty());
                must(outstanding, "a position waits for an answer that will not come")?;
            }
        }
        self.audit_held()?;
        let looks = self.positions.iter().any(|position| position.reading == Reading::Looking);
        must(!looks || self.s.consumer.some_look, "a position is to be looked for, and nobody knows")?;
        let faults = self.positions.iter().filter(|position| position.is_untold()).count();
        must(faults <= self.s.consumer.faults as usize, "errors of partitions are miscounted")
    }

    /// What a position is said to have waiting is what is there, unless a caller has some of it.
    fn audit_held(&mut self) -> Verdict {
        for place in 0..self.positions.len() {
            let (mut found, mut away) = (0, false);
            for index in 0..self.chunks.len() {
                let chunk = &self.chunks[index];
                let streams = chunk.holder == Holder::Request && !chunk.stream.is_none();
                let counts = matches!(chunk.holder, Holder::Verifier | Holder::Queue | Holder::Caller);
                away |= (counts || streams) && chunk.buffer.is_none();
                let begun = chunk.buffer.as_ref().filter(|_| streams).and_then(|buffer| Segment::read(buffer));
                found += u16::from(begun.is_some_and(|segment| segment.place as usize == place));
                let mut from = 0;
                while let Some(segment) = self.segment_at(index, from).filter(|_| counts) {
                    from += segment.bytes();
                    found += u16::from(segment.place as usize == place);
                }
            }
            let held = self.positions[place].held;
            must(away || held <= found, "a position waits for what is nowhere")?;
        }
        Ok(())
    }

    /// Fetch requests whose answers go on into a chunk of their own; one that is streamed may be elsewhere.
    fn fetches_out(&mut self) -> Result<usize, &'static str> {
        let mut out = 0;
        for slot in 0..self.connections.len() {
            let (mut ring, mut own) = (self.connections[slot].ring, 0);
            while let Some(request) = ring.pop(self.places(slot)) {
                let fetches = request.api == ApiKey::Fetch;
                own += usize::from(fetches);
                let chunk = request.batches.get().filter(|_| fetches).and_then(|chunk| self.chunks.get(chunk));
                out += usize::from(chunk.is_some_and(|chunk| chunk.holder == Holder::Request));
            }
            let connection = &self.connections[slot];
            must(own <= 1, "two requests for records on a connection")?;
            must(connection.phase == Phase::Closed || connection.fetching == (own == 1), "fetching is misremembered")?;
        }
        Ok(out)
    }
}
