//! Spans of a trace as a tree.
use std::collections::HashMap;

use weft_core::{Side, Span, SpanId};

/// A span and how many are above it.
pub struct Node {
    pub depth: usize,
    pub span: Span,
}

/// Each span behind its parent, siblings in the order in which they began. Whose parent is not among them is a root. Ids may
/// come from strangers: where they make a circle, its earliest span is a root.
pub fn arrange(mut spans: Vec<Span>) -> Vec<Node> {
    spans.sort_by_key(|span| (span.start, span.kind == Side::Server, span.span_id));
    let order = order(&spans);
    let mut spans: Vec<_> = spans.into_iter().map(Some).collect();
    let node = |(index, depth): (usize, usize)| {
        Some(Node { depth, span: spans.get_mut(index).and_then(Option::take)? })
    };
    order.into_iter().filter_map(node).collect()
}

/// Indexes and depths, parents first.
fn order(spans: &[Span]) -> Vec<(usize, usize)> {
    let mut known: HashMap<SpanId, usize> = HashMap::new();
    for (index, span) in spans.iter().enumerate() {
        known.entry(span.span_id).or_insert(index);
    }
    let parents: Vec<_> =
        spans.iter().map(|span| span.parent_span_id.and_then(|parent| known.get(&parent).copied())).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
    for (index, parent) in parents.iter().enumerate().rev() {
        if let Some(siblings) = parent.and_then(|parent| children.get_mut(parent)) {
            siblings.push(index);
        }
    }
    let roots = (0..spans.len()).filter(|index| parents.get(*index) == Some(&None));
    let (mut order, mut seen) = (Vec::new(), vec![false; spans.len()]);
    for root in roots.chain(0..spans.len()) {
        let mut open = vec![(root, 0)];
        while let Some((index, depth)) = open.pop() {
            if seen.get_mut(index).is_none_or(|seen| std::mem::replace(seen, true)) {
                continue;
            }
            order.push((index, depth));
            open.extend(children.get(index).into_iter().flatten().map(|child| (*child, depth + 1)));
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::{super::super::store::tests::exchange, *};

    /// `(id, parent, start)`; the first span of this id.
    fn spans(of: &[(u64, u64, u64)]) -> Vec<Span> {
        let span = |(id, parent, start): &(u64, u64, u64)| {
            let parent_span_id = Some(SpanId(*parent)).filter(|parent| parent.0 != 0);
            let any = Span::of(&exchange(1, 1, "a")).unwrap();
            Span { span_id: SpanId(*id), parent_span_id, start: *start, ..any }
        };
        of.iter().map(span).collect()
    }

    fn shown(of: &[(u64, u64, u64)]) -> String {
        let nodes = arrange(spans(of));
        assert_eq!(nodes.len(), of.len(), "each span once");
        let shown: Vec<_> =
            nodes.iter().map(|node| format!("{}{}", "-".repeat(node.depth), node.span.span_id.0)).collect();
        shown.join(" ")
    }

    #[test]
    fn children_stand_behind_their_parents_in_the_order_of_time() {
        assert_eq!(shown(&[(4, 2, 40), (1, 0, 10), (3, 1, 30), (2, 1, 20)]), "1 -2 --4 -3");
    }

    #[test]
    fn whose_parent_is_elsewhere_is_a_root() {
        assert_eq!(shown(&[(2, 99, 20), (1, 98, 10), (3, 2, 30)]), "1 2 -3");
    }

    #[test]
    fn a_circle_begins_with_its_earliest() {
        assert_eq!(shown(&[(1, 2, 10), (2, 1, 5), (3, 3, 1), (4, 1, 20)]), "3 2 -1 --4");
    }

    #[test]
    fn one_id_twice_is_two_spans() {
        assert_eq!(shown(&[(1, 0, 10), (1, 0, 20), (2, 1, 30)]), "1 -2 1");
    }

    #[test]
    fn depth_has_no_end() {
        let deep: Vec<_> = (1..20_000).map(|id| (id, id - 1, id)).collect();
        assert_eq!(arrange(spans(&deep)).last().map(|node| node.depth), Some(19_998));
    }
}
