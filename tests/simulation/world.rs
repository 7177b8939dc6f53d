//! The world outside: what attempts, verifications and undos meet there, and what has really happened.
//!
//! It keeps the ledger that the run is judged by, and notices by itself what must never be asked of it: an unknown
//! attempt that is repeated or undone without having been asked about, a second effect under another key, an undo
//! before the undos of what was built upon it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    kinds::read_only,
    program::{Call, Meets, NodeId, Program},
};

/// What is known there of one call.
#[derive(Debug, Default)]
struct Site {
    /// Effects in force, by idempotency key.
    effects: BTreeMap<String, u32>,
    /// Keys that were said never to take effect.
    burnt: BTreeSet<String>,
    /// It was undone: a request that comes late is refused.
    undone: bool,
    run: usize,
    undo: usize,
    verifications: u32,
    /// An attempt was begun whose outcome nobody on the engine's side has heard.
    unresolved: bool,
    /// The other system was asked since, and could not tell.
    asked_in_vain: bool,
}

#[derive(Debug)]
pub(crate) struct World {
    program: Arc<Program>,
    sites: BTreeMap<NodeId, Site>,
    /// Held up on the way: who, and under which key.
    late: Vec<(NodeId, String)>,
    /// Everything works from now on.
    pub(crate) repaired: bool,
    /// From now on nothing kills workers.
    pub(crate) calm: bool,
    pub(crate) undos: u32,
    pub(crate) broken: Option<String>,
}

/// What a verification is answered.
pub(crate) enum VerifyAnswer {
    Happened,
    NeverWill,
    NotYet,
}

impl World {
    pub(crate) fn new(program: Arc<Program>) -> Self {
        let sites = program.calls().iter().map(|call| (call.id, Site::default())).collect();
        Self { program, sites, late: Vec::new(), repaired: false, calm: false, undos: 0, broken: None }
    }

    pub(crate) fn call(&self, id: NodeId) -> &Call {
        self.program.calls().into_iter().find(|call| call.id == id).expect("inputs are ids of calls")
    }

    pub(crate) fn effects(&self, id: NodeId) -> u32 {
        self.sites[&id].effects.values().sum()
    }

    pub(crate) fn is_undone(&self, id: NodeId) -> bool {
        self.sites[&id].undone
    }

    fn site(&mut self, id: NodeId) -> &mut Site {
        self.sites.get_mut(&id).expect("every call has one")
    }

    fn breach(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    /// An attempt comes in: what it will meet. Of one without an intent a worker that was taken over may make one more, of a step
    /// that an operator has settled meanwhile: it is not `ours`, and is refused.
    pub(crate) fn attempt(&mut self, id: NodeId, key: &str, verifiable: bool, ours: bool) -> Meets {
        if verifiable && self.sites[&id].unresolved {
            self.breach(format!("call {id} is attempted again before anybody asked what became of it"));
        }
        if ours && self.sites[&id].burnt.contains(key) {
            self.breach(format!("call {id} is attempted under {key}, which was said never to take effect"));
        }
        if self.sites[&id].undone {
            self.breach(format!("call {id} is attempted after it was undone"));
        }
        let script = self.call(id).script.run.clone();
        let site = self.site(id);
        site.run += 1;
        let met = script.get(site.run - 1).or(script.last()).copied();
        self.tempered(met)
    }

    /// An undo comes in: what it will meet.
    pub(crate) fn undo(&mut self, id: NodeId, verifiable: bool) -> Meets {
        self.undos += 1;
        let site = &self.sites[&id];
        if verifiable && site.unresolved && !site.asked_in_vain {
            self.breach(format!("call {id} is unknown, and undone before anybody asked what became of it"));
        }
        let script = self.call(id).script.undo.clone();
        let site = self.site(id);
        site.undo += 1;
        let met = script.get(site.undo - 1).or(script.last()).copied();
        self.tempered(met)
    }

    fn tempered(&self, met: Option<Meets>) -> Meets {
        match met {
            Some(Meets::Kills) if self.calm => Meets::Success,
            Some(_) if self.repaired => Meets::Success,
            met => met.unwrap_or(Meets::Success),
        }
    }

    /// It takes effect.
    pub(crate) fn apply(&mut self, id: NodeId, key: &str) -> bool {
        let honours_key = self.call(id).script.honours_key;
        // Without undo and verify there is no intent on record: an attempt that a crash swallowed is not known of, and an
        // operator's retry takes a new key.
        let kind = self.call(id).kind;
        let has_intent = !read_only(kind) && (1..=3).contains(&(kind % 6));
        let site = self.site(id);
        if site.burnt.contains(key) || site.undone {
            return false;
        }
        let count = site.effects.entry(key.to_owned()).or_default();
        *count = if honours_key { 1 } else { *count + 1 };
        if has_intent && honours_key && site.effects.len() > 1 {
            let keys: Vec<_> = site.effects.keys().cloned().collect();
            self.breach(format!("call {id} took effect under two keys: {keys:?}"));
        }
        true
    }

    pub(crate) fn hold_up(&mut self, id: NodeId, key: &str) {
        self.late.push((id, key.to_owned()));
    }

    /// Something that was held up arrives after all.
    pub(crate) fn arrive(&mut self) {
        if let Some((id, key)) = self.late.pop() {
            self.apply(id, &key);
        }
    }

    pub(crate) fn settle(&mut self) {
        while !self.late.is_empty() {
            self.arrive();
        }
    }

    /// An undo takes effect: all that the call has done is gone, and what is still on its way will be refused.
    pub(crate) fn reverse(&mut self, id: NodeId) {
        let site = self.site(id);
        site.effects.clear();
        site.undone = true;
    }

    /// Nobody on the engine's side has heard what became of an attempt.
    pub(crate) fn lose_sight(&mut self, id: NodeId) {
        let site = self.site(id);
        site.unresolved = true;
        site.asked_in_vain = false;
    }

    /// The answer was heard.
    pub(crate) fn hear(&mut self, id: NodeId) {
        self.site(id).unresolved = false;
    }

    /// Somebody has looked into it by hand: what has not arrived under this key never will.
    pub(crate) fn settle_call(&mut self, id: NodeId, key: &str) {
        self.late.retain(|(late, _)| *late != id);
        let site = self.site(id);
        if !site.effects.contains_key(key) {
            site.burnt.insert(key.to_owned());
        }
        site.unresolved = false;
    }

    /// A verification.
    pub(crate) fn verify(&mut self, id: NodeId, key: &str) -> VerifyAnswer {
        let mute = self.call(id).script.mute;
        let site = self.site(id);
        site.verifications += 1;
        if site.verifications <= mute {
            site.asked_in_vain = true;
            VerifyAnswer::NotYet
        } else if site.effects.get(key).is_some_and(|count| *count > 0) {
            site.unresolved = false;
            VerifyAnswer::Happened
        } else {
            site.burnt.insert(key.to_owned());
            site.unresolved = false;
            VerifyAnswer::NeverWill
        }
    }
}
