//! Random workflows as data, and how they are made.
//!
//! A program is a tree of things that a workflow may ask for. What the outside world does to each of its calls is part of
//! it, so that a seed says everything and a failure can be printed and read.

use crate::rng::Rng;

/// A call's place in the program, and its identity in the outside world.
pub(crate) type NodeId = u32;

/// Kinds of activities: what the core has to know of them (see `kinds.rs`).
pub(crate) const KINDS: u8 = 16;

#[derive(Clone, Debug)]
pub(crate) enum Node {
    Call(Call),
    Sleep {
        ms: u64,
    },
    Signal {
        name: u8,
        within_ms: Option<u64>,
        required: bool,
    },
    Side(u8),
    Pivot,
    Seq(Vec<Node>),
    /// Side by side; waits for all.
    All(Vec<Node>),
    /// Side by side; the first failure ends it, and what is still open is dropped.
    TryAll(Vec<Node>),
    /// Side by side; the first answer ends it, and what is still open is dropped.
    Race(Vec<Node>),
    Fail,
    Panic,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) id: NodeId,
    pub(crate) kind: u8,
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) best_effort: bool,
    /// A failure of this call fails the workflow.
    pub(crate) required: bool,
    pub(crate) script: Script,
}

/// What one attempt meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meets {
    Success,
    /// A refusal without an effect; worth a retry or not.
    Refusal {
        retryable: bool,
    },
    /// No answer, and no effect.
    LostBefore,
    /// No answer, but it took effect.
    LostAfter,
    /// The request is held up: no answer, and the effect comes some time later, if the key is still good then.
    Late,
    /// The worker dies of it.
    Kills,
}

/// What attempts, verifications and undos of a call meet, in their order; when a list is through, its last goes on.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) run: Vec<Meets>,
    pub(crate) undo: Vec<Meets>,
    /// How many verifications can't tell yet; `u32::MAX`: none ever can.
    pub(crate) mute: u32,
    /// The worker dies of asking.
    pub(crate) asking_kills: bool,
    /// The other system applies one key once.
    pub(crate) honours_key: bool,
    pub(crate) takes_ms: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) root: Node,
    pub(crate) deadline_ms: Option<u64>,
    /// Attempts of each kind, forward and undo.
    pub(crate) attempts: Vec<(u32, u32)>,
    pub(crate) retry_ms: u64,
    /// Activities of this kind are not registered until an operator deploys them.
    pub(crate) missing_kind: Option<u8>,
}

impl Program {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let attempts = (0..KINDS).map(|_| (1 + rng.below(4) as u32, 1 + rng.below(4) as u32)).collect();
        let mut made = Maker { rng, next: 0, pivots: 0 };
        let mut root = made.seq(3, 6);
        if made.rng.chance(25)
            && let Node::Seq(nodes) = &mut root
        {
            nodes.push(Node::Fail);
        }
        let deadline_ms = rng.chance(15).then(|| 500 + rng.below(20_000));
        let retry_ms = rng.pick(&[10, 200, 900, 5_000]);
        let missing_kind = rng.chance(4).then(|| rng.below(u64::from(KINDS)) as u8);
        Self { root, deadline_ms, attempts, retry_ms, missing_kind }
    }

    /// All calls in it.
    pub(crate) fn calls(&self) -> Vec<&Call> {
        fn walk<'a>(node: &'a Node, found: &mut Vec<&'a Call>) {
            match node {
                Node::Call(call) => found.push(call),
                Node::Seq(nodes) | Node::All(nodes) | Node::TryAll(nodes) | Node::Race(nodes) => {
                    nodes.iter().for_each(|node| walk(node, found));
                }
                _ => {}
            }
        }
        let mut found = Vec::new();
        walk(&self.root, &mut found);
        found
    }

    /// Whether some part of it is like this.
    pub(crate) fn has(&self, like: fn(&Node) -> bool) -> bool {
        fn walk(node: &Node, like: fn(&Node) -> bool) -> bool {
            like(node)
                || match node {
                    Node::Seq(nodes) | Node::All(nodes) | Node::TryAll(nodes) | Node::Race(nodes) => {
                        nodes.iter().any(|node| walk(node, like))
                    }
                    _ => false,
                }
        }
        walk(&self.root, like)
    }
}

struct Maker<'a> {
    rng: &'a mut Rng,
    next: NodeId,
    pivots: u32,
}

impl Maker<'_> {
    fn seq(&mut self, depth: u32, most: u64) -> Node {
        let count = 1 + self.rng.below(most);
        Node::Seq((0..count).map(|_| self.node(depth)).collect())
    }

    fn node(&mut self, depth: u32) -> Node {
        match self.rng.below(100) {
            0..60 => self.call(),
            60..68 => Node::Sleep { ms: self.rng.pick(&[0, 50, 700, 3_000, 60_000]) },
            68..75 => {
                let within_ms = self.rng.chance(70).then(|| self.rng.pick(&[100, 900, 4_000, 30_000]));
                Node::Signal { name: self.rng.below(2) as u8, within_ms, required: self.rng.chance(30) }
            }
            75..78 => Node::Side(self.rng.below(3) as u8),
            78..80 if self.pivots == 0 => {
                self.pivots += 1;
                Node::Pivot
            }
            80..81 if self.rng.chance(40) => Node::Panic,
            81..100 if depth > 0 => self.side_by_side(depth),
            _ => self.call(),
        }
    }

    fn side_by_side(&mut self, depth: u32) -> Node {
        let count = 2 + self.rng.below(2);
        let kind = self.rng.below(10);
        let branches = (0..count).map(|_| self.seq(depth - 1, 2)).collect();
        match kind {
            0..6 => Node::All(branches),
            6..8 => Node::TryAll(branches),
            _ => Node::Race(branches),
        }
    }

    fn call(&mut self) -> Node {
        let id = self.next;
        self.next += 1;
        let kind = self.rng.pick(&[0, 1, 1, 2, 3, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9, 9, 10, 11, 12, 13, 13, 14, 15]);
        Node::Call(Call {
            id,
            kind,
            deadline_ms: self.rng.chance(15).then(|| self.rng.pick(&[50, 800, 5_000])),
            best_effort: self.rng.chance(8),
            required: self.rng.chance(85),
            script: self.script(),
        })
    }

    fn script(&mut self) -> Script {
        let calm = self.rng.chance(60);
        let run = if calm { vec![Meets::Success] } else { self.meets(true) };
        let undo = if self.rng.chance(60) { vec![Meets::Success] } else { self.meets(false) };
        let mute = match self.rng.below(10) {
            0..6 => 0,
            6..9 => 1 + self.rng.below(3) as u32,
            _ => u32::MAX,
        };
        let asking_kills = self.rng.chance(3);
        Script {
            run,
            undo,
            mute,
            asking_kills,
            honours_key: self.rng.chance(70),
            takes_ms: self.rng.pick(&[0, 0, 5, 300, 2_500]),
        }
    }

    fn meets(&mut self, forward: bool) -> Vec<Meets> {
        let count = 1 + self.rng.below(4);
        let mut met: Vec<_> = (0..count)
            .map(|_| match self.rng.below(20) {
                0..6 => Meets::Refusal { retryable: true },
                6..7 => Meets::Refusal { retryable: false },
                7..11 => Meets::LostBefore,
                11..15 => Meets::LostAfter,
                15..17 if forward => Meets::Late,
                17..18 => Meets::Kills,
                _ => Meets::Success,
            })
            .collect();
        if self.rng.chance(75) {
            met.push(Meets::Success);
        }
        met
    }
}
