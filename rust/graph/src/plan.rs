//! Plans: an optimised graph as a flat list of kernel calls over one arena.
//!
//! The plan keeps sizes unknown; a memory plan (`Layout`) is made per binding of them and kept in a small cache. A warm
//! run allocates nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::buffer::Buffer;
use crate::graph::{Graph, Index, Origin};
use crate::op::{Operand, Run};
use crate::passes::memory::{Layout, Place};
use crate::passes::{Options, optimize};
use crate::tensor::{Fresh, TensorMut, TensorRef};
use crate::{Bindings, Result, Tensor, value_error};

/// How many memory plans a plan keeps.
const LAYOUTS: usize = 16;

/// A computation ready to run, from many threads at once.
pub struct Plan {
    graph: Graph,
    /// Updated variables, by identity, so that two runs never wait for each other in a circle.
    update_order: Vec<usize>,
    /// The prologue, and its results for one set of versions of its variables.
    prologue: Option<Box<Prologue>>,
    layouts: Mutex<Vec<Arc<Layout>>>,
    workspaces: Mutex<Vec<Workspace>>,
}

/// What is computed once per version of the variables.
struct Prologue {
    plan: Plan,
    results: Mutex<Option<Versioned>>,
}

/// Results of a prologue, and the versions of its variables that they were computed from.
struct Versioned {
    versions: Vec<u64>,
    results: Arc<Vec<Tensor>>,
}

impl Prologue {
    fn results(&self) -> Result<Arc<Vec<Tensor>>> {
        let variables = &self.plan.graph.variables;
        let mut held = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*held
            && variables
                .iter()
                .zip(&known.versions)
                .all(|(variable, version)| variable.version() == *version)
        {
            return Ok(known.results.clone());
        }
        // Versions first: a change in between makes these results stale, never those of the change.
        let versions = variables.iter().map(crate::Variable::version).collect();
        let results = Arc::new(self.plan.run(&[])?);
        *held = Some(Versioned {
            versions,
            results: results.clone(),
        });
        Ok(results)
    }
}

/// What one run at a time needs.
struct Workspace {
    arena: Buffer,
    /// Per variable: the content that the run reads.
    old: Vec<Option<Tensor>>,
    /// Per updated variable: the content that the run writes.
    new: Vec<Option<Tensor>>,
    inputs: Vec<TensorRef<'static>>,
    outputs: Vec<TensorMut<'static>>,
}

// SAFETY: the views are empty between runs, and a workspace belongs to one run at a time.
unsafe impl Send for Workspace {}

/// One row of a profile.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The op and what is fused into it.
    pub op: String,
    /// The layer that it comes from.
    pub scope: String,
    /// The results' dtypes and shapes.
    pub outputs: String,
    /// The best time of the measured runs.
    pub time: Duration,
    /// Floating-point operations of one run.
    pub flops: u64,
}

impl Plan {
    /// Optimises a graph and makes it ready to run.
    ///
    /// # Errors
    /// When a pass breaks an invariant.
    pub fn new(mut graph: Graph, options: Options) -> Result<Plan> {
        optimize(&mut graph, options)?;
        let mut update_order: Vec<usize> = graph
            .updates
            .iter()
            .map(|&(variable, _)| variable)
            .collect();
        update_order.sort_by_key(|&variable| graph.variables[variable].id());
        let prologue = match graph.prologue.take() {
            Some(early) => Some(Box::new(Prologue {
                plan: Plan::new(*early, Options { verbatim: true })?,
                results: Mutex::new(None),
            })),
            None => None,
        };
        Ok(Plan {
            graph,
            update_order,
            prologue,
            layouts: Mutex::new(Vec::with_capacity(LAYOUTS)),
            workspaces: Mutex::new(Vec::with_capacity(4)),
        })
    }

    /// The optimised graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The memory plan for operands of these shapes.
    ///
    /// # Errors
    /// `Error::Value` when the shapes do not fit the traced ones.
    pub fn layout(&self, shapes: &[&[usize]]) -> Result<Arc<Layout>> {
        self.layout_for(&self.graph.bind(shapes)?)
    }

    /// The memory plan for these sizes of the symbols.
    ///
    /// # Errors
    /// `Error::Memory` when no address space holds the values.
    pub fn layout_for(&self, bindings: &Bindings) -> Result<Arc<Layout>> {
        let threads = kernels::threads::num_threads();
        let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = layouts
            .iter()
            .position(|layout| layout.threads == threads && layout.bindings == *bindings)
        {
            let layout = layouts[at].clone();
            // The most recently used stands last.
            layouts[at..].rotate_left(1);
            return Ok(layout);
        }
        let layout = Arc::new(Layout::plan(&self.graph, bindings.clone())?);
        if layouts.len() == LAYOUTS {
            layouts.remove(0);
        }
        layouts.push(layout.clone());
        Ok(layout)
    }

