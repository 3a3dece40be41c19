//! Records to fill batches with.

use super::name;
use demitasse_core::records::{Fields, Header};
use kafka_protocol::protocol::StrBytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub struct Given {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(StrBytes, Option<Vec<u8>>)>,
    pub timestamp_delta: i64,
}

impl Given {
    pub fn with<R>(&self, then: impl FnOnce(&Fields<'_>) -> R) -> R {
        let headers: Vec<Header<'_>> =
            self.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        then(&Fields {
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &headers,
            timestamp_delta: self.timestamp_delta,
        })
    }
}

/// Null, or with a length around the edges of its varint.
pub fn field() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        1 => Just(None),
        4 => vec(any::<u8>(), 0..20).prop_map(Some),
        1 => vec(any::<u8>(), 60..68).prop_map(Some),
        1 => (8188usize..8196, any::<u8>()).prop_map(|(length, byte)| Some(vec![byte; length])),
    ]
}

pub fn record() -> impl Strategy<Value = Given> {
    // The oracle keeps headers in a map: names once each, in the order of the map.
    let headers = prop_oneof![2 => Just(0), 1 => 0..5usize].prop_flat_map(|many| {
        btree_map(name().prop_map(|name| name.to_string()), field(), many)
            .prop_map(|map| map.into_iter().map(|(key, value)| (StrBytes::from_string(key), value)).collect())
    });
    let delta = prop_oneof![3 => -70..70i64, 1 => -(1i64 << 40)..1 << 40];
    (field(), field(), headers, delta).prop_map(|(key, value, headers, timestamp_delta)| Given {
        key,
        value,
        headers,
        timestamp_delta,
    })
}
