//! What happens on the way between a client and a broker.

use crate::broker::Manner;
use crate::producer::Producer;
use crate::system::point;
use crate::world::{CLIENT, HERE, NAME, THERE, User, simulate};
use demitasse_core::{ConnectionError, SendError};
use std::time::Duration;
use tokio::time::sleep;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_calm_network() {
    simulate(|world| async move {
        let mut user = User::new();
        for _ in 0..10 {
            assert!(user.deliver().await < seconds(2));
        }
        assert_eq!(world.here.accepted.get(), 1);
        user.end(&world).await;
    });
}

/// Until a broker serves it, a client tries again and again, at a bounded rate, and then goes on within its backoff.
#[test]
fn brokers_that_are_not_ready_yet() {
    for manner in [Manner::Refuses, Manner::Closes, Manner::IsSilent] {
        simulate(move |world| async move {
            world.here.manner.set(manner);
            let broker = world.here.manner.clone();
            tokio::task::spawn_local(async move {
                sleep(seconds(10)).await;
                broker.set(Manner::Serves);
            });
            let mut user = User::new();
            let took = user.deliver().await;
            assert!((seconds(10)..seconds(13)).contains(&took), "{manner:?}: {took:?}");
            assert!(world.here.accepted.get() < 30, "{manner:?}: {} connections", world.here.accepted.get());
            assert!(user.deliver().await < seconds(1), "{manner:?}");
            user.end(&world).await;
        });
    }
}

/// Nothing arrives, not even a refusal: the attempt is given up after its time, and another gets through. (Over a
/// partition `turmoil` refuses new connections at once; what is held stands still.)
#[test]
fn a_host_that_is_cut_off_before_the_first_connection() {
    simulate(|world| async move {
        turmoil::hold(CLIENT, HERE);
        tokio::task::spawn_local(async {
            sleep(seconds(10)).await;
            turmoil::release(CLIENT, HERE);
        });
        let mut user = User::new();
        let took = user.deliver().await;
        assert!((seconds(10)..seconds(13)).contains(&took), "{took:?}");
        user.end(&world).await;
    });
}

/// The connection stands, and nothing gets through in one direction or in both, without a reset. It is given up after
/// request.timeout.ms; what was under way is written, once.
#[test]
fn a_connection_that_is_half_open() {
    for (to_broker, to_client) in [(true, true), (true, false), (false, true)] {
        simulate(move |world| async move {
            let mut user = User::new();
            user.deliver().await;
            if to_broker {
                turmoil::partition_oneway(CLIENT, HERE);
            }
            if to_client {
                turmoil::partition_oneway(HERE, CLIENT);
            }
            user.send_regularly(50).await;
            assert!(user.producer.outcome(&user.sent[1]).is_none());
            turmoil::repair(CLIENT, HERE);
            let took = user.deliver().await;
            assert!(took < seconds(4), "after {to_broker} {to_client}: {took:?}");
            assert!(user.producer.metrics().counters.connections_lost > 0);
            user.end(&world).await;
        });
    }
}

/// Bytes that stood still arrive after the client has sent the same over another connection: they are known.
#[test]
fn bytes_that_arrive_late() {
    simulate(|world| async move {
        let mut user = User::new();
        user.deliver().await;
        turmoil::hold(CLIENT, HERE);
        user.send_regularly(50).await;
        turmoil::release(CLIENT, HERE);
        assert!(user.deliver().await < seconds(4));
        let counters = user.producer.metrics().counters;
        assert!(counters.retries > 0 && counters.connections_lost > 0, "{counters:?}");
        user.end(&world).await;
    });
}

/// The node moves to another host, and the name with it. The old host is cut off, or refuses.
#[test]
fn a_name_that_moves() {
    for cut_off in [true, false] {
        simulate(move |world| async move {
            let mut user = User::new();
            user.deliver().await;
            point(NAME, &[THERE]);
            // Who has a connection stays with it.
            assert!(user.deliver().await < seconds(1));
            assert_eq!(world.there.accepted.get(), 0);
            if cut_off {
                turmoil::partition(CLIENT, HERE);
            } else {
                world.here.manner.set(Manner::Leaves);
            }
            let took = user.deliver().await;
            assert!(took < seconds(5), "{took:?}");
            assert!(world.there.accepted.get() > 0);
            user.end(&world).await;
        });
    }
}

/// For a while nobody knows the name any more, just when a new connection is wanted.
#[test]
fn a_name_that_is_lost_for_a_while() {
    simulate(|world| async move {
        let mut user = User::new();
        user.deliver().await;
        point(NAME, &[]);
        world.here.manner.set(Manner::Leaves);
        user.send_regularly(30).await;
        let connection = user.producer.metrics().counters.connections_lost;
        assert!(connection > 0);
        world.here.manner.set(Manner::Serves);
        point(NAME, &[HERE]);
        assert!(user.deliver().await < seconds(3));
        user.end(&world).await;
    });
}

/// A name stands for two hosts, of which the first refuses.
#[test]
fn a_name_with_two_addresses() {
    simulate(|world| async move {
        world.here.manner.set(Manner::Refuses);
        point(NAME, &[HERE, THERE]);
        sleep(seconds(1)).await;
        let mut user = User::new();
        assert!(user.deliver().await < seconds(1));
        user.end(&world).await;
    });
}

/// The first host of a name was cut off, so that nothing came back, not even a refusal: every attempt began with it and
/// ended with it, and the second was never tried.
#[test]
fn a_name_whose_first_address_is_cut_off() {
    simulate(|world| async move {
        turmoil::hold(CLIENT, HERE);
        point(NAME, &[HERE, THERE]);
        let mut user = User::new();
        let took = user.deliver().await;
        assert!(took < seconds(1), "{took:?}");
        user.end(&world).await;
    });
}

/// Why there was no connection is in the error.
#[test]
fn a_handshake_that_fails_is_named() {
    for (manner, expected) in [
        (Manner::Refuses, ConnectionError::Refused),
        (Manner::Closes, ConnectionError::ClosedUnanswered),
        (Manner::IsSilent, ConnectionError::ConnectTimeout),
    ] {
        simulate(move |world| async move {
            world.here.manner.set(manner);
            // Until nobody listens any more.
            sleep(seconds(1)).await;
            let mut builder = Producer::builder().bootstrap_servers(&format!("{NAME}:9092")).max_block(seconds(5));
            builder.config_mut().connection_setup_timeout = seconds(1);
            let error = User::start(builder).send().await.unwrap_err();
            let SendError::Timeout { connection, .. } = error else { panic!("{error}") };
            assert_eq!(connection, Some(expected), "{error}");
        });
    }
}
