//! From one record to the connection that it is of, and what follows for the others.
use weft_abi::{SockEvent, SockIo, io, sock_event, tcp_flag};

use super::{
    Began, ConnectionEvent, Downstream, Over, RequestKey, Wire,
    decode::SegmentEvent,
    direction::Direction,
    flow::Flow,
    gaps::Which,
    incarnation::Incarnation,
    join::{IoRange, Patience},
    table::List,
    work::{Begun, Work},
};
use crate::{Anomaly, Endpoint, Exchange, FlowId, Ktime};

/// How long a connection that is over is remembered, for late copies of its segments.
const LINGER: u64 = 2_000_000_000;
/// How often records alone (without a tick) make time pass for what waits.
const CHECK_EVERY: u64 = 1_000_000;

impl Wire {
    pub(super) fn segment(&mut self, segment: &SegmentEvent<'_>, down: &mut impl Downstream) {
        let Some(key) = self.find_or_open(segment, down) else { return };
        let bound = self.bind(key, segment.cookie, segment.has(tcp_flag::SYN));
        let inherited = self.is_inherited(segment.bank);
        self.with_flow(key, |flow, work| {
            work.account(segment.direction).record(segment.len.into(), inherited);
            flow.segment(segment, work);
        });
        self.settle(key, down);
        if bound {
            self.adopt(segment.cookie, down);
        }
    }

    /// A program begins to read the framing of a connection's direction.
    pub(super) fn border(
        &mut self,
        id: &FlowId,
        direction: Direction,
        seqs: [u32; 2],
        down: &mut impl Downstream,
    ) {
        if let Some(key) = self.table.find(id) {
            self.with_flow(key, |flow, work| flow.border(direction, seqs, work));
            self.flush(key, down);
        }
    }

    /// Bytes of a record of this bank were counted by the kernel for the agent before.
    pub(super) fn is_inherited(&self, bank: u8) -> bool {
        self.bank.is_some_and(|own| own != bank)
    }

    /// The segment's connection. A segment that carries and opens nothing is of no interest without one.
    fn find_or_open(&mut self, segment: &SegmentEvent<'_>, down: &mut impl Downstream) -> Option<u32> {
        if let Some(key) = self.table.find(&segment.id) {
            match self.table.flow(key).map(|flow| flow.incarnation(segment)) {
                Some(Incarnation::Next) => self.end_flow(key, None, down),
                Some(Incarnation::None) => {
                    self.nobodys(key, segment);
                    return None;
                }
                _ => return Some(key),
            }
        }
        if segment.len == 0 && (!segment.has(tcp_flag::SYN) || segment.has(tcp_flag::RST)) {
            return None;
        }
        self.make_room(down);
        self.serial += 1;
        let account = self.accounts.index(segment.id.netns, segment.id.ifindex);
        self.accounts.open_flow(account);
        Some(self.table.insert(Box::new(Flow::new(segment, self.serial, account))))
    }

    /// The bytes of a segment are no connection's.
    fn nobodys(&mut self, key: u32, segment: &SegmentEvent<'_>) {
        let inherited = self.is_inherited(segment.bank);
        self.with_flow(key, |_, work| {
            let account = work.account(segment.direction);
            account.record(segment.len.into(), inherited);
            account.opaque += u64::from(segment.len);
        });
    }

    fn make_room(&mut self, down: &mut impl Downstream) {
        while self.table.len() >= self.config.limits.flows.max(1) {
            let Some(victim) = self.table.victim() else { return };
            if self.table.flow(victim).is_some_and(|flow| flow.is_over()) {
                self.end_flow(victim, None, down);
            } else {
                self.table.evicted += 1;
                self.tally.count(Anomaly::Evicted);
                self.end_flow(victim, Some(Anomaly::Evicted), down);
            }
        }
    }

    pub(super) fn end_flow(&mut self, key: u32, extra: Option<Anomaly>, down: &mut impl Downstream) {
        self.with_flow(key, |flow, work| flow.forget(extra, work));
        self.flush(key, down);
        let Some(flow) = self.table.remove(key) else { return };
        self.accounts.end_flow(flow.account());
    }

