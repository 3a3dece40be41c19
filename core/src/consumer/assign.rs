//! Which partitions are read, from where, and where the reading is.

use super::table::{Position, Reading};
use super::{ConsumeError, ConsumeFault};
use crate::cluster::TopicState;
use crate::exchange::{Topic, TopicError};
use crate::pool::{Link, Seat};
use crate::protocol::list_offsets::{EARLIEST, LATEST};
use crate::state::{Platform, State, Wait};
use crate::time::Instant;
use core::task::Waker;

/// Where the reading of a partition begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Start {
    /// At the first record that there is.
    Beginning,
    /// Behind the last record that there is.
    End,
    /// At the record with this offset; less than 0 counts as 0.
    Offset(i64),
    /// Where the group has been, see [`Config::group_id`](crate::Config::group_id); if it keeps nothing of the partition,
    /// where `auto.offset.reset` says.
    Committed,
    /// At the first record that is as late as this, in milliseconds since 1970; if there is none, behind the last.
    Timestamp(i64),
}

impl<P: Platform> State<P> {
    /// Reads a partition from now on, or from another place.
    pub(crate) fn read_from(&mut self, topic: Topic, partition: i32, start: Start) -> Result<(), TopicError> {
        let index = topic.0 as usize;
        if !self.cluster.topics.get(index).is_some_and(|entry| entry.is_used()) {
            return Err(TopicError::UnknownTopic);
        }
        let place = self.cluster.add_partition(index, partition, true);
        let capacity = self.cluster.partitions.len() as u16;
        let Some(place) = place.filter(|&place| place < self.positions.len()) else {
            return Err(TopicError::TooManyPartitions { capacity });
        };
        if self.cluster.partitions[place].leader < 0 {
            self.want_topic(index, Instant::ZERO);
        }
        self.jump(place, start);
        Ok(())
    }

    /// Whatever was fetched is passed over; what comes next is from here.
    pub(super) fn jump(&mut self, place: usize, start: Start) {
        let (reading, offset, target) = match start {
            // -1 until it is found: what is not known must not be committed.
            Start::Beginning => (Reading::Looking, -1, EARLIEST),
            Start::End => (Reading::Looking, -1, LATEST),
            Start::Offset(offset) => (Reading::Going, offset.max(0), 0),
            Start::Committed => (Reading::Recalling, -1, 0),
            Start::Timestamp(millis) => (Reading::Looking, -1, millis.max(0)),
        };
        self.s.consumer.some_look |= reading == Reading::Looking;
        let position = &mut self.positions[place];
        let paused = position.paused;
        position.leave();
        (position.reading, position.paused, position.target) = (reading, paused, target);
        (position.next, position.fetch) = (offset, offset);
        (position.next_epoch, position.epoch, position.high_watermark) = (-1, -1, -1);
        if reading == Reading::Recalling {
            self.want_group();
        }
        // Somebody may wait for the place, and nothing else need ever happen to it.
        self.tell_room();
        self.reread(place);
    }

    /// Nobody reads the partition any more.
    pub(crate) fn unassign(&mut self, topic: Topic, partition: i32) {
        if let Some(place) = self.position_place(topic, partition) {
            self.positions[place].leave();
            self.cluster.partitions[place].left = true;
            self.tell_room();
        }
    }

    /// Stops or goes on. What is there of a partition that is paused is fetched again when it goes on; where it is to
    /// begin is looked for all the same.
    pub(crate) fn pause(&mut self, topic: Topic, partition: i32, paused: bool) {
        let Some(place) = self.position_place(topic, partition) else { return };
        let position = &mut self.positions[place];
        if position.paused != paused {
            position.paused = paused;
            position.renew();
            // What is wrong further on will be found again there.
            (position.fetch, position.epoch) = (position.next, position.next_epoch);
            position.asked = Link::NONE;
            position.take_expected();
            self.reread(place);
        }
    }

    /// The offset of the next record that will be handed out, if it is known.
    pub(crate) fn position(&self, topic: Topic, partition: i32) -> Option<i64> {
        let position = &self.positions[self.position_place(topic, partition)?];
        position.is_known().then_some(position.next)
    }

