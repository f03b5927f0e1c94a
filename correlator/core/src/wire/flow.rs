//! One connection at one vantage: its two streams, and what is said over them.
use weft_abi::tcp_flag;

use super::{
    conversation::Link,
    decode::SegmentEvent,
    dialogue::Dialogue,
    direction::Direction,
    incarnation::{Opener, Reopening},
    join::{IoRange, Sockets},
    reassembly::Reassembly,
    stream::{Chunk, Delivery, FIRST, Origin, Stream},
    stretch::Border,
    work::Work,
};
use crate::{Anomalies, Anomaly, FlowId, Ktime, Tcp};

/// One connection.
pub(super) struct Flow {
    pub(super) id: FlowId,
    /// Of all connections the how many-eth it is: tells it from a later one in its place.
    pub(super) serial: u64,
    /// Index of its vantage's account.
    account: u32,
    pub(super) last_seen: Ktime,
    /// The pod's socket; 0 while unknown.
    pub(super) cookie: u64,
    /// Nothing while nothing is kept for the join: as on an idle connection.
    sockets: Option<Box<Sockets>>,
    /// Payload passed.
    pub(super) talked: bool,
    pub(super) closed: bool,
    /// It is in the queue of connections with a gap.
    pub(super) gap_queued: bool,
    /// Its socket is closed, and everything before these sequence numbers has reached its receiver.
    socket_closed: Option<[u32; 2]>,
    opener: Opener,
    pub(super) reopening: Reopening,
    /// What its socket sent before this time, and had not passed the device by then: from this stream offset on.
    unpassed: Option<Box<(u64, Ktime)>>,
    /// What the pod's socket said.
    pub(super) tcp: Tcp,
    vantage: u8,
    pub(super) streams: [Stream; 2],
    dialogue: Dialogue,
}

impl Flow {
    pub(super) fn new(segment: &SegmentEvent<'_>, serial: u64, account: usize) -> Self {
        Self {
            id: segment.id,
            serial,
            account: u32::try_from(account).unwrap_or(u32::MAX),
            last_seen: segment.time,
            cookie: 0,
            sockets: None,
            talked: false,
            closed: false,
            gap_queued: false,
            socket_closed: None,
            opener: Opener::Unknown,
            reopening: None,
            unpassed: None,
            tcp: Tcp::default(),
            vantage: segment.vantage,
            streams: Default::default(),
            dialogue: Dialogue::new(),
        }
    }

    /// Index of its vantage's account; of none where it shares one.
    pub(super) fn account(&self) -> usize {
        self.account as usize
    }

    /// A segment passed.
    pub(super) fn segment(&mut self, segment: &SegmentEvent<'_>, work: &mut Work<'_>) {
        self.last_seen = self.last_seen.max(segment.time);
        self.start(segment);
        self.acknowledge(segment, work);
        if segment.len > 0 {
            self.talked = true;
            self.payload(segment, work);
        }
        if segment.has(tcp_flag::FIN) {
            self.fin(segment, work);
        }
        if segment.has(tcp_flag::RST) && self.believes_reset(segment) {
            self.close(None, work);
        }
        if self.streams.iter().all(Stream::ended) {
            self.close(None, work);
        }
        self.hand_on_rest(false, work);
    }

    /// Learns where the streams begin, if it is not known yet.
    fn start(&mut self, segment: &SegmentEvent<'_>) {
        let direction = segment.direction;
        let syn = segment.has(tcp_flag::SYN);
        if syn {
            self.open(direction, segment.ack.is_some());
        }
        let carries = segment.len > 0 || segment.has(tcp_flag::FIN);
        if !direction.of(&self.streams).started() && (syn || carries) {
            self.start_stream(direction, syn, segment.seq);
        }
        if let Some(ack) = segment.ack
            && !direction.reverse().of(&self.streams).started()
            && !segment.has(tcp_flag::RST)
        {
            // The acknowledgement in a SYN's answer is of the SYN alone.
            self.start_stream(direction.reverse(), syn, ack);
        }
    }

    fn open(&mut self, sender: Direction, answers: bool) {
        let opener = self.opener.with(sender, answers);
        if opener != self.opener {
            self.opener = opener;
            self.dialogue.opened_by(opener.one());
        }
    }

    fn start_stream(&mut self, direction: Direction, handshake: bool, seq: u32) {
        let origin = if handshake { Origin::Handshake } else { Origin::Midway };
        direction.of_mut(&mut self.streams).start(origin, seq);
        self.dialogue.start(direction, origin);
    }

    fn acknowledge(&mut self, segment: &SegmentEvent<'_>, work: &mut Work<'_>) {
        let reverse = segment.direction.reverse();
        if let Some(ack) = segment.ack
            && reverse.of(&self.streams).started()
        {
            reverse.of_mut(&mut self.streams).acknowledge(ack);
            if reverse.of(&self.streams).gap_since().is_some() {
                self.with(reverse, work, |mut reassembly| reassembly.settle());
            }
        }
    }

