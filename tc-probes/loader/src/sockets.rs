//! Where sends and receives are listened to: the first of these that the kernel has.
use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, FExit, KProbe, links::FdLink},
};

use crate::{
    Pins,
    error::Result,
    object::{link_error, pin_link, pin_program, program, refused},
    pins::unpin,
};

/// Where sends and receives are listened to, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketSource {
    /// Tracepoints made for it (kernel 6.3 or newer).
    Tracepoints,
    /// The end of `tcp_sendmsg` and `tcp_recvmsg`.
    FunctionExits,
    /// Beginning and end of the same functions by kprobes: of Go processes only.
    Kprobes,
}

/// A program, and the tracepoint or function that it sits on.
type Place = (&'static str, &'static str);

impl SocketSource {
    /// All of them, best first.
    pub const ALL: [Self; 3] = [Self::Tracepoints, Self::FunctionExits, Self::Kprobes];

    /// What it is called in sentences.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tracepoints => "tracepoints",
            Self::FunctionExits => "fexit on tcp_sendmsg and tcp_recvmsg",
            Self::Kprobes => "kprobes on tcp_sendmsg and tcp_recvmsg, of Go processes only",
        }
    }

    /// The one that is attached and pinned.
    pub fn pinned(pins: &Pins) -> Option<Self> {
        let is_pinned = |(name, _): &Place| pins.link(name).exists();
        Self::ALL.into_iter().find(|source| source.places().iter().all(is_pinned))
    }

    fn places(self) -> &'static [Place] {
        match self {
            Self::Tracepoints => &[("sock_send", "sock_send_length"), ("sock_recv", "sock_recv_length")],
            Self::FunctionExits => &[("tcp_sent", "tcp_sendmsg"), ("tcp_received", "tcp_recvmsg")],
            Self::Kprobes => &[
                ("tcp_send_begins", "tcp_sendmsg"),
                ("tcp_send_ends", "tcp_sendmsg"),
                ("tcp_recv_begins", "tcp_recvmsg"),
                ("tcp_recv_ends", "tcp_recvmsg"),
            ],
        }
    }

    fn attach(self, ebpf: &mut Ebpf, btf: &Btf, (name, place): Place) -> Result<FdLink> {
        match self {
            Self::Tracepoints => {
                let program: &mut BtfTracePoint = program(ebpf, name)?;
                program.load(place, btf).map_err(refused(name))?;
                let id = program.attach().map_err(refused(name))?;
                Ok(program.take_link(id).map_err(refused(name))?.into())
            }
            Self::FunctionExits => {
                let program: &mut FExit = program(ebpf, name)?;
                program.load(place, btf).map_err(refused(name))?;
                let id = program.attach().map_err(refused(name))?;
                Ok(program.take_link(id).map_err(refused(name))?.into())
            }
            Self::Kprobes => {
                let program: &mut KProbe = program(ebpf, name)?;
                program.load().map_err(refused(name))?;
                let id = program.attach(place, 0).map_err(refused(name))?;
                let link = program.take_link(id).map_err(refused(name))?;
                FdLink::try_from(link).map_err(|source| link_error(name.as_ref(), source))
            }
        }
    }

    fn pin(self, ebpf: &mut Ebpf, pins: &Pins, name: &str) -> Result<()> {
        match self {
            Self::Tracepoints => {
                let program: &mut BtfTracePoint = program(ebpf, name)?;
                pin_program(pins, name, |path| program.pin(path))
            }
            Self::FunctionExits => {
                let program: &mut FExit = program(ebpf, name)?;
                pin_program(pins, name, |path| program.pin(path))
            }
            Self::Kprobes => {
                let program: &mut KProbe = program(ebpf, name)?;
                pin_program(pins, name, |path| program.pin(path))
            }
        }
    }

    fn install(self, ebpf: &mut Ebpf, btf: &Btf, pins: &Pins) -> Result<()> {
        for place in self.places() {
            let link = self.attach(ebpf, btf, *place)?;
            self.pin(ebpf, pins, place.0)?;
            pin_link(link, &pins.link(place.0))?;
        }
        Ok(())
    }

    /// Detaches what is pinned.
    fn remove(self, pins: &Pins) -> Result<()> {
        for (name, _) in self.places() {
            unpin(&pins.link(name))?;
            unpin(&pins.program(name))?;
        }
        Ok(())
    }
}

/// Attaches to and pins the first that works, and detaches the others. Else what is wrong with each.
pub(crate) fn attach_first(
    ebpf: &mut Ebpf,
    btf: &Btf,
    pins: &Pins,
) -> std::result::Result<SocketSource, Vec<crate::LoaderError>> {
    let mut refused = Vec::new();
    for source in SocketSource::ALL {
        match install_only(source, ebpf, btf, pins) {
            Ok(()) => return Ok(source),
            Err(error) => refused.push(error),
        }
    }
    Err(refused)
}

/// What the new one sees and the old one sees, too, is seen twice for a moment: better than by none.
pub(crate) fn install_only(source: SocketSource, ebpf: &mut Ebpf, btf: &Btf, pins: &Pins) -> Result<()> {
    let installed = source.install(ebpf, btf, pins);
    let mut others = SocketSource::ALL.into_iter().filter(|other| *other != source);
    match installed {
        Ok(()) => others.try_for_each(|other| other.remove(pins)),
        Err(error) => source.remove(pins).and(Err(error)),
    }
}

/// Attaches the first that works for a moment. Gives it, and what came of its programs; if there is none, what came of all.
pub(crate) fn try_all(ebpf: &mut Ebpf, btf: &Btf) -> (Option<SocketSource>, Vec<(&'static str, Result<()>)>) {
    let mut all = Vec::new();
    for source in SocketSource::ALL {
        let attach = |place: &Place| (place.0, source.attach(ebpf, btf, *place).map(drop));
        let tried: Vec<_> = source.places().iter().map(attach).collect();
        if tried.iter().all(|(_, result)| result.is_ok()) {
            return (Some(source), tried);
        }
        all.extend(tried);
    }
    (None, all)
}
