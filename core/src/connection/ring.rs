//! What is outstanding on a connection. Kafka answers in order, so it is a ring: the front is what is answered next.

use crate::pool::Link;
use crate::protocol::ApiKey;
use crate::time::Instant;

/// One outstanding request.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub(crate) correlation_id: i32,
    /// The API's key and the version that it was asked with.
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) deadline: Instant,
    /// The first of its batches, linked by `Batch::request_next`.
    pub(crate) batches: Link,
}

impl Request {
    /// A free place.
    pub const EMPTY: Request =
        Request { correlation_id: 0, api: ApiKey::Produce, version: 0, deadline: Instant::ZERO, batches: Link::NONE };
}

/// Indexes into a connection's own stretch of the table of requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    front: u16,
    length: u16,
    next_correlation_id: i32,
}

impl Ring {
    pub(crate) const EMPTY: Ring = Ring { front: 0, length: 0, next_correlation_id: 0 };

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.length as usize
    }

    /// The id that the next request will carry. Never the same for two requests that could be confused.
    pub(crate) fn next_correlation_id(&self) -> i32 {
        self.next_correlation_id
    }

    pub(crate) fn is_full(&self, places: &[Request]) -> bool {
        self.length as usize >= places.len()
    }

    pub(crate) fn push(&mut self, places: &mut [Request], request: Request) {
        debug_assert!(!self.is_full(places));
        let at = (self.front as usize + self.length as usize) % places.len().max(1);
        if let Some(place) = places.get_mut(at) {
            *place = request;
            self.length += 1;
            self.next_correlation_id = self.next_correlation_id.wrapping_add(1) & i32::MAX;
        }
    }

    pub(crate) fn front(&self, places: &[Request]) -> Option<Request> {
        if self.length == 0 { None } else { places.get(self.front as usize).copied() }
    }

    /// The request that was pushed last.
    pub(crate) fn back_mut<'a>(&self, places: &'a mut [Request]) -> Option<&'a mut Request> {
        let last = (self.length as usize).checked_sub(1)?;
        let at = (self.front as usize + last) % places.len().max(1);
        places.get_mut(at)
    }

    pub(crate) fn front_mut<'a>(&self, places: &'a mut [Request]) -> Option<&'a mut Request> {
        if self.length == 0 { None } else { places.get_mut(self.front as usize) }
    }

    /// None of the requests is due before `deadline`.
    #[cfg(feature = "consumer")]
    pub(crate) fn postpone(&self, places: &mut [Request], deadline: Instant) {
        for step in 0..self.length as usize {
            let at = (self.front as usize + step) % places.len().max(1);
            if let Some(request) = places.get_mut(at) {
                request.deadline = request.deadline.max(deadline);
            }
        }
    }

    /// Takes back the request that was pushed last, because nobody will answer it.
    pub(crate) fn pop_back(&mut self, places: &mut [Request]) -> Option<Request> {
        let request = self.back_mut(places).copied()?;
        self.length -= 1;
        Some(request)
    }

    pub(crate) fn pop(&mut self, places: &[Request]) -> Option<Request> {
        let request = self.front(places)?;
        self.front = (self.front + 1) % places.len() as u16;
        self.length -= 1;
        Some(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_questions_around_the_ring() {
        let mut places = [Request::EMPTY; 3];
        let mut ring = Ring::EMPTY;
        let (mut asked, mut answered) = (0, 0);
        for step in 0..20 {
            while !ring.is_full(&places) {
                assert_eq!(ring.next_correlation_id(), asked);
                ring.push(&mut places, Request { correlation_id: asked, ..Request::EMPTY });
                asked += 1;
            }
            for _ in 0..step % 3 + 1 {
                assert_eq!(ring.pop(&places).map(|r| r.correlation_id), Some(answered));
                answered += 1;
            }
        }
    }
}
