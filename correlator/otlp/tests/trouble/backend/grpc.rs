//! The same over gRPC, with or without TLS.
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use ::http::{HeaderMap, Request, Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::{RecvStream, server::SendResponse};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Told, spans};

/// What it says to one request.
#[derive(Clone, Debug)]
pub enum Say {
    /// This status.
    Status(Code),
    /// This status, with RetryInfo.
    Wait(Code, Duration),
}

/// A gRPC server. Past the end of its script it takes everything.
#[derive(Clone, Debug)]
pub struct Backend {
    pub port: u16,
    state: Arc<Mutex<(std::vec::IntoIter<Say>, Vec<Told>)>>,
}

impl Backend {
    pub async fn start(script: Vec<Say>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let backend = Self { port, state: Arc::new(Mutex::new((script.into_iter(), Vec::new()))) };
        let own = backend.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (own, tls) = (own.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => own.serve(stream).await,
                        Some(tls) => {
                            // Whoever does not trust it goes.
                            if let Ok(stream) = tls.accept(stream).await {
                                own.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        backend
    }

    pub fn told(&self) -> Vec<Told> {
        self.state.lock().unwrap().1.clone()
    }

    async fn serve(self, io: impl AsyncRead + AsyncWrite + Unpin) {
        let Ok(mut connection) = h2::server::handshake(io).await else { return };
        while let Some(Ok((request, respond))) = connection.accept().await {
            tokio::spawn(self.clone().answer(request, respond));
        }
    }

    async fn answer(self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let (head, mut body) = request.into_parts();
        let mut frame = BytesMut::new();
        while let Some(Ok(data)) = body.data().await {
            let _ = body.flow_control().release_capacity(data.len());
            frame.put(data);
        }
        assert_eq!(head.uri.path(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
        let say = {
            let mut state = self.state.lock().unwrap();
            // Behind the flag and the length of the message (PROTOCOL-HTTP2.md of grpc/grpc).
            let message = frame.freeze().slice(5..);
            let headers = encoding(&head.headers);
            state.1.push(Told {
                at: Instant::now(),
                spans: spans(&headers, &message),
                headers: head.headers,
            });
            state.0.next()
        };
        match say {
            None => accept(&mut respond),
            Some(Say::Status(code)) => refuse(&mut respond, Status::new(code, "no")),
            Some(Say::Wait(code, wait)) => {
                let details = ErrorDetails::with_retry_info(Some(wait));
                refuse(&mut respond, Status::with_error_details(code, "later", details));
            }
        }
    }
}

/// gRPC has a name of its own for that.
fn encoding(headers: &HeaderMap) -> HeaderMap {
    let value = headers.get("grpc-encoding").cloned();
    value.map(|value| (http::header::CONTENT_ENCODING, value)).into_iter().collect()
}

fn accept(respond: &mut SendResponse<Bytes>) {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut stream = respond.send_response(head, false).unwrap();
    let message = ExportTraceServiceResponse::default().encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(&message);
    stream.send_data(frame.freeze(), false).unwrap();
    let status = [("grpc-status".parse().unwrap(), "0".parse().unwrap())];
    stream.send_trailers(HeaderMap::from_iter(status)).unwrap();
}

fn refuse(respond: &mut SendResponse<Bytes>, status: Status) {
    let head = status.into_http::<tonic::body::Body>().map(drop);
    respond.send_response(head, true).unwrap();
}
