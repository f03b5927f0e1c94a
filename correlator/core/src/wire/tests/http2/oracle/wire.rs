//! A pipe between two programs that takes down what they write.
use std::{
    cell::RefCell,
    io::Result,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// Who wrote what, in order.
pub(super) type Written = Vec<(End, Vec<u8>)>;

#[derive(Clone, Default)]
pub(super) struct Log(Rc<RefCell<Written>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Server,
}

impl Log {
    pub(super) fn take(&self) -> Written {
        self.0.take()
    }
}

/// One end of the pipe.
pub(super) struct Tap {
    inner: DuplexStream,
    end: End,
    log: Log,
}

/// Both ends of a pipe, client first.
pub(super) fn pipe(log: &Log) -> (Tap, Tap) {
    let (client, server) = tokio::io::duplex(1 << 16);
    let tap = |inner, end| Tap { inner, end, log: log.clone() };
    (tap(client, End::Client), tap(server, End::Server))
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(len)) = written {
            self.log.0.borrow_mut().push((self.end, bytes[..len].to_vec()));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