    fn payload(&mut self, segment: &SegmentEvent<'_>, work: &mut Work<'_>) {
        let odd = self.sent_before(segment, work);
        let reverse = segment.direction.reverse().of(&self.streams);
        let chunk = Chunk {
            offset: segment.direction.of(&self.streams).offset_of(segment.seq),
            len: u64::from(segment.len),
            hole: u64::from(segment.hole),
            data: segment.data,
            stretch: segment.stretch,
            time: segment.time,
            first_time: segment.first_time,
            ack: segment.ack.filter(|_| reverse.started()).map(|ack| reverse.offset_of(ack)),
            reverse_end: if reverse.started() { reverse.highest() } else { FIRST },
            segment_start: segment.begins,
            odd,
        };
        work.placed(segment.direction, chunk.offset);
        self.with(segment.direction, work, |mut reassembly| reassembly.receive(chunk));
    }

    /// A program believes that a unit of framing begins at `seq`, and has seen the flow up to `next`. Whatever passed before
    /// it saw the flow has been told by now; what it did not see of that, behind what it saw, it would take for new.
    pub(super) fn border(&mut self, direction: Direction, [seq, next]: [u32; 2], work: &mut Work<'_>) {
        let (Some(offset), Some(seen)) = (self.offset_of(direction, seq), self.offset_of(direction, next))
        else {
            return;
        };
        let saw_all = direction.of(&self.streams).highest() <= seen;
        let link = self.link();
        self.dialogue.border(&link, direction, Border { offset, saw_all }, work);
    }

    /// The pod's socket sent segments again at this time, and `snd_una` is the first byte that was not acknowledged. Which
    /// segments these were it does not say; but all before them had been sent once. So where `snd_una` has not passed the
    /// device, its first copy was lost on the way there.
    pub(super) fn note_sent_again(&mut self, snd_una: u32, time: Ktime) {
        let stream = Direction::FromPod.of(&self.streams);
        let offset = stream.offset_of(snd_una);
        if stream.started() && offset >= stream.highest() {
            self.unpassed = Some(Box::new((offset, time)));
        }
    }

    /// Whether a segment has a byte that was sent before, but never passed.
    fn sent_before(&mut self, segment: &SegmentEvent<'_>, work: &mut Work<'_>) -> Anomalies {
        let mut odd = Anomalies::default();
        let unpassed = self.unpassed.as_deref().filter(|_| segment.direction == Direction::FromPod);
        let Some((offset, since)) = unpassed.copied() else { return odd };
        let start = Direction::FromPod.of(&self.streams).offset_of(segment.seq);
        if (start..start + u64::from(segment.len)).contains(&offset) {
            self.unpassed = None;
            if segment.time >= since {
                odd.insert(Anomaly::Retransmit);
                work.tally.count(Anomaly::Retransmit);
            }
        }
        odd
    }

    fn fin(&mut self, segment: &SegmentEvent<'_>, work: &mut Work<'_>) {
        let seq = segment.seq.wrapping_add(segment.len);
        segment.direction.of_mut(&mut self.streams).fin(seq, segment.time);
        self.with(segment.direction, work, |mut reassembly| reassembly.settle());
    }

    /// Its first gap has been open for too long, if it is still that of `since`.
    pub(super) fn expire_gaps(&mut self, now: Ktime, work: &mut Work<'_>) {
        let timeout = work.config.limits.gap_timeout;
        for direction in Direction::BOTH {
            if direction.of(&self.streams).gap_since().is_some_and(|since| since.after(timeout) <= now) {
                self.with(direction, work, |mut reassembly| reassembly.expire(now));
            }
        }
    }

    /// Others have gaps, too: what it has of them is given up.
    pub(super) fn give_up_gaps(&mut self, work: &mut Work<'_>) {
        for direction in Direction::BOTH {
            self.finish(direction, None, work);
        }
    }

    /// Since when its oldest gap is open.
    pub(super) fn gap_since(&self) -> Option<Ktime> {
        self.streams.iter().filter_map(Stream::gap_since).min()
    }

    /// Its socket is closed; everything before these sequence numbers has reached its receiver. The last segments may
    /// still be on their way to the device, so this counts when the connection is forgotten.
    pub(super) fn note_closed(&mut self, seqs: [u32; 2], now: Ktime, work: &mut Work<'_>) {
        self.socket_closed = Some(seqs);
        self.last_seen = self.last_seen.max(now);
        self.hand_on_rest(false, work);
    }

    /// Hands on the row of a connection that is over, when its socket said its last word, or will not any more.
    fn hand_on_rest(&mut self, last_chance: bool, work: &mut Work<'_>) {
        let socket_silent = self.cookie == 0 || self.socket_closed.is_some();
        if self.closed && (socket_silent || last_chance) {
            let (link, ended) = (self.link(), self.streams.iter().all(Stream::ended));
            self.dialogue.hand_on_rest(&link, self.tcp, ended, work);
        }
    }

    /// Nothing but late segments is expected.
    pub(super) fn is_over(&self) -> bool {
        self.closed || self.socket_closed.is_some()
    }

