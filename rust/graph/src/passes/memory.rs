//! Places for every value of a graph, once the unknown sizes are known: one arena, reused when a value has died.

use super::rows::Rows;
use crate::buffer::align_up;
use crate::graph::{Graph, Index, Origin};
use crate::op::Operand;
use crate::tensor::{MOST_BYTES, bytes_of, no_memory};
use crate::{Bindings, DType, Result};

/// Where a value's bytes are during a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The caller's operand.
    Input(usize),
    /// The content of `Graph::variables[i]` when the run starts.
    Variable(usize),
    /// The content of `Graph::variables[i]` after the run; the same memory as before it where nobody else holds it.
    Update(usize),
    /// The constant that the value is.
    Constant,
    /// A result of the prologue.
    Hoisted(usize),
    /// An offset in the arena.
    Arena(usize),
    /// The caller's result.
    Output(usize),
}

/// A memory plan for one binding of the unknown sizes.
#[derive(Debug)]
pub struct Layout {
    /// The sizes of the symbols.
    pub bindings: Bindings,
    /// The number of threads that scratch suffices for.
    pub threads: usize,
    /// Per value: its place.
    pub places: Vec<Place>,
    /// Per value: its sizes, in `sizes`.
    ranges: Vec<(u32, u32)>,
    sizes: Vec<usize>,
    dtypes: Vec<DType>,
    /// Per node: the offset and length of its scratch in the arena.
    pub scratch: Vec<(usize, usize)>,
    /// Values to copy when all nodes have run.
    pub copies: Vec<(Index, Place)>,
    /// Per variable: whether `Place::Update` must be other memory than `Place::Variable`.
    pub fresh: Vec<bool>,
    /// Bytes of the arena.
    pub arena: usize,
    /// The steps that run on some rows of the batch at a time.
    pub rows: Option<Rows>,
    /// Per value: its sizes in these steps, in `sizes`.
    few: Vec<(u32, u32)>,
    /// Per value: whether some of its rows are all that is ever kept of it.
    passing: Vec<bool>,
}

impl Layout {
    /// The sizes of a value's axes.
    pub fn shape(&self, value: Index) -> &[usize] {
        let (start, end) = self.ranges[value];
        &self.sizes[start as usize..end as usize]
    }

