//! Which partitions are read, from where, and where the reading is.

use super::table::{Position, Reading};
use super::{ConsumeError, ConsumeFault};
use crate::pool::Link;
use crate::producer::{Platform, State, Topic, TopicError};
use crate::protocol::list_offsets::{EARLIEST, LATEST};
use crate::time::Instant;

/// Where the reading of a partition begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Start {
    /// At the first record that there is.
    Beginning,
    /// Behind the last record that there is.
    End,
    /// At the record with this offset.
    Offset(i64),
    /// At the first record that is as late as this, in milliseconds since 1970; if there is none, behind the last.
    Timestamp(i64),
}

impl<P: Platform> State<P> {
    /// Reads a partition from now on, or from another place.
    pub(crate) fn read_from(&mut self, topic: Topic, partition: i32, start: Start) -> Result<(), TopicError> {
        let index = topic.0 as usize;
        let place = self.cluster().add_partition(index, partition, true);
        let capacity = self.s.capacities.partitions;
        let Some(place) = place.filter(|&place| place < self.positions.len()) else {
            return Err(TopicError::TooManyPartitions { capacity });
        };
        if self.partitions[place].leader < 0 {
            self.topics[index].wanted = true;
            self.want_metadata(Instant::ZERO);
        }
        self.jump(place, start);
        Ok(())
    }

    /// Whatever was fetched is passed over; what comes next is from here.
    pub(super) fn jump(&mut self, place: usize, start: Start) {
        let (reading, offset, target) = match start {
            Start::Beginning => (Reading::Looking, 0, EARLIEST),
            Start::End => (Reading::Looking, 0, LATEST),
            Start::Offset(offset) => (Reading::Going, offset.max(0), 0),
            Start::Timestamp(millis) => (Reading::Looking, 0, millis.max(0)),
        };
        let position = &mut self.positions[place];
        let (generation, paused, held) = (position.generation.wrapping_add(1), position.paused, position.held);
        *position = Position { reading, paused, generation, held, target, ..Position::EMPTY };
        (position.next, position.fetch, position.epoch) = (offset, offset, -1);
        position.high_watermark = -1;
        self.reread(place);
    }

    /// Nobody reads the partition any more.
    pub(crate) fn unassign(&mut self, topic: Topic, partition: i32) {
        if let Some(place) = self.position_place(topic, partition) {
            let Position { generation, held, .. } = self.positions[place];
            let generation = generation.wrapping_add(1);
            self.positions[place] = Position { generation, held, ..Position::EMPTY };
        }
    }

    /// Stops or goes on. What is there of a partition that is paused is fetched again when it goes on.
    pub(crate) fn pause(&mut self, topic: Topic, partition: i32, paused: bool) {
        let Some(place) = self.position_place(topic, partition) else { return };
        let position = &mut self.positions[place];
        if position.paused != paused {
            position.paused = paused;
            position.generation = position.generation.wrapping_add(1);
            (position.fetch, position.asked) = (position.next, Link::NONE);
            self.reread(place);
        }
    }

    /// The offset of the next record that will be handed out, if it is known.
    pub(crate) fn position(&self, topic: Topic, partition: i32) -> Option<i64> {
        let position = &self.positions[self.position_place(topic, partition)?];
        (position.reading != Reading::Looking && position.reading != Reading::Unassigned).then_some(position.next)
    }

    /// How many records behind the end of what all replicas have, as far as the last answer said.
    pub(crate) fn lag(&self, topic: Topic, partition: i32) -> Option<u64> {
        let position = &self.positions[self.position_place(topic, partition)?];
        let known = position.reading == Reading::Going && position.high_watermark >= 0;
        known.then(|| u64::try_from(position.high_watermark.saturating_sub(position.next)).unwrap_or(0))
    }

    fn position_place(&self, topic: Topic, partition: i32) -> Option<usize> {
        let place = crate::cluster::find_place(&self.partitions, topic.0 as usize, partition)?;
        self.positions.get(place).map(|_| place)
    }

    /// The partition cannot be read on, until somebody jumps.
    pub(super) fn fail_reading(&mut self, place: usize, offset: i64, fault: ConsumeFault) {
        let position = &mut self.positions[place];
        if position.fault.is_none() {
            self.s.faults += 1;
        }
        (position.reading, position.fault, position.next) = (Reading::Failed, Some(fault), offset.max(position.next));
        self.tell_room();
    }

    /// The next error that has not been told.
    pub(super) fn take_fault(&mut self) -> Option<ConsumeError> {
        if self.s.faults == 0 {
            return None;
        }
        for place in 0..self.positions.len() {
            if let Some(fault) = self.positions[place].fault.take() {
                self.s.faults -= 1;
                let entry = &self.partitions[place];
                let topic = Topic(entry.topic() as u16);
                return Some(ConsumeError { topic, partition: entry.index, offset: self.positions[place].next, fault });
            }
        }
        self.s.faults = 0;
        None
    }
}
