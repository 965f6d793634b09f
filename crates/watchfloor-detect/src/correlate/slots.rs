//! Places for groups, in pieces of a fixed size: growing moves nothing and never takes twice the
//! room, as a vector or a map of that many groups would.

use super::group::Group;

/// Places in a piece.
const PIECE: usize = 512;

/// Places for groups.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pieces: Vec<Box<[Option<Group>]>>,
    free: Vec<u32>,
}

impl Slots {
    pub(super) fn get(&self, slot: u32) -> Option<&Group> {
        let piece = self.pieces.get(slot as usize / PIECE)?;
        piece.get(slot as usize % PIECE)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Group> {
        let piece = self.pieces.get_mut(slot as usize / PIECE)?;
        piece.get_mut(slot as usize % PIECE)?.as_mut()
    }

    /// Gives a group a place.
    pub(super) fn put(&mut self, group: Group) -> u32 {
        if self.free.is_empty() {
            let first = self.pieces.len() * PIECE;
            self.pieces.push((0..PIECE).map(|_| None).collect());
            self.free
                .extend((first..first + PIECE).rev().map(|slot| slot as u32));
        }
        let slot = self.free.pop().unwrap_or(0);
        self.pieces[slot as usize / PIECE][slot as usize % PIECE] = Some(group);
        slot
    }

    /// Takes a group out of its place.
    pub(super) fn take(&mut self, slot: u32) -> Option<Group> {
        let piece = self.pieces.get_mut(slot as usize / PIECE)?;
        let group = piece.get_mut(slot as usize % PIECE)?.take();
        if group.is_some() {
            self.free.push(slot);
        }
        group
    }

    /// All places, whether taken or not.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> + use<> {
        0..(self.pieces.len() * PIECE) as u32
    }

    /// The groups.
    pub(super) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.pieces.iter().flat_map(|piece| piece.iter().flatten())
    }
}
