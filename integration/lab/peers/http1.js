// An HTTP/1.1 server by node, with the answers that the other servers do not give.
'use strict';
const http = require('node:http');
const net = require('node:net');

const routes = {
  '/early': (req, res) => {
    res.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
    setTimeout(() => res.end('after the hints\n'), 5);
  },
  '/trailers': (req, res) => {
    res.writeHead(200, { Trailer: 'X-Digest' });
    res.write('first chunk');
    res.write('second chunk');
    res.addTrailers({ 'X-Digest': 'none' });
    res.end();
  },
  // No program at hand sends extensions: the bytes are this script's own.
  '/extensions': (req) => {
    req.socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n');
    req.socket.end('5;name=value\r\nhello\r\n6 ; quoted="a;b"\r\n world\r\n0;last\r\nX-After: all\r\n\r\n');
  },
  // Refuses an upload while it still arrives, and reads it to its end.
  '/refuse': (req, res) => {
    res.writeHead(413, { 'Content-Length': 0 });
    res.end();
    req.resume();
  },
  '/until-close': (req, res) => {
    res.useChunkedEncodingByDefault = false;
    res.removeHeader('Transfer-Encoding');
    res.write('the end of this body ');
    setTimeout(() => res.end('is the end of the connection\n'), 5);
  },
  // Announces more than it sends.
  '/hang-up': (req, res) => {
    res.writeHead(200, { 'Content-Length': 1000 });
    res.write('x'.repeat(300));
    setTimeout(() => req.socket.destroy(), 20);
  },
  '/no-answer': (req) => setTimeout(() => req.socket.destroy(), 20),
  '/folded': (req) => {
    req.socket.end('HTTP/1.1 200 OK\r\nX-Folded: one\r\n two\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc');
  },
  '/bare-lf': (req) => {
    req.socket.end('HTTP/1.1 200 OK\nContent-Length: 3\nConnection: close\n\nabc');
  },
};

const server = http.createServer((req, res) => {
  const route = routes[new URL(req.url, 'http://any').pathname];
  if (route) return route(req, res);
  let length = 0;
  req.on('data', (data) => { length += data.length; });
  req.on('end', () => res.end(`${req.method} ${length}\n`));
});
server.on('upgrade', (req, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    + 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n');
  socket.pipe(socket);
});
server.on('connect', (req, socket) => {
  const [host, port] = req.url.split(':');
  const target = net.connect(Number(port), host, () => {
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    target.pipe(socket);
    socket.pipe(target);
  });
  target.on('error', () => socket.destroy());
  socket.on('error', () => target.destroy());
});
server.keepAliveTimeout = 60000;
server.listen(Number(process.argv[2]), '::');
