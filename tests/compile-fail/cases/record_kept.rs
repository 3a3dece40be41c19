//! A record is kept although the chunk that it lies in has gone back.
use demitasse_core::{Consumer, Platform};

pub async fn first_value<P: Platform>(consumer: &Consumer<P>) -> Option<&[u8]> {
    let fetched = consumer.poll(1).await.ok()??;
    let record = fetched.records().next()?;
    drop(fetched);
    record.value
}

fn main() {}
