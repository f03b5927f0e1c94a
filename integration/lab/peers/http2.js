// An HTTP/2 server without TLS by node (nghttp2), with the answers that the other servers do not give.
'use strict';
const http2 = require('node:http2');

const routes = {
  '/early': (stream) => {
    stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload; as=style' });
    stream.respond({ ':status': 200 });
    stream.end('after the hints\n');
  },
  '/trailers': (stream) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-digest': 'none' }));
    stream.end('a body before trailers\n');
  },
  '/push': (stream) => {
    stream.respond({ ':status': 200 });
    if (!stream.pushAllowed) return stream.end('no push wanted\n');
    stream.pushStream({ ':path': '/pushed?by=node' }, (error, pushed) => {
      if (error) return;
      pushed.respond({ ':status': 200 });
      pushed.end('pushed\n');
    });
    stream.end('pushing\n');
  },
  // Larger than a frame: CONTINUATION (RFC 9113, 6.10).
  '/many-headers': (stream) => {
    const headers = { ':status': 200 };
    for (let i = 0; i < 120; i += 1) headers[`x-filler-${i}`] = `${i}-`.repeat(60);
    stream.respond(headers);
    stream.end('headers\n');
  },
  '/reset': (stream) => {
    stream.respond({ ':status': 200 });
    stream.write('x'.repeat(300));
    setTimeout(() => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR), 20);
  },
  '/refused': (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM),
  '/goaway': (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('the last\n');
    stream.session.goaway(http2.constants.NGHTTP2_NO_ERROR);
  },
  '/break': (stream) => {
    stream.respond({ ':status': 200, 'content-length': 1000 });
    stream.write('x'.repeat(300));
    setTimeout(() => stream.session.socket.destroy(), 20);
  },
  '/small-table': (stream) => {
    stream.session.settings({ headerTableSize: 0 });
    stream.respond({ ':status': 200 });
    stream.end('the table is gone\n');
  },
  '/empty': (stream) => stream.respond({ ':status': 204 }, { endStream: true }),
};

const padded = process.argv[3] === 'padded';
const strategy = padded ? http2.constants.PADDING_STRATEGY_MAX : http2.constants.PADDING_STRATEGY_NONE;
const server = http2.createServer({ paddingStrategy: strategy, maxSessionMemory: 100 });
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  const route = routes[new URL(headers[':path'], 'http://any').pathname];
  if (route) return route(stream);
  let length = 0;
  stream.on('data', (data) => { length += data.length; });
  stream.on('end', () => {
    stream.respond({ ':status': headers[':path'].startsWith('/none') ? 404 : 200 });
    stream.end(`${headers[':method']} ${length}\n`);
  });
});
server.on('session', (session) => session.on('error', () => {}));
server.listen(Number(process.argv[2]), '::');
