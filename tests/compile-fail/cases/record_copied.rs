//! What is copied may be kept.
use demitasse_core::{Consumer, Platform};

pub async fn first_value<P: Platform>(consumer: &Consumer<P>) -> Option<Vec<u8>> {
    let fetched = consumer.poll(1).await.ok()??;
    let value = fetched.records().next()?.value?.to_vec();
    drop(fetched);
    Some(value)
}

fn main() {}
