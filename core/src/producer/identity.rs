//! The producer id, without which an idempotent producer sends nothing: asked for, had, or refused.

use super::{Failure, Identity, Platform, Reason, State};
use crate::connection::backoff_millis;
use crate::pool::Link;
use crate::protocol::{ApiKey, ErrorCode, init_producer_id};
use crate::time::Instant;

impl<P: Platform> State<P> {
    pub(crate) fn ask_identity(&mut self, slot: usize, now: Instant, frame: &mut [u8]) -> Option<usize> {
        let Some(version) = self.connections[slot].versions.get(ApiKey::InitProducerId) else {
            if self.connections[slot].assumed {
                return None;
            }
            self.no_identity(ErrorCode::UNSUPPORTED_VERSION, now);
            return None;
        };
        self.s.identity = Identity::Asked;
        self.s.identity_slot = Link::NONE;
        self.ask(slot, now, frame, ApiKey::InitProducerId, version, |_, w| init_producer_id::request(w, version))
    }

    pub(crate) fn identity_item(&mut self, slot: usize, item: init_producer_id::Item, now: Instant) {
        let init_producer_id::Item::Done { throttle_ms, error, producer_id, producer_epoch } = item;
        self.throttle(slot, throttle_ms, now);
        if self.s.identity != Identity::Asked {
            return;
        }
        if error != ErrorCode::NONE || producer_id < 0 || producer_epoch < 0 {
            return self.no_identity(error, now);
        }
        self.s.identity = Identity::Known;
        self.s.identity_failures = 0;
        (self.s.producer_id, self.s.producer_epoch) = (producer_id, producer_epoch);
        self.reconsider_all();
    }

    /// The broker gave no producer id: it is asked again later, unless it never will.
    pub(crate) fn no_identity(&mut self, code: ErrorCode, now: Instant) {
        let random = self.random();
        self.s.identity = Identity::Wanted;
        self.s.identity_slot = Link::NONE;
        self.s.identity_failures = self.s.identity_failures.saturating_add(1);
        let (base, max) = (self.settings.retry_backoff, self.settings.retry_backoff_max);
        let wait = backoff_millis(base, max, self.s.identity_failures, random);
        self.s.identity_at = now.after_millis(wait);
        let hopeless = [
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
            ErrorCode::UNSUPPORTED_VERSION,
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ];
        if hopeless.contains(&code) {
            warning!("no producer id: broker error {}", code.0);
            for partition in 0..self.known_partitions() {
                if !self.queues[partition].identified {
                    self.fail_unsent(partition, Failure { reason: Reason::NoProducerId, code, connection: None });
                }
            }
        }
        self.wake_clock();
    }
}