    fn with_flow(&mut self, key: u32, act: impl FnOnce(&mut Flow, &mut Work<'_>)) {
        let Self { config, table, accounts, tally, out, .. } = self;
        let Some(flow) = table.flow(key) else { return };
        let bytes = &mut accounts.get_mut(flow.account()).directions;
        if let Some(findings) = &mut out.findings {
            findings.connection = flow.serial;
        }
        act(flow, &mut Work { config, bytes, tally, out });
    }

    /// After a connection did something: its place in the table, its gap's deadline, its results.
    fn settle(&mut self, key: u32, down: &mut impl Downstream) {
        self.flush(key, down);
        self.queue_gap(key, down);
        let Some(flow) = self.table.peek(key) else { return };
        let list = match (flow.is_over(), flow.talked) {
            (true, _) => List::Closed,
            (false, false) => List::Silent,
            (false, true) => List::Active,
        };
        self.table.touch(key, list);
    }

    /// Hands on what a connection gave.
    fn flush(&mut self, key: u32, down: &mut impl Downstream) {
        for (flow, want) in self.out.wants.drain(..) {
            down.want(flow, want);
        }
        if let Some(findings) = &mut self.out.findings {
            findings.safe.drain(..).for_each(|(place, bytes)| down.safe(place, &bytes));
            findings.placed.take().into_iter().for_each(|place| down.placed(place));
        }
        self.flush_begun(key, down);
        if self.out.finished.is_empty() {
            return;
        }
        let limits = &self.config.limits;
        let patience =
            Patience { soon: self.now.after(limits.join_wait), read: self.now.after(limits.read_wait) };
        let Some(flow) = self.table.flow(key) else { return };
        // Without a socket there is nothing to wait for, as in a capture that others made.
        let patience = (flow.cookie != 0).then_some(patience);
        for mut finished in self.out.finished.drain(..) {
            finished.exchange.socket_cookie = flow.cookie;
            down.over(over(&finished.exchange));
            self.join.take(finished, flow.sockets(), patience, limits.waiting_exchanges, down);
        }
        flow.prune();
    }

    /// Tells of requests that began.
    fn flush_begun(&mut self, key: u32, down: &mut impl Downstream) {
        let Some(flow) = self.table.peek(key) else { return self.out.begun.clear() };
        for Begun { key, stream_id, time, direction, byte, first, propagation } in self.out.begun.drain(..) {
            let first = first && flow.is_whole(direction);
            let moved = flow.call_that_moved(direction, byte).map(|range| range.moved(direction));
            let (netns, cookie) = (flow.id.netns, flow.cookie);
            down.began(Began { key, netns, cookie, stream_id, time, byte, first, moved, propagation });
        }
    }

    /// The connection is this socket's; says whether that is news. Under SYN cookies the answer to a SYN has the
    /// listener's cookie, so a later segment's overrides it.
    fn bind(&mut self, key: u32, cookie: u64, syn: bool) -> bool {
        let Some(flow) = self.table.flow(key) else { return false };
        let known = flow.cookie == cookie || syn && flow.cookie != 0;
        if cookie == 0 || known {
            return false;
        }
        self.table.bind(key, cookie);
        true
    }

    /// Calls of the socket that came before its connection was known.
    fn adopt(&mut self, cookie: u64, down: &mut impl Downstream) {
        for io in self.orphans.take(cookie) {
            self.io(&io, down);
        }
    }

    /// A thread sent or received.
    pub(super) fn io(&mut self, io: &SockIo, down: &mut impl Downstream) {
        let direction = match io.header.detail {
            io::SEND => Direction::FromPod,
            io::RECV => Direction::ToPod,
            _ => return self.tally.stats.malformed += 1,
        };
        let flow = self.table.find_cookie(io.cookie).and_then(|key| self.table.flow(key));
        let Some(flow) = flow else { return self.orphans.keep(*io) };
        let Some(end) = flow.offset_of(direction, io.seq_end) else { return self.orphans.lost += 1 };
        let range = IoRange {
            start: end.saturating_sub(u64::from(io.len)),
            end,
            time: Ktime(io.header.time),
            goid: io.goid,
            parent_goid: io.parent_goid,
            pid: io.pid,
            tid: io.tid,
        };
        let floor = flow.floor(direction);
        let streams = flow.open_streams();
        down.moved(io.cookie, &range.moved(direction));
        let sockets = flow.sockets();
        sockets.prune(direction, floor);
        self.join.offer(direction, range, sockets, floor, streams, down);
        flow.drop_empty_sockets();
    }

    /// A connection changed.
    pub(super) fn connection(&mut self, event: &SockEvent, down: &mut impl Downstream) {
        let (netns, cookie) = (event.header.netns, event.cookie);
        let mut connect_ns = None;
        match event.header.detail {
            sock_event::CONNECT => self.connecting.begin(cookie, Ktime(event.header.time)),
            sock_event::ESTABLISHED_ACTIVE => {
                if let Some(since) = self.connecting.end(cookie) {
                    let latency_ns = Ktime(event.header.time).since(since);
                    connect_ns = Some(latency_ns);
                    down.connection(ConnectionEvent::Connected { netns, latency_ns });
                }
                self.bind_by_ends(event, down);
            }
            sock_event::ESTABLISHED_PASSIVE => self.bind_by_ends(event, down),
            sock_event::RETRANSMIT => {
                down.connection(ConnectionEvent::Retransmitted { netns, segments: event.retransmitted });
                if let Some(flow) = self.table.find_cookie(cookie).and_then(|key| self.table.flow(key)) {
                    flow.note_sent_again(event.snd_una, Ktime(event.header.time));
                }
            }
            sock_event::CLOSED => {}
            _ => return self.tally.stats.malformed += 1,
        }
        self.note_tcp(event, connect_ns);
        if event.header.detail == sock_event::CLOSED {
            self.closed(event, down);
        }
    }

    /// What a connection's row will say of its socket.
    fn note_tcp(&mut self, event: &SockEvent, connect_ns: Option<u64>) {
        let flow = self.table.find_cookie(event.cookie).and_then(|key| self.table.flow(key));
        let Some(Flow { tcp, .. }) = flow else { return };
        tcp.connect_ns = connect_ns.or(tcp.connect_ns);
        tcp.rtt_us = (event.srtt_us != 0).then_some(event.srtt_us).or(tcp.rtt_us);
        tcp.retransmitted_segments = Some(event.total_retrans);
    }

    /// The socket's ends tell its connection, where no address was translated between socket and device.
    fn bind_by_ends(&mut self, event: &SockEvent, down: &mut impl Downstream) {
        let netns = event.header.netns;
        let local = Endpoint { address: event.tuple.source, port: event.tuple.source_port };
        let peer = Endpoint { address: event.tuple.destination, port: event.tuple.destination_port };
        let ids = self.accounts.devices(netns).map(|ifindex| FlowId { netns, ifindex, local, peer });
        let key = ids.into_iter().find_map(|id| self.table.find(&id));
        if let Some(key) = key
            && self.bind(key, event.cookie, false)
        {
            self.adopt(event.cookie, down);
        }
    }

    fn closed(&mut self, event: &SockEvent, down: &mut impl Downstream) {
        self.connecting.end(event.cookie);
        down.connection(ConnectionEvent::Closed {
            netns: event.header.netns,
            srtt_us: event.srtt_us,
            retransmitted_segments: event.total_retrans,
        });
        if let Some(key) = self.table.find_cookie(event.cookie) {
            let now = Ktime(event.header.time);
            let seqs = [event.snd_una, event.rcv_nxt];
            self.with_flow(key, |flow, work| flow.note_closed(seqs, now, work));
            self.settle(key, down);
        }
    }

    /// Looks at what waits, now and then.
    pub(super) fn maybe_expire(&mut self, down: &mut impl Downstream) {
        if self.now >= self.next_check {
            self.next_check = self.now.after(CHECK_EVERY);
            self.expire(down);
        }
    }

    pub(super) fn expire(&mut self, down: &mut impl Downstream) {
        let now = self.now;
        self.join.expire(now, self.config.limits.waiting_exchanges, down);
        while let Some(which) = self.gaps.pop(now) {
            self.look_at_gap(which, |flow, work| flow.expire_gaps(now, work), down);
        }
        for list in [List::Closed, List::Silent, List::Active] {
            while let Some(key) = self.due(list) {
                self.end_flow(key, None, down);
            }
        }
    }

    /// Does something about the gap of a connection that left the queue.
    fn look_at_gap(
        &mut self,
        (key, serial): Which,
        act: impl FnOnce(&mut Flow, &mut Work<'_>),
        down: &mut impl Downstream,
    ) {
        if self.table.peek(key).is_none_or(|flow| flow.serial != serial) {
            return;
        }
        self.with_flow(key, |flow, work| {
            flow.gap_queued = false;
            act(flow, work);
        });
        self.flush(key, down);
        self.queue_gap(key, down);
    }

    /// A connection with a gap is looked at when the gap's time is over. Each is in the queue once.
    fn queue_gap(&mut self, key: u32, down: &mut impl Downstream) {
        let limits = &self.config.limits;
        let Some(flow) = self.table.flow(key) else { return };
        let (Some(since), false) = (flow.gap_since(), flow.gap_queued) else { return };
        flow.gap_queued = true;
        let first = self.gaps.push(since.after(limits.gap_timeout), (key, flow.serial), limits.flows);
        if let Some(first) = first {
            self.look_at_gap(first, Flow::give_up_gaps, down);
        }
    }

    /// The oldest connection of a list, if its time is over.
    fn due(&mut self, list: List) -> Option<u32> {
        let key = self.table.oldest(list)?;
        (self.deadline(list)? <= self.now).then_some(key)
    }

    /// When the oldest connection of a list is forgotten.
    fn deadline(&self, list: List) -> Option<Ktime> {
        let flow = self.table.peek(self.table.oldest(list)?)?;
        let keep = if list == List::Closed { LINGER } else { self.config.limits.flow_idle };
        Some(flow.last_seen.after(keep))
    }

    /// When something that waits is next to be looked at.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Ktime> {
        let lists = [List::Closed, List::Silent, List::Active].into_iter();
        let gaps = self.gaps.next_deadline();
        lists.filter_map(|list| self.deadline(list)).chain(gaps).chain(self.join.next_deadline())
    }
}

fn over(exchange: &Exchange) -> Over {
    let last = exchange.response.map_or(exchange.request.last_byte, |response| response.last_byte);
    Over {
        key: RequestKey { id: exchange.id(), side: exchange.side },
        cookie: exchange.socket_cookie,
        time: last,
        duration: exchange.complete.then(|| last.since(exchange.request.first_byte)),
    }
}
