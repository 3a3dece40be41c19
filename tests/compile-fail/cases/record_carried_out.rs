//! A record is carried out of the call that it is lent to.
use demitasse_core::{Consumed, Consumer, Platform};

pub async fn keep<'a, P: Platform>(consumer: &Consumer<P>, kept: &mut Vec<Consumed<'a>>) {
    let mut records = consumer.records(100);
    let _ = records.next(|record| kept.push(record)).await;
}

fn main() {}
