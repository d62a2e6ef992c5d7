//! How many items fit into one document. What aggregators take has a limit, and a feed that is beyond it is as good as none.

use crate::wire::Format;

/// For what the head of the feed comes to hold besides: declarations of modules, links to other parts.
const HEAD_BYTES: usize = 8_192;

/// Items counted into parts, each as large as may be, and of one item at least. One part begins where it was asked to.
pub(super) struct Cut {
    /// Items before the part that is wanted.
    skipped: usize,
    bytes_max: usize,
    bytes: usize,
    /// Number of the first item of the part that is being filled.
    pub(super) start: usize,
    /// Where the part before the wanted one begins.
    pub(super) before: Option<usize>,
}

impl Cut {
    /// For a feed that has so many bytes without items.
    pub(super) fn new(skipped: usize, format: Format, head_bytes: usize) -> Self {
        Cut::of(skipped, format.bytes_max().saturating_sub(head_bytes + HEAD_BYTES))
    }

    fn of(skipped: usize, bytes_max: usize) -> Self {
        Cut { skipped, bytes_max, bytes: 0, start: 0, before: None }
    }

    /// Takes item `number`, which has so many bytes. False if the wanted part is full: the item is not in it.
    pub(super) fn takes(&mut self, number: usize, bytes: usize) -> bool {
        if number == self.skipped && number > self.start {
            self.before = Some(self.start);
            self.begin(number);
        }
        if self.bytes > 0 && self.bytes + bytes > self.bytes_max {
            if self.start == self.skipped {
                return false;
            }
            self.begin(number);
        }
        self.bytes += bytes + 1;
        true
    }

    fn begin(&mut self, number: usize) {
        (self.start, self.bytes) = (number, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Start and end of the part behind `skipped` items, and where the one before it begins.
    fn part(skipped: usize, sizes: &[usize]) -> (usize, usize, Option<usize>) {
        let mut cut = Cut::of(skipped, 10);
        let end = sizes.iter().enumerate().position(|(number, bytes)| !cut.takes(number, *bytes));
        (cut.start, end.unwrap_or(sizes.len()), cut.before)
    }

    #[test]
    fn the_parts_of_a_volume_are_all_of_it_and_know_each_other() {
        let sizes = [3, 3, 30, 1, 9, 5, 4, 4];
        let mut parts = Vec::new();
        let mut skipped = 0;
        while skipped < sizes.len() {
            let (start, end, before) = part(skipped, &sizes);
            assert_eq!((start, before), (skipped, parts.last().copied()));
            assert!(end > start);
            parts.push(start);
            skipped = end;
        }
        assert_eq!(parts, [0, 2, 3, 4, 5, 7]);
        // As one that only counts finds it.
        assert_eq!(part(usize::MAX, &sizes).0, 7);
    }

    #[test]
    fn a_part_that_begins_elsewhere_since_something_was_edited_is_one_all_the_same() {
        assert_eq!(part(1, &[3, 3, 3, 3]), (1, 3, Some(0)));
    }
}