    /// The dtype and sizes of a value.
    pub fn operand(&self, value: Index) -> Operand<'_> {
        Operand {
            dtype: self.dtypes[value],
            shape: self.shape(value),
        }
    }

    /// The rows that a step sees, if those are not all.
    fn rows_of(&self, step: usize) -> Option<&Rows> {
        self.rows.as_ref().filter(|rows| step < rows.steps)
    }

    /// The dtype and sizes of a value as a step sees it.
    pub fn seen(&self, step: usize, value: Index) -> Operand<'_> {
        let mut operand = self.operand(value);
        if self.rows_of(step).is_some() {
            let (start, end) = self.few[value];
            operand.shape = &self.sizes[start as usize..end as usize];
        }
        operand
    }

    /// The bytes of a value in front of a row of the batch, where a step begins to see it.
    pub fn bytes_before(&self, step: usize, row: usize, value: Index) -> usize {
        self.rows_of(step)
            .filter(|rows| rows.batched[value] && !self.passing[value])
            .map_or(0, |rows| row * (self.operand(value).bytes() / rows.of))
    }

    /// The sizes of the symbols in a step.
    pub fn bindings_of(&self, step: usize) -> &Bindings {
        self.rows_of(step)
            .map_or(&self.bindings, |rows| &rows.bindings)
    }

    /// The steps as they run, each with the first row of the batch that it sees.
    pub fn order(&self) -> impl Iterator<Item = (usize, usize)> {
        let first = self.rows.as_ref().map_or(0, |rows| rows.steps);
        let starts = self.rows.iter().flat_map(Rows::starts);
        let few = starts.flat_map(move |row| (0..first).map(move |step| (step, row)));
        few.chain((first..self.scratch.len()).map(|step| (step, 0)))
    }

    /// Plans memory.
    ///
    /// Values that are aliases of one memory (`Op::is_alias`) form a group, which lives from its first definition to its
    /// last use. Groups are placed in the order of definition, at the lowest free offset that fits. Of what only steps use that run on
    /// some rows at a time, some rows are kept; what they hand on lives from the first step on, as all their turns write it.
    ///
    /// # Errors
    /// `Error::Memory` when no address space holds the values.
    pub fn plan(graph: &Graph, bindings: Bindings) -> Result<Layout> {
        let count = graph.values.len();
        let (mut sizes, mut ranges) = (Vec::new(), Vec::with_capacity(count));
        for info in &graph.values {
            let start = sizes.len() as u32;
            sizes.extend(info.spec.shape.iter().map(|dim| dim.size(&bindings)));
            ranges.push((start, sizes.len() as u32));
        }
        let mut layout = Layout {
            bindings,
            threads: kernels::threads::num_threads(),
            places: vec![Place::Constant; count],
            ranges,
            sizes,
            dtypes: graph.values.iter().map(|info| info.spec.dtype).collect(),
            scratch: Vec::with_capacity(graph.nodes.len()),
            copies: Vec::new(),
            fresh: vec![false; graph.variables.len()],
            arena: 0,
            rows: None,
            few: Vec::new(),
            passing: vec![false; count],
        };
        let mut all = 0;
        for (value, info) in graph.values.iter().enumerate() {
            let (dtype, shape) = (info.spec.dtype, layout.shape(value));
            all += bytes_of(dtype, shape)?;
            if all > MOST_BYTES {
                return Err(no_memory(dtype, shape));
            }
        }
        let group = groups(graph);
        let last_use = last_uses(graph, &group);
        let mut placed = vec![false; count];
        for (i, info) in graph.values.iter().enumerate() {
            let place = match info.origin {
                Origin::Input(k) => Place::Input(k),
                Origin::Variable(k) => Place::Variable(k),
                Origin::Constant(_) => Place::Constant,
                Origin::Hoisted(k) => Place::Hoisted(k),
                Origin::Node(..) => continue,
            };
            (layout.places[i], placed[i]) = (place, true);
        }
        layout.place_results(graph, &group, &last_use, &mut placed);

        let mut free = FreeList::default();
        let mut live: Vec<(usize, usize, usize)> = Vec::new();
        layout.rows = Rows::choose(graph, &layout);
        if let Some(rows) = &layout.rows {
            for info in &graph.values {
                let start = layout.sizes.len() as u32;
                let shape = info.spec.shape.iter();
                (layout.sizes).extend(shape.map(|dim| dim.size(&rows.bindings)));
                layout.few.push((start, layout.sizes.len() as u32));
            }
            for &output in graph.nodes[..rows.steps].iter().flat_map(|n| &n.outputs) {
                let root = group[output];
                layout.passing[output] = !placed[root] && last_use[root] < rows.steps;
                if !placed[root] && !layout.passing[output] {
                    let bytes = align_up(layout.operand(root).bytes());
                    let offset = free.take(bytes);
                    live.push((root, offset, bytes));
                    (layout.places[root], placed[root]) = (Place::Arena(offset), true);
                }
            }
        }
        for (n, node) in graph.nodes.iter().enumerate() {
            if !node.op.is_alias() {
                for (o, &output) in node.outputs.iter().enumerate() {
                    let root = group[output];
                    if placed[root] {
                        continue;
                    }
                    let bytes = align_up(layout.seen(n, output).bytes());
                    let reused = node.op.inplace().iter().find_map(|&(i, to)| {
                        let input = group[*node.inputs.get(i)?];
                        let dies = to == o && last_use[input] == n;
                        // Another operand that aliases this memory would be overwritten while it is read.
                        let alone = node
                            .inputs
                            .iter()
                            .filter(|&&other| group[other] == input)
                            .count()
                            == 1;
                        // Equal bytes alone are not enough: eight floats may broadcast to 32 bools.
                        let (own, new) = (layout.seen(n, node.inputs[i]), layout.seen(n, output));
                        let same = own.size() == new.size() && own.bytes() == new.bytes();
                        live.iter()
                            .position(|(r, ..)| dies && alone && same && *r == input)
                    });
                    let offset = match reused {
                        Some(at) => live.swap_remove(at).1,
                        None => free.take(bytes),
                    };
                    live.push((root, offset, bytes));
                    (layout.places[root], placed[root]) = (Place::Arena(offset), true);
                }
            }
            let seen = |values: &[Index]| -> Vec<Operand<'_>> {
                values.iter().map(|&value| layout.seen(n, value)).collect()
            };
            let (inputs, outputs) = (seen(&node.inputs), seen(&node.outputs));
            let want = if node.op.is_alias() {
                0
            } else {
                node.op.scratch(&inputs, &outputs, layout.bindings_of(n))
            };
            let offset = free.take(align_up(want));
            layout.scratch.push((offset, want));
            free.give(offset, align_up(want));
            live.retain(|&(root, offset, bytes)| {
                let dead = last_use[root] <= n;
                if dead {
                    free.give(offset, bytes);
                }
                !dead
            });
        }
        layout.arena = free.end;
        for (value, &root) in group.iter().enumerate() {
            layout.places[value] = layout.places[root];
        }
        Ok(layout)
    }

    /// Places what is a result or a variable's new content where the caller or the variable has it.
    fn place_results(
        &mut self,
        graph: &Graph,
        group: &[Index],
        last_use: &[usize],
        placed: &mut [bool],
    ) {
        for &(variable, value) in &graph.updates {
            let root = group[value];
            if placed[root] {
                self.copies.push((value, Place::Update(variable)));
                self.fresh[variable] |= is_read_late(graph, group, variable);
                continue;
            }
            (self.places[root], placed[root]) = (Place::Update(variable), true);
            let Origin::Node(producer, output) = graph.values[root].origin else {
                continue;
            };
            let old = graph
                .values
                .iter()
                .position(|info| matches!(info.origin, Origin::Variable(v) if v == variable));
            let Some(old) = old else { continue };
            let node = &graph.nodes[producer];
            let replaces = node.op.inplace().iter().any(|&(i, o)| {
                o == output
                    && node.inputs.get(i).is_some_and(|&input| group[input] == old)
                    && node
                        .inputs
                        .iter()
                        .filter(|&&input| group[input] == old)
                        .count()
                        == 1
            });
            let last = last_use[old];
            self.fresh[variable] |= if replaces {
                last > producer
            } else {
                last != 0 && last >= producer
            };
            self.fresh[variable] |=
                last == producer && !replaces && node.inputs.iter().any(|&i| group[i] == old);
        }
        for (k, &output) in graph.outputs.iter().enumerate() {
            let root = group[output];
            if placed[root] {
                self.copies.push((output, Place::Output(k)));
            } else {
                (self.places[root], placed[root]) = (Place::Output(k), true);
            }
        }
    }
}

