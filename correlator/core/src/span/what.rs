//! What was asked for, of whom, and what came of it, as the semantic conventions have it (http/http-spans.md, rpc/grpc.md).
use super::attribute::{Attributes, Value, key};
use crate::{AttributedExchange, Exchange, Protocol, Side, semconv};

pub(super) fn describe(attributed: &AttributedExchange, attributes: &mut Attributes) {
    let exchange = &attributed.joined.exchange;
    if exchange.protocol == Protocol::Grpc {
        call(exchange, attributes);
    } else {
        request(exchange, attributes);
        let route = if exchange.side == Side::Server { key::HTTP_ROUTE } else { key::URL_TEMPLATE };
        attributes.text(route, attributed.known_route().unwrap_or(""));
    }
    ends(exchange, attributes);
}

fn call(exchange: &Exchange, attributes: &mut Attributes) {
    attributes.name(key::RPC_SYSTEM_NAME, "grpc");
    let method = semconv::rpc_method(&exchange.path);
    attributes.text(key::RPC_METHOD, method);
    if method == semconv::OTHER {
        attributes.text(key::RPC_METHOD_ORIGINAL, &exchange.path);
    }
    if let Some(code) = exchange.grpc_status() {
        match semconv::grpc_code(code) {
            Some(name) => attributes.name(key::RPC_RESPONSE_STATUS_CODE, name),
            None => attributes.display(key::RPC_RESPONSE_STATUS_CODE, &code),
        }
    }
}

fn request(exchange: &Exchange, attributes: &mut Attributes) {
    let method = semconv::http_method(&exchange.method);
    attributes.name(key::HTTP_REQUEST_METHOD, method);
    if method == semconv::OTHER {
        attributes.text(key::HTTP_REQUEST_METHOD_ORIGINAL, &exchange.method);
    }
    url(exchange, attributes);
    if let Some(status) = exchange.status {
        attributes.push(key::HTTP_RESPONSE_STATUS_CODE, Value::Number(status.into()));
    }
    if exchange.complete {
        attributes.number(key::HTTP_REQUEST_BODY_SIZE, exchange.request.body_bytes);
        let response = exchange.response.map_or(0, |response| response.body_bytes);
        attributes.number(key::HTTP_RESPONSE_BODY_SIZE, response);
    }
}

/// What passed in the clear is of the scheme `http`. The path comes without its query where that is redacted, and the
/// authority always without its user.
fn url(exchange: &Exchange, attributes: &mut Attributes) {
    let Exchange { path: target, authority, side, method, .. } = exchange;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    attributes.name(key::URL_SCHEME, "http");
    attributes.text(key::URL_PATH, path);
    attributes.text(key::URL_QUERY, query);
    if *side == Side::Client && method != "CONNECT" {
        let whom = authority.clone().unwrap_or_else(|| exchange.flow.peer.socket_addr().to_string());
        attributes.text(key::URL_FULL, &format!("http://{whom}{target}"));
    }
}

/// Names are as the client said them; addresses are the connection's.
fn ends(exchange: &Exchange, attributes: &mut Attributes) {
    let Exchange { flow, side, authority, protocol, .. } = exchange;
    let server = if *side == Side::Server { flow.local } else { flow.peer };
    match authority.as_deref().map(semconv::host_and_port).filter(|(host, _)| !host.is_empty()) {
        Some((host, port)) => {
            attributes.text(key::SERVER_ADDRESS, host);
            if let Some(port) = port {
                attributes.number(key::SERVER_PORT, port.into());
            }
        }
        None => {
            attributes.display(key::SERVER_ADDRESS, &server.ip());
            attributes.number(key::SERVER_PORT, server.port.into());
        }
    }
    if *side == Side::Server {
        attributes.display(key::CLIENT_ADDRESS, &flow.peer.ip());
        attributes.number(key::CLIENT_PORT, flow.peer.port.into());
    }
    attributes.display(key::NETWORK_PEER_ADDRESS, &flow.peer.ip());
    attributes.number(key::NETWORK_PEER_PORT, flow.peer.port.into());
    let version = if *protocol == Protocol::Http1 { "1.1" } else { "2" };
    attributes.name(key::NETWORK_PROTOCOL_VERSION, version);
}
