//! The open streams of one connection.
use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    super::work::Work,
    stream::{Extent, Role, Slot},
};
use crate::Anomaly;

/// The open streams. No frame and no segment makes it look at all of them again and again: whoever sends many would have that
/// for nothing.
#[derive(Default)]
pub(super) struct Streams {
    /// Those that the server opened, then those of the client, each by their identifiers.
    slots: Vec<Slot>,
    /// While any is open.
    index: Option<Box<Index>>,
}

/// What spares looking at all streams.
#[derive(Default)]
struct Index {
    /// Of the requests and of the responses: a copy in this range is of no message, or of one that is noted.
    free: [Extent; 2],
    /// Each message by its end when it was last looked at, first the least.
    ends: [BinaryHeap<Reverse<(u64, u32)>>; 2],
    /// Slots looked at.
    #[cfg(test)]
    visits: u64,
}

/// A stream's place among the others.
fn place_of(id: u32) -> (u32, u32) {
    (id % 2, id)
}

/// Where in the table a stream is.
fn place_in(slots: &[Slot], id: u32) -> Option<usize> {
    slots.binary_search_by_key(&place_of(id), |slot| place_of(slot.id)).ok()
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    fn place(&self, id: u32) -> Option<usize> {
        place_in(&self.slots, id)
    }

    pub(super) fn is_open(&self, id: u32) -> bool {
        self.place(id).is_some()
    }

    /// How many slots were looked at since the first of those that are open.
    #[cfg(test)]
    pub(super) fn visits(&self) -> u64 {
        self.index.as_ref().map_or(0, |index| index.visits)
    }

    #[cfg(test)]
    pub(super) fn holds(&self) -> bool {
        self.slots.capacity() > 0
    }

    pub(super) fn get(&mut self, id: u32) -> Option<&mut Slot> {
        let place = self.place(id)?;
        self.slots.get_mut(place)
    }

    pub(super) fn peek(&self, id: u32) -> Option<&Slot> {
        self.slots.get(self.place(id)?)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut()
    }

    /// Takes in a stream that is not there. At the limit the oldest gives way; nothing is taken in where all connections
    /// together hold too much.
    pub(super) fn insert(&mut self, slot: Slot, all_seen: bool, work: &mut Work<'_>) {
        let cost = slot.cost();
        if !work.tally.has_room(cost, self.slots.iter().map(Slot::cost)) {
            work.tally.open_overflows += 1;
            return work.tally.count(Anomaly::TooManyPending);
        }
        if self.slots.len() >= work.config.limits.pending_requests.max(1) {
            work.tally.open_overflows += 1;
            work.tally.count(Anomaly::TooManyPending);
            self.end_at(0, Some(Anomaly::TooManyPending), all_seen, work);
        }
        work.tally.open += cost;
        let (id, extents) = (slot.id, slot.extents);
        let place = self.slots.partition_point(|other| place_of(other.id) < place_of(id));
        self.slots.insert(place, slot);
        for role in [Role::Request, Role::Response] {
            self.cover(role, id, *role.of(&extents), true);
        }
    }

    /// A message has this extent now. `new`: it had none before.
    pub(super) fn cover(&mut self, role: Role, id: u32, extent: Extent, new: bool) {
        if extent.start == 0 {
            return;
        }
        let index = self.index.get_or_insert_default();
        role.of_mut(&mut index.free).keep_off(extent);
        let ends = role.of_mut(&mut index.ends);
        if new {
            ends.push(Reverse((extent.end, id)));
        }
        // Those of streams that are over stay until they are the least, or too many.
        if ends.len() > 2 * self.slots.len() + 16 {
            ends.retain(|Reverse((_, id))| place_in(&self.slots, *id).is_some());
        }
    }

    /// The exchange of a stream is over.
    pub(super) fn finish(&mut self, id: u32, over: bool, all_seen: bool, work: &mut Work<'_>) {
        if let Some(place) = self.place(id) {
            self.take(place, over, all_seen, work);
        }
    }

    fn take(&mut self, place: usize, over: bool, all_seen: bool, work: &mut Work<'_>) {
        let slot = self.slots.remove(place);
        hand_on(slot, over, all_seen, work);
        self.trim();
    }

    fn trim(&mut self) {
        if self.slots.is_empty() {
            *self = Self::default();
        }
    }

    /// The streams of one kind (`odd`: 1 for the client's, 0 for the server's) above this one end as they are.
    pub(super) fn end_above(
        &mut self,
        last: u32,
        odd: u32,
        all_seen: bool,
        work: &mut Work<'_>,
        mut end: impl FnMut(&mut Slot),
    ) {
        let from = self.slots.partition_point(|slot| place_of(slot.id) <= (odd, last));
        let to = self.slots.partition_point(|slot| slot.id % 2 <= odd);
        self.index.iter_mut().for_each(|index| index.visit(to.saturating_sub(from)));
        for mut slot in self.slots.drain(from..to.max(from)) {
            end(&mut slot);
            slot.note(Anomaly::GoAway);
            hand_on(slot, false, all_seen, work);
        }
        self.trim();
    }

    /// A stream ends as it is.
    fn end_at(&mut self, place: usize, anomaly: Option<Anomaly>, all_seen: bool, work: &mut Work<'_>) {
        if let Some(slot) = self.slots.get_mut(place) {
            anomaly.into_iter().for_each(|anomaly| slot.note(anomaly));
            self.take(place, false, all_seen, work);
        }
    }

    /// The streams for which this holds end as they are, in their order.
    pub(super) fn end_where(
        &mut self,
        anomaly: Anomaly,
        all_seen: bool,
        work: &mut Work<'_>,
        which: impl Fn(&Slot) -> bool,
    ) {
        if !self.slots.iter().any(&which) {
            return;
        }
        let ended = self.slots.extract_if(.., |slot| which(slot));
        for mut slot in ended {
            slot.note(anomaly);
            hand_on(slot, false, all_seen, work);
        }
        self.trim();
    }

    /// The connection is over: all end as they are.
    pub(super) fn end_all(&mut self, extra: Option<Anomaly>, all_seen: bool, work: &mut Work<'_>) {
        let slots = std::mem::take(self).slots;
        for mut slot in slots {
            if let Some(anomaly) = slot.missing() {
                work.tally.count(anomaly);
                slot.note(anomaly);
            }
            extra.into_iter().for_each(|extra| slot.note(extra));
            hand_on(slot, false, all_seen, work);
        }
    }

    /// Bytes of one direction in this range were sent again: the messages that go on behind them came later for it.
    pub(super) fn note_again(&mut self, role: Role, start: u64, end: u64) {
        let Some(index) = self.index.as_deref_mut() else { return };
        let free = role.of_mut(&mut index.free);
        if free.start <= start && end <= free.end {
            return;
        }
        *free = Extent { start: 0, end: u64::MAX };
        for slot in &mut self.slots {
            let extent = *role.of(&slot.extents);
            if extent.overlaps(start, end) {
                slot.note(Anomaly::Retransmit);
            } else if extent.end <= start {
                free.start = free.start.max(extent.end);
            } else {
                free.end = free.end.min(extent.start);
            }
        }
        index.visit(self.slots.len());
    }

    /// The least end, so far, of a message of an open stream. Ends only grow, so each is looked at when it seems the least,
    /// and again when it grew since.
    pub(super) fn first_end(&mut self, role: Role) -> Option<u64> {
        let Self { slots, index } = self;
        let index = index.as_deref_mut()?;
        loop {
            let Reverse((end, id)) = *role.of(&index.ends).peek()?;
            index.visit(1);
            let now =
                place_in(slots, id).and_then(|place| slots.get(place)).map(|slot| role.of(&slot.extents).end);
            if now == Some(end) {
                return now;
            }
            let ends = role.of_mut(&mut index.ends);
            ends.pop();
            ends.extend(now.map(|now| Reverse((now, id))));
        }
    }
}

/// A stream left the table: its exchange is over.
fn hand_on(slot: Slot, over: bool, all_seen: bool, work: &mut Work<'_>) {
    work.tally.open = work.tally.open.saturating_sub(slot.cost());
    work.out.finished.push(slot.finish(over, all_seen));
}

impl Index {
    #[cfg_attr(
        not(test),
        expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "counts in tests alone")
    )]
    fn visit(&mut self, _slots: usize) {
        #[cfg(test)]
        {
            self.visits += _slots as u64;
        }
    }
}
