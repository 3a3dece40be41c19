//! What a caller sees of what has happened.

use super::{Platform, State};

/// Counters since the start; they wrap, on a device with 32 bits.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Counters {
    /// Records taken by `send` and its kin.
    pub records: usize,
    /// Records acknowledged.
    pub acknowledged: usize,
    /// Records that definitely were not written.
    pub failed: usize,
    /// Records of which nobody can tell.
    pub unknown: usize,
    /// Bytes of batches acknowledged.
    pub bytes: usize,
    /// Batches acknowledged.
    pub batches: usize,
    /// Produce requests written.
    pub requests: usize,
    /// Batches sent once more.
    pub retries: usize,
    /// Answers that told that a batch had been written before.
    pub duplicates: usize,
    /// Partitions renumbered under a new epoch.
    pub epoch_bumps: usize,
    /// Renumberings because the broker lacked batches that it had acknowledged: data was lost there.
    pub sequence_gaps: usize,
    /// Times that no buffer was free for a record.
    pub full: usize,
    /// Times that every seat for a waiting task was taken.
    pub waiter_overflows: usize,
    /// Outcomes of unsuccessful batches that were forgotten before anybody had asked.
    pub forgotten_failures: usize,
    /// Answers for batches whose time was over.
    pub late_answers: usize,
    /// Batches that were held when their time was over, see [`UnknownOutcome::Hold`](crate::UnknownOutcome::Hold).
    pub held: usize,
    /// Connections opened.
    pub connections_opened: usize,
    /// Connections that failed or were lost.
    pub connections_lost: usize,
    /// Times that a broker got one connection more, because those it had were not enough.
    #[cfg(feature = "scaling")]
    pub connections_added: usize,
    /// Times that a broker lost one again, because they were more than needed.
    #[cfg(feature = "scaling")]
    pub connections_retired: usize,
    /// Times that a partition went on over another connection to the same broker or to another.
    #[cfg(feature = "scaling")]
    pub partitions_moved: usize,
    /// Metadata responses read.
    pub metadata_responses: usize,
    /// Leaders learnt from Produce and Fetch responses (KIP-951).
    pub leader_hints: usize,
    /// Times that all known brokers were gone and a bootstrap address was tried again.
    pub rebootstraps: usize,
    /// Responses that asked for silence (KIP-219).
    pub throttles: usize,
    /// Responses that left out or doubled something, or came for nothing.
    pub protocol_violations: usize,
}

impl Counters {
    pub(super) const ZERO: Counters = Counters {
        records: 0,
        acknowledged: 0,
        failed: 0,
        unknown: 0,
        bytes: 0,
        batches: 0,
        requests: 0,
        retries: 0,
        duplicates: 0,
        epoch_bumps: 0,
        sequence_gaps: 0,
        full: 0,
        waiter_overflows: 0,
        forgotten_failures: 0,
        late_answers: 0,
        held: 0,
        connections_opened: 0,
        connections_lost: 0,
        #[cfg(feature = "scaling")]
        connections_added: 0,
        #[cfg(feature = "scaling")]
        connections_retired: 0,
        #[cfg(feature = "scaling")]
        partitions_moved: 0,
        metadata_responses: 0,
        leader_hints: 0,
        rebootstraps: 0,
        throttles: 0,
        protocol_violations: 0,
    };
}

impl<P: Platform> State<P> {
    pub(crate) fn counters(&self) -> Counters {
        let mut counters = self.s.counters;
        counters.waiter_overflows = self.s.seats.overflows;
        counters
    }
}