/// Whether a variable's old content is still wanted when results are copied.
fn is_read_late(graph: &Graph, group: &[Index], variable: usize) -> bool {
    let is_old = |value: Index| matches!(graph.values[group[value]].origin, Origin::Variable(v) if v == variable);
    graph.outputs.iter().any(|&output| is_old(output))
        || graph
            .updates
            .iter()
            .any(|&(other, value)| other != variable && is_old(value))
}

/// Per value: the first value of its memory.
fn groups(graph: &Graph) -> Vec<Index> {
    let mut group: Vec<Index> = (0..graph.values.len()).collect();
    for node in &graph.nodes {
        if node.op.is_alias() {
            group[node.outputs[0]] = group[node.inputs[0]];
        }
    }
    group
}

/// Per group: the last node that uses it; results are used after all nodes.
fn last_uses(graph: &Graph, group: &[Index]) -> Vec<usize> {
    let mut last = vec![0; graph.values.len()];
    for (n, node) in graph.nodes.iter().enumerate() {
        for &value in node.inputs.iter().chain(&node.outputs) {
            last[group[value]] = n;
        }
    }
    for &value in graph
        .outputs
        .iter()
        .chain(graph.updates.iter().map(|(_, value)| value))
    {
        last[group[value]] = usize::MAX;
    }
    last
}

/// Free ranges of the arena, sorted by offset; everything from `end` on is free too.
#[derive(Default)]
struct FreeList {
    ranges: Vec<(usize, usize)>,
    end: usize,
}

impl FreeList {
    /// The smallest free range that fits, or new space at the end.
    fn take(&mut self, bytes: usize) -> usize {
        if bytes == 0 {
            return 0;
        }
        let best = (0..self.ranges.len())
            .filter(|&i| self.ranges[i].1 >= bytes)
            .min_by_key(|&i| self.ranges[i].1);
        if let Some(i) = best {
            let (offset, len) = self.ranges[i];
            if len == bytes {
                self.ranges.remove(i);
            } else {
                self.ranges[i] = (offset + bytes, len - bytes);
            }
            return offset;
        }
        // A free range that touches the end is extended.
        if let Some(&(offset, len)) = self.ranges.last()
            && offset + len == self.end
        {
            self.ranges.pop();
            self.end = offset + bytes;
            return offset;
        }
        self.end += bytes;
        self.end - bytes
    }

    fn give(&mut self, offset: usize, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let at = self.ranges.partition_point(|&(start, _)| start < offset);
        self.ranges.insert(at, (offset, bytes));
        if at + 1 < self.ranges.len() && offset + bytes == self.ranges[at + 1].0 {
            self.ranges[at].1 += self.ranges.remove(at + 1).1;
        }
        if at > 0 && self.ranges[at - 1].0 + self.ranges[at - 1].1 == offset {
            self.ranges[at - 1].1 += self.ranges.remove(at).1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FreeList;

    #[test]
    fn freed_neighbours_join() {
        let mut free = FreeList::default();
        let (a, b, c) = (free.take(64), free.take(128), free.take(64));
        assert_eq!((a, b, c), (0, 64, 192));
        free.give(a, 64);
        free.give(c, 64);
        free.give(b, 128);
        assert_eq!(free.ranges, [(0, 256)]);
        assert_eq!(free.take(320), 0);
        assert_eq!(free.end, 320);
    }
}