    /// The dtypes and shapes of the results under a memory plan.
    pub fn results<'a>(&'a self, layout: &'a Layout) -> impl Iterator<Item = Operand<'a>> {
        self.graph
            .outputs
            .iter()
            .map(|&output| layout.operand(output))
    }

    /// Runs on tensors and gives the results.
    ///
    /// # Errors
    /// When operands do not fit, or a kernel refuses its data.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let shapes: SmallVec<[&[usize]; 4]> = inputs.iter().map(Tensor::shape).collect();
        let layout = self.layout(&shapes)?;
        let views: SmallVec<[TensorRef<'_>; 4]> = inputs.iter().map(Tensor::view).collect();
        let mut results = self.fresh(&layout)?;
        self.execute(&layout, &views, &mut results.views())?;
        Ok(results.into_tensors().into_vec())
    }

    /// New tensors for the results under a memory plan.
    ///
    /// # Errors
    /// `Error::Memory` when there is not enough.
    pub fn fresh(&self, layout: &Layout) -> Result<Fresh> {
        Fresh::new(self.results(layout).map(|r| (r.dtype, r.shape)))
    }

    /// Runs on borrowed memory, into memory of the caller.
    ///
    /// # Errors
    /// When operands or results do not fit, or a kernel refuses its data.
    pub fn execute(
        &self,
        layout: &Layout,
        inputs: &[TensorRef<'_>],
        outputs: &mut [TensorMut<'_>],
    ) -> Result<()> {
        self.walk(&mut [], layout, inputs, outputs, &mut |_, step| step())
    }

    /// As [`Self::execute`], with values in `arena`, which is aligned to a cache line, if they fit.
    ///
    /// # Errors
    /// As `execute`.
    pub(crate) fn execute_in(
        &self,
        arena: &mut [u8],
        layout: &Layout,
        inputs: &[TensorRef<'_>],
        outputs: &mut [TensorMut<'_>],
    ) -> Result<()> {
        self.walk(arena, layout, inputs, outputs, &mut |_, step| step())
    }

    /// Runs `repeats` times and reports each step's best time.
    ///
    /// # Errors
    /// As `execute`.
    pub fn profile(&self, inputs: &[Tensor], repeats: usize) -> Result<Vec<StepReport>> {
        let shapes: SmallVec<[&[usize]; 4]> = inputs.iter().map(Tensor::shape).collect();
        let layout = self.layout(&shapes)?;
        let views: SmallVec<[TensorRef<'_>; 4]> = inputs.iter().map(Tensor::view).collect();
        let mut best = vec![Duration::MAX; self.graph.nodes.len()];
        for _ in 0..repeats.max(1) {
            let mut results = self.fresh(&layout)?;
            let mut spent = vec![Duration::ZERO; best.len()];
            let outputs = &mut results.views();
            self.walk(&mut [], &layout, &views, outputs, &mut |n, step| {
                let start = Instant::now();
                let outcome = step();
                spent[n] += start.elapsed();
                outcome
            })?;
            for (best, spent) in best.iter_mut().zip(spent) {
                *best = spent.min(*best);
            }
        }
        Ok(self
            .steps(&layout)
            .map(|(n, mut report)| {
                report.time = best[n];
                report
            })
            .collect())
    }

    /// The steps that run under a memory plan, without times.
    pub fn steps<'a>(
        &'a self,
        layout: &'a Layout,
    ) -> impl Iterator<Item = (usize, StepReport)> + 'a {
        self.graph
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| !node.op.is_alias())
            .map(|(n, node)| {
                let list = |values: &[Index]| -> Vec<Operand<'a>> {
                    values.iter().map(|&v| layout.operand(v)).collect()
                };
                let outputs = list(&node.outputs);
                let shapes: Vec<String> = outputs
                    .iter()
                    .map(|o| format!("{}{:?}", o.dtype, o.shape))
                    .collect();
                let report = StepReport {
                    op: format!("{:?}", node.op),
                    scope: node.scope.to_string(),
                    outputs: shapes.join(" "),
                    time: Duration::ZERO,
                    flops: node.op.flops(&list(&node.inputs), &outputs),
                };
                (n, report)
            })
    }

    fn walk(
        &self,
        arena: &mut [u8],
        layout: &Layout,
        inputs: &[TensorRef<'_>],
        outputs: &mut [TensorMut<'_>],
        step: &mut dyn FnMut(usize, &mut dyn FnMut() -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        self.check(layout, inputs, outputs)?;
        let given = !arena.is_empty() && arena.len() >= layout.arena;
        let mut workspace = self.workspace(if given { 0 } else { layout.arena })?;
        let arena = match given {
            true => arena.as_mut_ptr(),
            false => workspace.arena.as_mut_ptr(),
        };
        let outcome = self.run_in(arena, &mut workspace, layout, inputs, outputs, step);
        workspace.inputs.clear();
        workspace.outputs.clear();
        let mut workspaces = self
            .workspaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if workspaces.len() < workspaces.capacity() {
            workspaces.push(workspace);
        }
        outcome
    }

    /// A workspace that no other run uses, with an arena that is large enough.
    fn workspace(&self, arena: usize) -> Result<Workspace> {
        let held = self
            .workspaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(mut workspace) = held {
            if workspace.arena.len() < arena {
                workspace.arena = Buffer::new(arena)?;
            }
            return Ok(workspace);
        }
        let most = |count: fn(&crate::graph::Node) -> usize| {
            self.graph.nodes.iter().map(count).max().unwrap_or(0)
        };
        Ok(Workspace {
            arena: Buffer::new(arena)?,
            old: vec![None; self.graph.variables.len()],
            new: vec![None; self.graph.variables.len()],
            inputs: Vec::with_capacity(most(|node| node.inputs.len())),
            outputs: Vec::with_capacity(most(|node| node.outputs.len())),
        })
    }

    fn check(
        &self,
        layout: &Layout,
        inputs: &[TensorRef<'_>],
        outputs: &[TensorMut<'_>],
    ) -> Result<()> {
        if inputs.len() != self.graph.inputs.len() || outputs.len() != self.graph.outputs.len() {
            return value_error!(
                "expected {} operands and {} results, got {} and {}",
                self.graph.inputs.len(),
                self.graph.outputs.len(),
                inputs.len(),
                outputs.len()
            );
        }
        for (&value, given) in self.graph.inputs.iter().zip(inputs) {
            let expected = layout.operand(value);
            if expected.dtype != given.dtype || expected.shape != given.shape {
                return value_error!(
                    "expected an operand {}{:?}, got {}{:?}",
                    expected.dtype,
                    expected.shape,
                    given.dtype,
                    given.shape
                );
            }
        }
        for (&value, given) in self.graph.outputs.iter().zip(outputs) {
            let expected = layout.operand(value);
            if expected.dtype != given.dtype || expected.size() != given.size() {
                return value_error!(
                    "expected a result {}{:?}, got {}{:?}",
                    expected.dtype,
                    expected.shape,
                    given.dtype,
                    given.shape
                );
            }
        }
        Ok(())
    }

    /// Runs with values in `arena`, whose memory is as large as the layout asks for and belongs to this run.
    fn run_in(
        &self,
        arena: *mut u8,
        workspace: &mut Workspace,
        layout: &Layout,
        inputs: &[TensorRef<'_>],
        outputs: &mut [TensorMut<'_>],
        step: &mut dyn FnMut(usize, &mut dyn FnMut() -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let _denormals = kernels::threads::FlushDenormals::enter();
        let _run = kernels::threads::Run::enter();
        let hoisted = self
            .prologue
            .as_ref()
            .map(|prologue| prologue.results())
            .transpose()?;
        let mut held = Held::take(self, layout, workspace)?;
        let Workspace {
            old,
            new,
            inputs: in_views,
            outputs: out_views,
            ..
        } = &mut *held.workspace;
        let hoisted = hoisted
            .as_ref()
            .map_or(&[][..], |results| results.as_slice());
        let mut places = Places {
            plan: self,
            layout,
            arena,
            old,
            new,
            hoisted,
            inputs,
            outputs,
        };
        for (n, row) in layout.order() {
            let node = &self.graph.nodes[n];
            if node.op.is_alias() {
                continue;
            }
            in_views.clear();
            out_views.clear();
            // SAFETY: the views live until the end of this step, while operands, layout and arena are borrowed; the
            // memory plan gives each live value memory of its own, but for declared in-place pairs.
            unsafe {
                let inputs = node.inputs.iter();
                in_views.extend(inputs.map(|&value| places.view(n, row, value)));
                let outputs = node.outputs.iter();
                out_views.extend(outputs.map(|&value| places.view_mut(n, row, value)));
            }
            let (offset, len) = layout.scratch[n];
            // SAFETY: the memory plan keeps `scratch[n]` free of live values during step n.
            let scratch = unsafe { std::slice::from_raw_parts_mut(arena.add(offset), len) };
            let mut run = Run {
                inputs: in_views,
                outputs: out_views,
                scratch,
                bindings: layout.bindings_of(n),
            };
            step(n, &mut || node.op.run(&mut run)).map_err(|error| {
                let name = node.op.name();
                error.in_op(if node.scope.is_empty() {
                    name
                } else {
                    &node.scope
                })
            })?;
        }
        for &(value, place) in &layout.copies {
            let bytes = layout.operand(value).bytes();
            // SAFETY: both places hold the value's bytes; `copy` allows that they are the same.
            unsafe {
                let from = places.pointer(layout.places[value], value);
                std::ptr::copy(from.cast_const(), places.pointer(place, value), bytes);
            }
        }
        held.done = true;
        Ok(())
    }
}

/// Resolves places to addresses during one run.
struct Places<'a, 'b, 'c> {
    plan: &'a Plan,
    layout: &'a Layout,
    arena: *mut u8,
    old: &'a [Option<Tensor>],
    new: &'a [Option<Tensor>],
    hoisted: &'a [Tensor],
    inputs: &'a [TensorRef<'b>],
    outputs: &'a mut [TensorMut<'c>],
}

impl Places<'_, '_, '_> {
    fn pointer(&mut self, place: Place, value: Index) -> *mut u8 {
        match place {
            Place::Input(k) => self.inputs[k].address().cast_mut(),
            Place::Variable(k) => self.old[k]
                .as_ref()
                .map_or(std::ptr::null_mut(), |t| t.buffer().as_mut_ptr()),
            Place::Update(k) => self.new[k]
                .as_ref()
                .map_or(std::ptr::null_mut(), |t| t.buffer().as_mut_ptr()),
            Place::Hoisted(k) => self.hoisted[k].buffer().as_mut_ptr(),
            Place::Constant => {
                let constant = self.plan.graph.constant(self.root(value));
                constant.map_or(std::ptr::null_mut(), |t| t.buffer().as_mut_ptr())
            }
            // SAFETY: the memory plan's offsets lie within the arena that it sized.
            Place::Arena(offset) => unsafe { self.arena.add(offset) },
            Place::Output(k) => self.outputs[k].address(),
        }
    }

    /// Where a value begins that a step sees from a row of the batch on.
    fn start(&mut self, n: usize, row: usize, value: Index) -> *mut u8 {
        let start = self.pointer(self.layout.places[value], value);
        start.wrapping_add(self.layout.bytes_before(n, row, value))
    }

    /// What a step sees of a value, with a lifetime that the caller bounds.
    unsafe fn view(&mut self, n: usize, row: usize, value: Index) -> TensorRef<'static> {
        let operand = self.layout.seen(n, value);
        let pointer = self.start(n, row, value);
        // SAFETY: the caller drops the view before what it borrows.
        unsafe { TensorRef::new(operand.dtype, &*(operand.shape as *const [usize]), pointer) }
    }

    /// As `view`, to write.
    unsafe fn view_mut(&mut self, n: usize, row: usize, value: Index) -> TensorMut<'static> {
        let operand = self.layout.seen(n, value);
        let pointer = self.start(n, row, value);
        // SAFETY: the caller drops the view before what it borrows.
        unsafe { TensorMut::new(operand.dtype, &*(operand.shape as *const [usize]), pointer) }
    }

    /// The constant behind an alias of one.
    fn root(&self, mut value: Index) -> Index {
        while let Origin::Node(node, _) = self.plan.graph.values[value].origin {
            let node = &self.plan.graph.nodes[node];
            if !node.op.is_alias() {
                break;
            }
            value = node.inputs[0];
        }
        value
    }
}

/// Holds the variables of a run: contents that are read by reference count, contents that are updated exclusively.
///
/// Dropping it gives updated variables back: with their new content once `done`, else with the old one (a failed run
/// leaves variables that were not updated in place as they were).
struct Held<'a> {
    plan: &'a Plan,
    workspace: &'a mut Workspace,
    done: bool,
}

impl<'a> Held<'a> {
    fn take(plan: &'a Plan, layout: &Layout, workspace: &'a mut Workspace) -> Result<Held<'a>> {
        let variables = &plan.graph.variables;
        // From here on its drop gives back what was taken.
        let held = Held {
            plan,
            workspace,
            done: false,
        };
        for &v in &plan.update_order {
            let old = held.workspace.old[v].insert(variables[v].take());
            let alone = old.buffer().is_own() && Arc::strong_count(old.buffer()) == 1;
            let new = if alone && !layout.fresh[v] {
                old.clone()
            } else {
                Tensor::empty(old.dtype(), old.shape())?
            };
            held.workspace.new[v] = Some(new);
        }
        for (old, variable) in held.workspace.old.iter_mut().zip(variables) {
            old.get_or_insert_with(|| variable.tensor());
        }
        Ok(held)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        for &v in &self.plan.update_order {
            let (old, new) = (self.workspace.old[v].take(), self.workspace.new[v].take());
            if let Some(tensor) = if self.done { new } else { old } {
                self.plan.graph.variables[v].put(tensor);
            }
        }
        self.workspace.old.fill(None);
    }
}
