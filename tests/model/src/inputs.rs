//! What is stored of the inputs of a task's items, and what a worker makes of it: `longhaul/src/store/inputs.rs`.

use crate::Rules;
use crate::guard::Guard;
use crate::table::{CHUNKS, ChunkIndex, ITEMS_MAX, TaskIndex};

/// Which request an input is of. Submits with the same key ask for the same.
pub type Request = u8;

/// An input as a worker has it in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Input {
    /// The request that it is of.
    pub request: Request,
    /// The place in the chunk of the item that it is for.
    pub item: u8,
}

/// What a worker has in hand: the inputs of the items that it has not processed yet, the next one first.
pub type Hand = [Option<Input>; ITEMS_MAX];

/// What is left in hand when the first input is used.
#[must_use]
pub fn without_first(mut hand: Hand) -> Hand {
    hand.rotate_left(1);
    if let Some(last) = hand.last_mut() {
        *last = None;
    }
    hand
}

/// The rows of one task. Each is a part of its own and holds the input of one item; what it holds is of this request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Inputs([[Option<Request>; ITEMS_MAX]; CHUNKS]);

impl Inputs {
    /// Puts a row, whatever was there.
    pub fn put(&mut self, chunk: ChunkIndex, item: u8, request: Request) {
        self.0[usize::from(chunk)][usize::from(item)] = Some(request);
    }

    /// A row's time to live is over.
    pub fn remove(&mut self, chunk: ChunkIndex, item: u8) {
        self.0[usize::from(chunk)][usize::from(item)] = None;
    }

    /// The places that have a row.
    pub fn rows(&self) -> impl Iterator<Item = (ChunkIndex, u8)> {
        let chunks = (0..).zip(&self.0);
        chunks.flat_map(|(chunk, rows)| {
            let items = (0..).zip(rows);
            items.filter_map(move |(item, row)| row.map(|_| (chunk, item)))
        })
    }

    /// Whether every item of `task` has its own input.
    #[must_use]
    pub fn are_all_of(&self, rules: &Rules, task: TaskIndex) -> bool {
        let own = Some(rules.request(task));
        let mut parts = (0..).map_while(|part| rules.part(part));
        parts.all(|(chunk, item)| self.0[usize::from(chunk)][usize::from(item)] == own)
    }

    /// What a worker gets that asks for the inputs of a chunk from the item `first` on: the rows that there are, in
    /// order. `None` if some are not there, which it notices.
    #[must_use]
    pub fn read(&self, rules: &Rules, chunk: ChunkIndex, first: u8) -> Option<Hand> {
        let wanted = first..rules.chunk_items[usize::from(chunk)];
        let wanted_len = wanted.len();
        let rows = wanted.filter_map(|item| {
            let request = self.0[usize::from(chunk)][usize::from(item)]?;
            Some(Input { request, item })
        });
        let mut hand = Hand::default();
        let mut found = 0;
        for (place, input) in hand.iter_mut().zip(rows) {
            *place = Some(input);
            found += 1;
        }
        rules
            .holds(Guard::InputsAreAll, found == wanted_len)
            .then_some(hand)
    }
}