    /// As [`State::position`], once it is known.
    pub(crate) fn poll_position(
        &mut self,
        topic: Topic,
        partition: i32,
        seat: &mut Seat,
        waker: &Waker,
        replaced: &mut Option<Waker>,
    ) -> Wait<Result<i64, ConsumeError>> {
        let place = self.position_place(topic, partition);
        if let Some(place) = place
            && let Some((offset, fault)) = self.positions[place].take_untold()
        {
            self.s.consumer.faults = self.s.consumer.faults.saturating_sub(1);
            return Wait::Ready(Err(ConsumeError { topic, partition, offset, fault }));
        }
        let reading = place.map_or(Reading::Unassigned, |place| self.positions[place].reading);
        let fault = match (self.position(topic, partition), reading) {
            (_, Reading::Unassigned) => ConsumeFault::Unassigned,
            (Some(offset), _) => return Wait::Ready(Ok(offset)),
            (None, Reading::Failed) => ConsumeFault::ToldBefore,
            (None, _) if self.s.closing => ConsumeFault::Closed,
            (None, _) => return self.wait_for_room(seat, waker, replaced, Instant::NEVER),
        };
        Wait::Ready(Err(ConsumeError { topic, partition, offset: -1, fault }))
    }

    /// How many records behind the end of what all replicas have, and with `read_committed` of what no open transaction is
    /// in front of, as far as the last answer said.
    pub(crate) fn lag(&self, topic: Topic, partition: i32) -> Option<u64> {
        let position = &self.positions[self.position_place(topic, partition)?];
        let known = position.reading == Reading::Going && position.high_watermark >= 0;
        known.then(|| u64::try_from(position.high_watermark.saturating_sub(position.next)).unwrap_or(0))
    }

    /// Of the partitions that are known of: all those that are read are among them.
    pub(super) fn known_positions(&mut self) -> &mut [Position] {
        let known = self.known_partitions();
        self.positions.get_mut(..known).unwrap_or_default()
    }

    /// The place of a partition that is or was read. One that is only known of may lose its place to another.
    pub(super) fn position_place(&self, topic: Topic, partition: i32) -> Option<usize> {
        let place = crate::cluster::find_place(&self.cluster.partitions, topic.0 as usize, partition)?;
        self.positions.get(place).filter(|_| self.cluster.partitions[place].pinned).map(|_| place)
    }

    /// The partition cannot be read on, until somebody jumps.
    #[inline(never)]
    pub(super) fn fail_reading(&mut self, place: usize, offset: i64, fault: ConsumeFault) {
        let more = u16::from(self.positions[place].fail(offset, fault));
        self.s.consumer.faults = self.s.consumer.faults.saturating_add(more);
        self.tell_room();
    }

    /// Ends the reading of partitions that can never be: after metadata, which says what there is.
    pub(crate) fn fail_hopeless_reading(&mut self) {
        for place in 0..self.known_positions().len() {
            let position = &self.positions[place];
            if matches!(position.reading, Reading::Unassigned | Reading::Failed) {
                continue;
            }
            let (entry, next) = (&self.cluster.partitions[place], position.next);
            let topic = &self.cluster.topics[entry.topic()];
            let fault = match topic.state() {
                TopicState::Refused(code) => ConsumeFault::Refused(code),
                TopicState::Known if entry.index as u32 >= topic.partition_count => {
                    ConsumeFault::NoSuchPartition { partitions: topic.partition_count }
                }
                _ => match self.cluster.no_place(place) {
                    Some(error) => ConsumeFault::NoPlace(error),
                    None => continue,
                },
            };
            self.fail_reading(place, next, fault);
        }
    }

    /// The next error that has not been told.
    pub(super) fn take_fault(&mut self) -> Option<ConsumeError> {
        if self.s.consumer.faults == 0 {
            return None;
        }
        for place in 0..self.known_positions().len() {
            if let Some((offset, fault)) = self.positions[place].take_untold() {
                self.s.consumer.faults -= 1;
                let entry = &self.cluster.partitions[place];
                let topic = Topic(entry.topic() as u16);
                return Some(ConsumeError { topic, partition: entry.index, offset, fault });
            }
        }
        self.s.consumer.faults = 0;
        None
    }
}
