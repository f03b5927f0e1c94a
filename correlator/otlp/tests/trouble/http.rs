//! Over HTTP, and whatever the way is.
use std::time::Duration;

use ::http::HeaderMap;
use tokio::{io::AsyncWriteExt as _, net::TcpListener};
use weft_core::span::Span;
use weft_otlp::{Compression, Limits, Outcome, Protocol, Settings, Signal};

use crate::{
    backend::{Backend, Say, Told},
    exporting::{Exporting, settings},
};

fn counted(told: &[Told]) -> Vec<Option<usize>> {
    told.iter().map(|told| told.spans).collect()
}

#[tokio::test]
async fn a_backend_that_asks_for_time_gets_it() {
    let backend = Backend::start([Say::Status(429, Some(1)), Say::Status(503, None)]).await;
    let exporting = Exporting::start(settings(&backend.endpoint));
    exporting.push(10);
    assert_eq!(exporting.settled(10).await, [10, 0, 0, 0]);
    let told = backend.told();
    assert_eq!(counted(&told), [Some(10); 3]);
    assert!(told[1].at - told[0].at >= Duration::from_secs(1), "{told:?}");
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_sent_again() {
    let backend = Backend::start([Say::Status(400, None)]).await;
    let exporting = Exporting::start(settings(&backend.endpoint));
    exporting.push(10);
    assert_eq!(exporting.settled(10).await, [0, 10, 0, 0]);
    exporting.push(5);
    assert_eq!(exporting.settled(15).await, [5, 10, 0, 0]);
    assert_eq!(counted(&backend.told()), [Some(10), Some(5)]);
}

#[tokio::test]
async fn a_partial_success_is_counted_and_an_answer_without_sense_is_a_success() {
    let backend =
        Backend::start([Say::Partial(4), Say::Partial(i64::MAX), Say::Partial(-1), Say::Nonsense]).await;
    let exporting = Exporting::start(settings(&backend.endpoint));
    for (spans, expected) in [(10, [6, 4, 0, 0]), (2, [6, 6, 0, 0]), (3, [9, 6, 0, 0]), (1, [10, 6, 0, 0])] {
        exporting.push(spans);
        assert_eq!(exporting.settled(expected.iter().sum()).await, expected);
    }
}

#[tokio::test]
async fn a_backend_that_says_nothing_is_asked_again_and_given_up() {
    let backend = Backend::start(vec![Say::Nothing; 100]).await;
    let limits = Limits { retry: Duration::from_secs(3), ..Limits::default() };
    let exporting = Exporting::start(Settings { limits, ..settings(&backend.endpoint) });
    exporting.push(10);
    assert_eq!(exporting.settled(10).await, [0, 0, 0, 10]);
    assert!(backend.told().len() > 1, "{:?}", backend.told());
}

#[tokio::test]
async fn whoever_is_not_there_costs_what_the_queue_holds() {
    // Nobody listens there any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let limits = Limits { spans: 100, ..Limits::default() };
        let exporting = Exporting::start(Settings { limits, protocol, ..settings(&endpoint) });
        exporting.push(1000);
        assert_eq!(exporting.outcomes(), [0, 0, 900, 0], "{protocol:?}");
        let Exporting { counts, handle, .. } = exporting;
        handle.stop().await;
        assert_eq!(counts.of(Signal::Spans, Outcome::GivenUp), 100, "{protocol:?}");
    }
}

#[tokio::test]
async fn bytes_are_bounded_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let limits = Limits { bytes: 100 * size_of::<Span>(), ..Limits::default() };
    let exporting = Exporting::start(Settings { limits, ..settings(&endpoint) });
    exporting.push(1000);
    let [.., full, _] = exporting.outcomes();
    assert!((900..1000).contains(&full), "{full}");
}

#[tokio::test]
async fn who_speaks_something_else_is_no_backend() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\0\xff\r\n\r\n").await;
            }
        });
        let limits = Limits { retry: Duration::from_secs(2), ..Limits::default() };
        let exporting = Exporting::start(Settings { limits, protocol, ..settings(&endpoint) });
        exporting.push(10);
        assert_eq!(exporting.settled(10).await, [0, 0, 0, 10], "{protocol:?}");
    }
}

#[tokio::test]
async fn what_is_left_at_the_end_is_sent() {
    let backend = Backend::start([]).await;
    let exporting = Exporting::start(settings(&backend.endpoint));
    exporting.push(5000);
    let Exporting { counts, handle, .. } = exporting;
    handle.stop().await;
    assert_eq!(counts.of(Signal::Spans, Outcome::Sent), 5000);
    assert_eq!(counted(&backend.told()).into_iter().flatten().sum::<usize>(), 5000);
}

#[tokio::test]
async fn headers_and_the_way_of_compression_are_the_configurations() {
    for (compression, expected) in [(Compression::Gzip, Some("gzip")), (Compression::None, None)] {
        let backend = Backend::start([]).await;
        let headers = HeaderMap::from_iter([("x-token".parse().unwrap(), "secret".parse().unwrap())]);
        let exporting = Exporting::start(Settings { headers, compression, ..settings(&backend.endpoint) });
        exporting.push(1);
        assert_eq!(exporting.settled(1).await, [1, 0, 0, 0]);
        let told = &backend.told()[0];
        let header = |name: &str| told.headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!((header("x-token"), header("content-encoding")), (Some("secret"), expected));
        assert_eq!(header("content-type"), Some("application/x-protobuf"));
    }
}
