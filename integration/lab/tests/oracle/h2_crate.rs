//! The `h2` crate on both sides of a connection, as the test's own threads in the pods' namespaces.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client, server};
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use weft_lab::oracle::{Bench, Claim, Explained, Scenario, port};

/// Smaller than any body: the windows close again and again.
const WINDOW: u32 = 20_000;
const BODY: usize = 150_000;
const LIMIT: Duration = Duration::from_secs(20);

/// What is asked for, and the status of the answer; nothing where the server breaks the stream off.
const REQUESTS: [(&str, &str, Option<u16>); 7] = [
    ("POST", "/echo?a", Some(200)),
    ("GET", "/long-head", Some(200)),
    ("POST", "/echo?b", Some(200)),
    ("GET", "/push", Some(200)),
    ("GET", "/refuse", None),
    ("GET", "/status", Some(418)),
    ("POST", "/echo?c", Some(200)),
];

/// Each on one connection.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("h2 crate, both sides: small windows, trailers, a push, a reset", port::H2, |bench| {
        both_sides(bench, 4096)
    }),
    Scenario::new("h2 crate, both sides: with a small header table", port::H2, |bench| {
        both_sides(bench, 256)
    })
    .explained(&[Explained::new("smaller-table", 10, |difference| difference.weft != "None")]),
];

fn both_sides(bench: &Bench, header_table: u32) -> Result<Claim> {
    let address = SocketAddr::from((bench.server.ipv4(), port::H2));
    // Bound before the client's thread begins.
    let listener =
        bench.server.netns().run(|| std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port::H2)))??;
    let stream = bench.client.netns().run(|| std::net::TcpStream::connect(address))??;
    let statuses = thread::scope(|scope| -> Result<Vec<u16>> {
        let served = scope.spawn(|| block_on(serve(listener)));
        let statuses = scope.spawn(|| block_on(ask(stream, address, header_table))).join();
        served.join().map_err(|_| anyhow!("the server panicked"))??;
        statuses.map_err(|_| anyhow!("the client panicked"))?
    })?;
    // With the one that was pushed, and the one that was refused.
    ensure!(statuses.len() == REQUESTS.len() - 1, "{statuses:?}");
    let claim = Claim::statuses([statuses, vec![200]].concat());
    Ok(Claim { requests: claim.requests + 1, ..claim })
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { tokio::time::timeout(LIMIT, work).await.context("it takes too long")? })
}

async fn serve(listener: std::net::TcpListener) -> Result<()> {
    listener.set_nonblocking(true)?;
    let (stream, _) = TcpListener::from_std(listener)?.accept().await?;
    let mut builder = server::Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(2 * WINDOW);
    let mut connection = builder.handshake::<_, Bytes>(stream).await?;
    let tasks = tokio::task::LocalSet::new();
    let accept = async {
        while let Some(request) = connection.accept().await {
            let (request, respond) = request?;
            tokio::task::spawn_local(answer(request, respond));
        }
        Ok(())
    };
    tasks.run_until(accept).await
}

async fn answer(request: Request<RecvStream>, mut respond: server::SendResponse<Bytes>) -> Result<()> {
    let mut response = Response::builder();
    match request.uri().path() {
        "/refuse" => {
            respond.send_reset(Reason::REFUSED_STREAM);
            return Ok(());
        }
        "/push" => {
            let promise = Request::get(format!(
                "http://{}/pushed",
                request.uri().authority().map_or("", |it| it.as_str())
            ));
            let mut pushed = respond.push_request(promise.body(())?)?;
            pushed.send_response(Response::new(()), false)?.send_data(Bytes::from_static(b"pushed"), true)?;
        }
        "/long-head" => response = response.header("x-filler", "~".repeat(20_000)),
        "/status" => response = response.status(418),
        _ => {}
    }
    let mut stream = respond.send_response(response.body(())?, false)?;
    let body = read(request.into_body()).await?;
    write(&mut stream, body).await?;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-length", body.into());
    stream.send_trailers(trailers)?;
    Ok(())
}

/// Reads a body to its end and gives its length.
async fn read(mut body: RecvStream) -> Result<usize> {
    let mut length = 0;
    while let Some(data) = body.data().await {
        let data = data?;
        length += data.len();
        body.flow_control().release_capacity(data.len())?;
    }
    body.trailers().await?;
    Ok(length)
}

/// Sends so many bytes, as the windows let them pass.
async fn write(stream: &mut SendStream<Bytes>, length: usize) -> Result<()> {
    let mut left = length;
    while left > 0 {
        stream.reserve_capacity(left);
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let now = room.ok_or_else(|| anyhow!("the stream is gone"))??.min(left);
        stream.send_data(Bytes::from(vec![b'x'; now]), false)?;
        left -= now;
    }
    Ok(())
}

async fn ask(stream: std::net::TcpStream, server: SocketAddr, header_table: u32) -> Result<Vec<u16>> {
    stream.set_nonblocking(true)?;
    let mut builder = client::Builder::new();
    builder.initial_window_size(WINDOW).header_table_size(header_table).max_header_list_size(1 << 20);
    let (send, connection) = builder.handshake::<_, Bytes>(TcpStream::from_std(stream)?).await?;
    let tasks = tokio::task::LocalSet::new();
    let all = async {
        let driver = tokio::task::spawn_local(connection);
        let calls: Vec<_> = REQUESTS
            .map(|(method, path, _)| tokio::task::spawn_local(call(send.clone(), method, server, path)))
            .into();
        drop(send);
        let mut statuses = Vec::new();
        for (call, (_, path, expected)) in calls.into_iter().zip(REQUESTS) {
            let status = call.await?.ok();
            ensure!(status == expected, "{path}: {status:?}");
            statuses.extend(status);
        }
        driver.await??;
        Ok(statuses)
    };
    tasks.run_until(all).await
}

async fn call(
    send: client::SendRequest<Bytes>,
    method: &'static str,
    server: SocketAddr,
    path: &'static str,
) -> Result<u16> {
    let request = Request::builder().method(method).uri(format!("http://{server}{path}")).body(())?;
    let mut send = send.ready().await?;
    let upload = method == "POST";
    let (mut response, mut stream) = send.send_request(request, !upload)?;
    drop(send);
    if upload {
        write(&mut stream, BODY).await?;
        stream.send_data(Bytes::new(), true)?;
    }
    drop(stream);
    // The promises of a stream without any do not end.
    let promised = (path == "/push").then(|| response.push_promises());
    let response = response.await?;
    let status = response.status().as_u16();
    read(response.into_body()).await?;
    if let Some(mut promised) = promised {
        let pushed = promised.push_promise().await.context("no push")??;
        read(pushed.into_parts().1.await?.into_body()).await?;
    }
    Ok(status)
}
