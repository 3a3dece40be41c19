//! Bootstrap addresses where no plain Kafka answers. The line names the address.

use crate::{assert_refused, kafka};
use demitasse_kafka_tests::enabled;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

fn assert_unreachable(address: &str) {
    assert_refused(address, "topic", &[], b"line\n", &[address]);
}

/// A server on loopback that does this with each connection, as long as the test binary runs.
fn server(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

#[test]
fn a_host_that_does_not_exist() {
    if enabled() {
        assert_unreachable("no-such-host.invalid:9092");
    }
}

#[test]
fn a_port_where_nobody_listens() {
    if enabled() {
        // Taken and given back: for a while nobody else gets it.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_unreachable(&address.to_string());
    }
}

#[test]
fn an_http_server() {
    if enabled() {
        let address = server(|mut stream| {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        });
        assert_unreachable(&address);
    }
}

#[test]
fn a_port_that_accepts_and_never_answers() {
    if enabled() {
        let address = server(|mut stream| {
            let mut bytes = [0; 1024];
            while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
        });
        assert_unreachable(&address);
    }
}

#[test]
fn kafkas_tls_port_in_plain_text() {
    if enabled() {
        assert_unreachable(&format!("127.0.0.1:{}", kafka().ports(1).tls));
    }
}

#[test]
fn kafkas_sasl_port_without_sasl() {
    if enabled() {
        assert_unreachable(&format!("127.0.0.1:{}", kafka().ports(1).sasl));
    }
}

#[test]
fn an_address_that_is_none() {
    if enabled() {
        for address in ["localhost", "localhost:", "localhost:port", "localhost:70000", ":9092", ""] {
            assert_unreachable(address);
        }
    }
}
