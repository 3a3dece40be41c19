//! A correct producer that runs while others do everything wrong at the same broker.

use crate::common::{Feed, assert_all_acknowledged, assert_same, produce_while};
use crate::{DEADLINE, FORBIDDEN, QUICK, assert_refused, kafka};
use demitasse_kafka_tests::enabled;
use std::time::Duration;

#[test]
fn a_correct_producer_is_not_disturbed() {
    if !enabled() {
        return;
    }
    let kafka = kafka();
    kafka.create_topic("bystander", 3, 1, &[]).unwrap();
    let bootstrap = kafka.bootstrap();
    let fixed = ["produce", "--bootstrap", &bootstrap, "--topic", "bystander", "--key-separator", "\t", "--json"];
    // With short timeouts of its own: it would not get over a broker that stands still.
    let arguments = [&fixed[..], &QUICK].concat();
    let feed = Feed { keys: 50, burst: 20, pause: Duration::from_millis(10), limit: DEADLINE };
    let (run, lines) = produce_while(&arguments, &feed, || {
        assert_refused(&bootstrap, FORBIDDEN, &[], b"line\n", &[FORBIDDEN]);
        assert_refused(&bootstrap, "bystander", &["--partition", "9"], b"line\n", &["partition"]);
        assert_refused(&bootstrap, "no spaces!", &[], b"line\n", &["topic"]);
        let large = vec![b'x'; 2_000_000];
        assert_refused(&bootstrap, "bystander", &[], &large, &["batch.size"]);
        let sasl = format!("127.0.0.1:{}", kafka.ports(1).sasl);
        assert_refused(&sasl, "bystander", &[], b"line\n", &[&sasl]);
    });
    assert_all_acknowledged(&run, lines.len());
    assert_same(&lines, &kafka.consume("bystander").unwrap());
}
