//! SETTINGS (RFC 9113, 6.5), as far as others' frames depend on them.
use super::{
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
        let size = self.waiting.remove(0);
        if self.waiting.is_empty() {
            self.waiting = Vec::new();
        }
        size
    }
}

impl Connection {
    pub(super) fn begin_settings(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader) {
        if frame.stream_id != 0 {
            cx.violation();
        }
        if frame.has(flag::ACK) && self.all_seen {
            let announced = cx.direction.reverse().of_mut(&mut self.announced);
            if let Some(size) = announced.acknowledge() {
                self.half(cx.direction).decoder.set_limit(size);
            }
        }
    }

    /// One of the settings of a frame.
    pub(super) fn setting(&mut self, cx: &mut Cx<'_, '_>, setting: u16, value: u32, time: Ktime) {
        let sender = self.half(cx.direction.reverse());
        match setting {
            HEADER_TABLE_SIZE => cx.direction.of_mut(&mut self.announced).table_size = Some(value),
            INITIAL_WINDOW_SIZE if value > u32::MAX >> 1 => cx.violation(),
            INITIAL_WINDOW_SIZE => sender.initial_window.set(value, time),
            MAX_FRAME_SIZE => sender.max_frame = sender.max_frame.max(value.min(MAX_FRAME)),
            _ => {}
        }
    }

    pub(super) fn end_settings(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader) {
        if frame.has(flag::ACK) {
            return;
        }
        if !self.all_seen {
            *cx.direction.of_mut(&mut self.announced) = Announced::default();
            return;
        }
        let announced = cx.direction.of_mut(&mut self.announced);
        if let Some(size) = announced.end_frame() {
            self.half(cx.direction.reverse()).decoder.set_limit(size);
        }
        if cx.direction.of(&self.announced).waiting.len() > MAX_UNACKNOWLEDGED {
            self.forget_settings();
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
