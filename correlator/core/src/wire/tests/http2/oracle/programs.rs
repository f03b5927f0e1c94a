//! A client and a server made with the `h2` crate, and what they themselves say happened.
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client, server};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::task::{LocalSet, spawn_local};

use super::wire::{Log, Tap, Written, pipe};

/// How the ends are set up.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) window: u32,
    pub(super) connection_window: u32,
    pub(super) max_frame: u32,
    pub(super) client_table: u32,
    pub(super) server_table: u32,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    /// The client loses interest when the response's head is there.
    Cancelled,
    /// The server breaks off instead of an answer.
    Refused,
}

/// One request and its response.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) method: &'static str,
    pub(super) status: u16,
    /// Names and values of further fields, whether they are secret.
    pub(super) fields: Vec<(u8, String, bool)>,
    /// Sizes of the pieces that bodies are sent in.
    pub(super) request: Vec<usize>,
    pub(super) response: Vec<usize>,
    pub(super) trailers: bool,
    pub(super) fate: Fate,
}

/// What an end received of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) method: String,
    pub(super) status: u16,
    pub(super) body: usize,
    pub(super) ended: bool,
}

/// What the ends say, by request.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Of requests.
    pub(super) server: BTreeMap<usize, Received>,
    /// Of responses.
    pub(super) client: BTreeMap<usize, Received>,
}

type Shared = Rc<RefCell<Said>>;

/// Lets the two talk; gives the bytes in the order of writing, and what the two say.
pub(super) fn talk(setup: &Setup, plans: &[Plan]) -> (Written, Said) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (log, said) = (Log::default(), Shared::default());
    let (client, server) = pipe(&log);
    LocalSet::new().block_on(&runtime, async {
        let plans: Rc<[Plan]> = plans.into();
        let serving = spawn_local(serve(server, setup.clone(), plans.clone(), said.clone()));
        ask(client, setup, plans, said.clone()).await;
        serving.await.unwrap();
    });
    (log.take(), Rc::try_unwrap(said).ok().unwrap().into_inner())
}

fn fields(headers: &mut HeaderMap, plan: &Plan) {
    for (name, value, secret) in &plan.fields {
        let name = HeaderName::try_from(format!("x-field-{name}")).unwrap();
        let mut value = HeaderValue::try_from(value).unwrap();
        value.set_sensitive(*secret);
        headers.append(name, value);
    }
}

async fn send(mut stream: SendStream<Bytes>, pieces: &[usize], trailers: bool) {
    for (index, size) in pieces.iter().enumerate() {
        let last = index + 1 == pieces.len() && !trailers;
        if stream.send_data(vec![7; *size].into(), last).is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    if trailers {
        let mut map = HeaderMap::new();
        map.insert("x-sum", HeaderValue::from_static("1"));
        // The stream may be reset by now.
        let _ = stream.send_trailers(map);
    }
}

async fn receive(mut body: RecvStream) -> (usize, bool) {
    let mut len = 0;
    while let Some(data) = body.data().await {
        let Ok(data) = data else { return (len, false) };
        len += data.len();
        if body.flow_control().release_capacity(data.len()).is_err() {
            return (len, false);
        }
    }
    (len, body.trailers().await.is_ok())
}

async fn serve(tap: Tap, setup: Setup, plans: Rc<[Plan]>, said: Shared) {
    let mut connection = server::Builder::new()
        .initial_window_size(setup.window)
        .initial_connection_window_size(setup.connection_window)
        .max_frame_size(setup.max_frame)
        .header_table_size(setup.server_table)
        .handshake::<_, Bytes>(tap)
        .await
        .unwrap();
    while let Some(Ok((request, respond))) = connection.accept().await {
        spawn_local(answer(request, respond, plans.clone(), said.clone()));
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: server::SendResponse<Bytes>,
    plans: Rc<[Plan]>,
    said: Shared,
) {
    let index: usize = request.uri().path().trim_start_matches('/').parse().unwrap();
    let (plan, method) = (&plans[index], request.method().to_string());
    let received = Received { method, ..Received::default() };
    said.borrow_mut().server.insert(index, received);
    if plan.fate == Fate::Refused {
        return respond.send_reset(h2::Reason::REFUSED_STREAM);
    }
    let mut response = Response::builder().status(plan.status).body(()).unwrap();
    fields(response.headers_mut(), plan);
    let empty = plan.response.is_empty() && !plan.trailers;
    let Ok(stream) = respond.send_response(response, empty) else { return };
    let sending = async {
        if !empty {
            send(stream, &plan.response, plan.trailers).await;
        }
    };
    let ((), (body, ended)) = tokio::join!(sending, receive(request.into_body()));
    let mut said = said.borrow_mut();
    let received = said.server.get_mut(&index).unwrap();
    (received.body, received.ended) = (body, ended);
}

async fn ask(tap: Tap, setup: &Setup, plans: Rc<[Plan]>, said: Shared) {
    let (send_request, connection) = client::Builder::new()
        .initial_window_size(setup.window)
        .initial_connection_window_size(setup.connection_window)
        .max_frame_size(setup.max_frame)
        .header_table_size(setup.client_table)
        .handshake::<_, Bytes>(tap)
        .await
        .unwrap();
    let driving = spawn_local(connection);
    let mut asking = Vec::new();
    for (index, plan) in plans.iter().enumerate() {
        let Ok(mut ready) = send_request.clone().ready().await else { break };
        let uri = format!("http://shop:80/{index}");
        let mut request = Request::builder().method(plan.method).uri(uri).body(()).unwrap();
        fields(request.headers_mut(), plan);
        let empty = plan.request.is_empty() && !plan.trailers;
        let (response, stream) = ready.send_request(request, empty).unwrap();
        asking.push(spawn_local(exchange(index, plan.clone(), empty, response, stream, said.clone())));
    }
    for task in asking {
        task.await.unwrap();
    }
    drop(send_request);
    // The server may close first.
    let _ = driving.await;
}

async fn exchange(
    index: usize,
    plan: Plan,
    empty: bool,
    response: client::ResponseFuture,
    mut stream: SendStream<Bytes>,
    said: Shared,
) {
    if plan.fate == Fate::Cancelled {
        if response.await.is_ok() {
            stream.send_reset(h2::Reason::CANCEL);
        }
        return;
    }
    let sending = async {
        if !empty {
            send(stream, &plan.request, plan.trailers).await;
        }
    };
    let receiving = async {
        let response = response.await.ok()?;
        let status = response.status().as_u16();
        let (body, ended) = receive(response.into_body()).await;
        Some(Received { status, body, ended, method: String::new() })
    };
    let ((), received) = tokio::join!(sending, receiving);
    received.into_iter().for_each(|received| {
        said.borrow_mut().client.insert(index, received);
    });
}