    /// It is over, or must be forgotten.
    pub(super) fn close(&mut self, extra: Option<Anomaly>, work: &mut Work<'_>) {
        if self.closed {
            return;
        }
        for direction in Direction::BOTH {
            self.finish(direction, None, work);
        }
        self.closed = true;
        let link = self.link();
        self.dialogue.close(&link, extra, work);
    }

    /// A FIN takes the last sequence number.
    fn finish_at(&mut self, seqs: [u32; 2], work: &mut Work<'_>) {
        for direction in Direction::BOTH {
            let stream = direction.of(&self.streams);
            let end = stream.started().then(|| stream.offset_of(*direction.of(&seqs)).saturating_sub(1));
            self.finish(direction, end, work);
        }
    }

    fn finish(&mut self, direction: Direction, end: Option<u64>, work: &mut Work<'_>) {
        if direction.of(&self.streams).started() {
            self.with(direction, work, |mut reassembly| reassembly.finish(end));
        }
    }

    /// It leaves the table: nothing may wait in it any more.
    pub(super) fn forget(&mut self, extra: Option<Anomaly>, work: &mut Work<'_>) {
        if let (Some(seqs), false) = (self.socket_closed, self.closed) {
            self.finish_at(seqs, work);
        }
        self.close(extra, work);
        for direction in Direction::BOTH {
            self.finish(direction, None, work);
        }
        self.hand_on_rest(true, work);
    }

    /// Where a call's bytes are in the stream: the offset behind the last one.
    pub(super) fn offset_of(&self, direction: Direction, seq: u32) -> Option<u64> {
        let stream = direction.of(&self.streams);
        stream.started().then(|| stream.offset_of(seq))
    }

    /// Whether a direction was seen from its first byte on.
    pub(super) fn is_whole(&self, direction: Direction) -> bool {
        direction.of(&self.streams).origin == Origin::Handshake
    }

    /// The stream offset up to which calls of a direction tell nothing about open exchanges.
    pub(super) fn floor(&mut self, direction: Direction) -> u64 {
        self.dialogue.needed_from(direction).unwrap_or_else(|| direction.of(&self.streams).next())
    }

    /// How many streams of HTTP/2 are open.
    pub(super) fn open_streams(&self) -> usize {
        self.dialogue.open_streams()
    }

    /// What it keeps for the join.
    pub(super) fn sockets(&mut self) -> &mut Sockets {
        self.sockets.get_or_insert_default()
    }

    /// The call that moved a byte, where it is remembered.
    pub(super) fn call_that_moved(&self, direction: Direction, byte: u64) -> Option<IoRange> {
        self.sockets.as_ref()?.find(direction, byte)
    }

    /// Forgets calls that tell nothing any more.
    pub(super) fn prune(&mut self) {
        let floors = Direction::BOTH.map(|direction| self.floor(direction));
        let Some(sockets) = &mut self.sockets else { return };
        for (direction, floor) in Direction::BOTH.into_iter().zip(floors) {
            sockets.prune(direction, floor);
        }
        self.drop_empty_sockets();
    }

    /// An idle connection has no buffers.
    pub(super) fn drop_empty_sockets(&mut self) {
        self.sockets.take_if(|sockets| sockets.is_empty());
    }

    /// What it keeps for the join, where there is something.
    #[cfg(test)]
    pub(super) fn kept(&self) -> Option<&Sockets> {
        self.sockets.as_deref()
    }

    /// How often it looked at a stream of HTTP/2 among all others.
    #[cfg(test)]
    pub(super) fn visits(&self) -> u64 {
        self.dialogue.visits()
    }

    /// How many buffers it has on the heap.
    #[cfg(test)]
    pub(super) fn buffers(&self) -> usize {
        let held = self.streams.iter().filter(|stream| stream.holds()).count();
        held + usize::from(self.sockets.is_some()) + self.dialogue.buffers()
    }

    fn link(&self) -> Link {
        let [from_pod, to_pod] = &self.streams;
        Link {
            id: self.id,
            vantage: self.vantage,
            cookie: self.cookie,
            now: self.last_seen,
            first_seqs: [from_pod.first_seq(), to_pod.first_seq()],
            nexts: [from_pod.next(), to_pod.next()],
        }
    }

    fn with(
        &mut self,
        direction: Direction,
        work: &mut Work<'_>,
        act: impl FnOnce(Reassembly<'_, '_, '_, &mut dyn FnMut(Delivery<'_>, &mut Work<'_>)>),
    ) {
        let link = self.link();
        let gathered_until = self.dialogue.gathered_until(direction);
        let unread_until = self.dialogue.unread_until(direction, direction.of(&self.streams).next());
        let dialogue = &mut self.dialogue;
        let mut deliver = |delivery: Delivery<'_>, work: &mut Work<'_>| {
            dialogue.deliver(&link, direction, delivery, work);
        };
        let stream = direction.of_mut(&mut self.streams);
        act(Reassembly { stream, direction, unread_until, gathered_until, work, deliver: &mut deliver });
    }
}
