//! SETTINGS (RFC 9113, 6.5), as far as others' frames depend on them.
use super::{
    super::direction::Direction,
    connection::{Connection, Cx},
    frame::{FrameHeader, MAX_FRAME, flag},
};
use crate::Ktime;

const HEADER_TABLE_SIZE: u16 = 0x1;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
/// Announcements that may wait for their acknowledgement; no program has more than two.
const MAX_UNACKNOWLEDGED: usize = 16;

/// What one end announced of its header table, by SETTINGS frame, until the other end acknowledges it: its header blocks
/// before that were made for what was in force before.
#[derive(Default)]
pub(super) struct Announced {
    /// By the frame that is coming.
    table_size: Option<u32>,
    waiting: Vec<Option<u32>>,
    /// Acknowledgements that passed before what they acknowledge.
    early: u8,
}

impl Announced {
    /// The frame is complete. Gives a table size that is in force already.
    fn end_frame(&mut self) -> Option<u32> {
        let table_size = self.table_size.take();
        if self.early > 0 {
            self.early -= 1;
            return table_size;
        }
        self.waiting.push(table_size);
        None
    }

    /// The other end has it in force now.
    fn acknowledge(&mut self) -> Option<u32> {
        if self.waiting.is_empty() {
            self.early = self.early.saturating_add(1);
            return None;
        }
        self.waiting.remove(0)
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.early == 0 && self.table_size.is_none()
    }
}

impl Connection {
    pub(super) fn begin_settings(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader) {
        if frame.stream_id != 0 {
            cx.violation();
        }
        if frame.has(flag::ACK) && self.all_seen {
            let announced = cx.direction.reverse().of_mut(&mut self.announced);
            let in_force = announced.get_or_insert_default().acknowledge();
            self.table_size(cx.direction.reverse(), in_force);
        }
    }

    /// One of the settings of a frame.
    pub(super) fn setting(&mut self, cx: &mut Cx<'_, '_>, setting: u16, value: u32, time: Ktime) {
        let streams = self.streams.len() > 0;
        let sender = self.half(cx.direction.reverse());
        match setting {
            HEADER_TABLE_SIZE => {
                let announced = cx.direction.of_mut(&mut self.announced).get_or_insert_default();
                announced.table_size = Some(value);
            }
            INITIAL_WINDOW_SIZE if value > u32::MAX >> 1 => cx.violation(),
            INITIAL_WINDOW_SIZE => sender.initial_window.set(value, &sender.window, streams, time),
            MAX_FRAME_SIZE => sender.max_frame = sender.max_frame.max(value.min(MAX_FRAME)),
            _ => {}
        }
    }

    pub(super) fn end_settings(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader) {
        if frame.has(flag::ACK) {
            return;
        }
        if !self.all_seen {
            *cx.direction.of_mut(&mut self.announced) = None;
            return;
        }
        let announced = cx.direction.of_mut(&mut self.announced).get_or_insert_default();
        let in_force = announced.end_frame();
        if announced.waiting.len() > MAX_UNACKNOWLEDGED {
            return self.forget_settings();
        }
        self.table_size(cx.direction, in_force);
    }

    /// What one end announced is in force for the other's header blocks.
    fn table_size(&mut self, announcer: Direction, size: Option<u32>) {
        if let Some(size) = size {
            self.half(announcer.reverse()).decoder.set_limit(size);
        }
        let announced = announcer.of_mut(&mut self.announced);
        if announced.as_deref().is_some_and(Announced::is_idle) {
            *announced = None;
        }
    }

    /// What is in force is not known any more, and never will be.
    pub(super) fn forget_settings(&mut self) {
        self.all_seen = false;
        self.announced = Default::default();
        for half in &mut self.halves {
            half.decoder.set_limit(u32::MAX);
        }
    }
}
