//! Who is on one topic: a set of metas under keys, and the difference each change makes (protocol.md §6.2–§6.5).
//!
//! Pure: no clock, no I/O. Every entry belongs to one owner (a joined channel); an owner has at most one meta per
//! key. The entries of an owner that vanished can be held back and either adopted by a successor or released, so
//! that a connection that comes back does not make presence flap.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

/// A tracked payload: a JSON object without the keys the server sets.
#[derive(Debug, Clone)]
pub struct Payload(BTreeMap<String, Box<RawValue>>);

impl Payload {
    /// Reads a JSON object; `None` for anything else (P-193).
    pub fn parse(json: &str) -> Option<Self> {
        let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).ok()?;
        // The server's refs win over those of a payload (P-196).
        fields.remove("phx_ref");
        fields.remove("phx_ref_prev");
        Some(Self(fields))
    }
}

/// Deep equality of the values, whatever their spelling.
impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        let parse = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|((key, value), (other_key, other))| {
                    // Values nested too deep to be parsed are equal only when their text is.
                    key == other_key
                        && (value.get() == other.get()
                            || parse(value).is_some_and(|value| Some(value) == parse(other)))
                })
    }
}

/// One meta as it stands in frames.
#[derive(Debug)]
pub struct Meta {
    payload: Payload,
    /// Unique reference of this version of the entry.
    phx_ref: String,
    /// Reference of the version before, after an update.
    phx_ref_prev: Option<String>,
}

impl Meta {
    fn write(&self, out: &mut String) {
        out.push_str("{\"phx_ref\":");
        push_json(out, &self.phx_ref);
        if let Some(previous) = &self.phx_ref_prev {
            out.push_str(",\"phx_ref_prev\":");
            push_json(out, previous);
        }
        for (key, value) in &self.payload.0 {
            out.push(',');
            push_json(out, key);
            out.push(':');
            out.push_str(value.get());
        }
        out.push('}');
    }
}

fn push_json(out: &mut String, text: &str) {
    out.push_str(&Value::from(text).to_string());
}

/// What one change did; at least one side is not empty.
#[derive(Debug, Default)]
pub struct Diff {
    joins: Vec<(Arc<str>, Arc<Meta>)>,
    leaves: Vec<(Arc<str>, Arc<Meta>)>,
    /// `sub`s of the entries that joined and left, where their tokens had one. Not for clients.
    pub(super) came: Vec<Arc<str>>,
    pub(super) went: Vec<Arc<str>>,
}

impl Diff {
    /// Nothing joined and nothing left.
    pub fn is_empty(&self) -> bool {
        self.joins.is_empty() && self.leaves.is_empty()
    }

    /// Becomes what it and a later one did together. Who joined and left again was never there; an update of something that was
    /// not told yet still names the version before it.
    pub fn add(&mut self, later: Self) {
        for (key, meta) in later.leaves {
            let joined = self
                .joins
                .iter()
                .position(|(_, known)| Arc::ptr_eq(known, &meta));
            match joined {
                Some(place) => {
                    self.joins.remove(place);
                }
                None => self.leaves.push((key, meta)),
            }
        }
        self.joins.extend(later.joins);
        self.came.extend(later.came);
        self.went.extend(later.went);
    }

    /// JSON text of a `presence_diff` payload; both maps are always there (P-195).
    pub fn json(&self) -> String {
        let mut out = String::from("{\"joins\":");
        write_map(&mut out, group(&self.joins));
        out.push_str(",\"leaves\":");
        write_map(&mut out, group(&self.leaves));
        out.push('}');
        out
    }
}

fn group(metas: &[(Arc<str>, Arc<Meta>)]) -> BTreeMap<&str, Vec<&Meta>> {
    let mut keys: BTreeMap<&str, Vec<&Meta>> = BTreeMap::new();
    for (key, meta) in metas {
        keys.entry(key).or_default().push(meta);
    }
    keys
}

fn write_map(out: &mut String, keys: BTreeMap<&str, Vec<&Meta>>) {
    out.push('{');
    for (n, (key, metas)) in keys.into_iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        push_json(out, key);
        out.push_str(":{\"metas\":[");
        for (n, meta) in metas.into_iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            meta.write(out);
        }
        out.push_str("]}");
    }
    out.push('}');
}

/// The owner of an entry: the id of a joined channel.
pub type Owner = u64;

#[derive(Debug)]
struct Entry {
    owner: Owner,
    meta: Arc<Meta>,
    /// `sub` of the token it was tracked with.
    sub: Option<Arc<str>>,
    /// Set while the owner is gone and may come back: who it was (`sub` of its token).
    held: Option<Option<Arc<str>>>,
}

/// The presence of one topic.
#[derive(Debug, Default)]
pub struct State {
    /// Entries under each key, oldest first.
    keys: HashMap<Arc<str>, Vec<Entry>>,
}

impl State {
    /// Nobody is tracked.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// JSON text of a `presence_state` payload.
    pub fn json(&self) -> String {
        self.json_before(&Diff::default())
    }

    /// The same as it was before this difference, which led to the present state.
    pub fn json_before(&self, diff: &Diff) -> String {
        let joined: HashSet<*const Meta> = diff.joins.iter().map(|(_, m)| Arc::as_ptr(m)).collect();
        let mut keys = group(&diff.leaves);
        for (key, entries) in &self.keys {
            let metas = entries.iter().map(|entry| &entry.meta);
            let mut known = metas
                .filter(|meta| !joined.contains(&Arc::as_ptr(meta)))
                .peekable();
            if known.peek().is_some() {
                let metas = keys.entry(key).or_default();
                metas.extend(known.map(Arc::as_ref));
            }
        }
        let mut out = String::new();
        write_map(&mut out, keys);
        out
    }

    /// Whether `owner` is tracked under `key` with an equal payload, so that tracking again changes nothing (P-204).
    pub fn is_tracked_as(&self, owner: Owner, key: &str, payload: &Payload) -> bool {
        self.keys.get(key).is_some_and(|entries| {
            entries
                .iter()
                .any(|entry| entry.owner == owner && entry.meta.payload == *payload)
        })
    }

    /// Tracks `owner` under `key`, updating what it tracked before. An entry of the same key and `sub` that is held
    /// is adopted: to everybody else it never left. `None` when nothing changed.
    pub fn track(
        &mut self,
        owner: Owner,
        sub: Option<&Arc<str>>,
        key: &Arc<str>,
        payload: Payload,
        phx_ref: String,
    ) -> Option<Diff> {
        let entries = self.keys.entry(Arc::clone(key)).or_default();
        let own = entries.iter().position(|entry| entry.owner == owner);
        let place = own.or_else(|| {
            entries
                .iter()
                .position(|entry| matches!(&entry.held, Some(was) if was.as_ref() == sub))
        });
        let mut diff = Diff::default();
        match place.and_then(|place| entries.get_mut(place)) {
            Some(entry) => {
                entry.owner = owner;
                entry.held = None;
                if entry.meta.payload == payload {
                    return None;
                }
                let meta = Arc::new(Meta {
                    payload,
                    phx_ref,
                    phx_ref_prev: Some(entry.meta.phx_ref.clone()),
                });
                let old = std::mem::replace(&mut entry.meta, Arc::clone(&meta));
                let was = std::mem::replace(&mut entry.sub, sub.cloned());
                diff.came.extend(sub.cloned());
                diff.went.extend(was);
                diff.joins.push((Arc::clone(key), meta));
                diff.leaves.push((Arc::clone(key), old));
            }
            None => {
                let meta = Arc::new(Meta {
                    payload,
                    phx_ref,
                    phx_ref_prev: None,
                });
                entries.push(Entry {
                    owner,
                    meta: Arc::clone(&meta),
                    sub: sub.cloned(),
                    held: None,
                });
                diff.came.extend(sub.cloned());
                diff.joins.push((Arc::clone(key), meta));
            }
        }
        Some(diff)
    }

    /// Removes what `owner` tracked under `key`; `None` when it was not tracked (P-206).
    pub fn untrack(&mut self, owner: Owner, key: &str) -> Option<Diff> {
        self.remove(key, |entry| entry.owner == owner)
    }

    /// Holds back the leave of an owner that vanished; `false` when it was not tracked.
    pub fn hold(&mut self, owner: Owner, key: &str, sub: Option<Arc<str>>) -> bool {
        let mut held = false;
        for entry in self.keys.get_mut(key).into_iter().flatten() {
            if entry.owner == owner {
                entry.held = Some(sub.clone());
                held = true;
            }
        }
        held
    }

    /// Lets go of what is still held for `owner`; `None` when it was adopted or untracked meanwhile.
    pub fn release(&mut self, owner: Owner, key: &str) -> Option<Diff> {
        self.remove(key, |entry| entry.owner == owner && entry.held.is_some())
    }

    fn remove(&mut self, key: &str, gone: impl Fn(&Entry) -> bool) -> Option<Diff> {
        let (key, entries) = self.keys.get_key_value(key)?;
        let key = Arc::clone(key);
        let leaves: Vec<_> = entries
            .iter()
            .filter(|entry| gone(entry))
            .map(|entry| (Arc::clone(&key), Arc::clone(&entry.meta)))
            .collect();
        if leaves.is_empty() {
            return None;
        }
        let entries = self.keys.get_mut(&key)?;
        let left = entries.extract_if(.., |entry| gone(entry));
        let went = left.filter_map(|entry| entry.sub).collect();
        if entries.is_empty() {
            self.keys.remove(&key);
        }
        Some(Diff {
            leaves,
            went,
            ..Diff::default()
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn payload(value: Value) -> Payload {
        Payload::parse(&value.to_string()).unwrap()
    }

    fn json(text: String) -> Value {
        serde_json::from_str(&text).unwrap()
    }

    fn track(state: &mut State, owner: Owner, key: &str, value: Value, phx: &str) -> Option<Value> {
        state
            .track(owner, None, &key.into(), payload(value), phx.into())
            .map(|diff| json(diff.json()))
    }

    #[test]
    fn an_update_is_one_diff_that_names_the_version_before() {
        let mut state = State::default();
        track(&mut state, 1, "ann", json!({"n": 1}), "A");
        let diff = track(&mut state, 1, "ann", json!({"n": 2}), "B").unwrap();
        assert_eq!(
            diff,
            json!({
                "joins": {"ann": {"metas": [{"n": 2, "phx_ref": "B", "phx_ref_prev": "A"}]}},
                "leaves": {"ann": {"metas": [{"n": 1, "phx_ref": "A"}]}},
            })
        );
    }

    #[test]
    fn an_equal_payload_changes_nothing() {
        let mut state = State::default();
        track(&mut state, 1, "ann", json!({"a": 1, "b": [1, 2]}), "A");
        let same = Payload::parse(r#"{"b": [1,2], "a": 1, "phx_ref": "mine"}"#).unwrap();
        assert!(state.is_tracked_as(1, "ann", &same));
        assert!(
            state
                .track(1, None, &"ann".into(), same, "B".into())
                .is_none()
        );
    }

    #[test]
    fn two_owners_of_one_key_leave_one_by_one() {
        let mut state = State::default();
        track(&mut state, 1, "ann", json!({}), "A");
        track(&mut state, 2, "ann", json!({}), "B");
        let both = json!({"ann": {"metas": [{"phx_ref": "A"}, {"phx_ref": "B"}]}});
        assert_eq!(json(state.json()), both);
        let diff = json(state.untrack(1, "ann").unwrap().json());
        assert_eq!(
            diff["leaves"],
            json!({"ann": {"metas": [{"phx_ref": "A"}]}})
        );
        assert!(state.untrack(1, "ann").is_none());
        state.untrack(2, "ann").unwrap();
        assert!(state.is_empty());
    }

    #[test]
    fn a_held_entry_is_adopted_by_the_same_subject_only() {
        let sub: Arc<str> = "u1".into();
        for (who, flaps) in [(Some(Arc::clone(&sub)), false), (Some("u2".into()), true)] {
            let mut state = State::default();
            let key: Arc<str> = "ann".into();
            state.track(1, Some(&sub), &key, payload(json!({"n": 1})), "A".into());
            assert!(state.hold(1, "ann", Some(Arc::clone(&sub))));
            let diff = state.track(2, who.as_ref(), &key, payload(json!({"n": 1})), "B".into());
            assert_eq!(diff.is_some(), flaps);
            assert_eq!(state.release(1, "ann").is_some(), flaps);
            assert_eq!(state.keys["ann"].len(), 1);
        }
    }

    #[test]
    fn an_entry_that_is_not_held_is_not_released() {
        let mut state = State::default();
        track(&mut state, 1, "ann", json!({}), "A");
        assert!(state.release(1, "ann").is_none());
        assert!(!state.hold(2, "ann", None));
    }

    proptest! {
        /// Applying the diffs to an empty map gives the state, as a client does it.
        #[test]
        fn diffs_add_up_to_the_state(steps in proptest::collection::vec((0u64..4, 0usize..3, 0i32..3, any::<bool>()), 0..40)) {
            let mut state = State::default();
            let mut seen: BTreeMap<String, Vec<Value>> = BTreeMap::new();
            for (n, (owner, key, value, leave)) in steps.into_iter().enumerate() {
                let key = ["a", "b", "c"][key];
                let diff = if leave {
                    state.untrack(owner, key).map(|diff| json(diff.json()))
                } else {
                    track(&mut state, owner, key, json!({"v": value}), &format!("r{n}"))
                };
                let Some(diff) = diff else { continue };
                for (key, value) in diff["joins"].as_object().unwrap() {
                    let metas = value["metas"].as_array().unwrap().clone();
                    seen.entry(key.clone()).or_default().extend(metas);
                }
                for (key, value) in diff["leaves"].as_object().unwrap() {
                    let gone: Vec<&Value> = value["metas"].as_array().unwrap().iter().map(|m| &m["phx_ref"]).collect();
                    let metas = seen.get_mut(key).unwrap();
                    metas.retain(|meta| !gone.contains(&&meta["phx_ref"]));
                    if metas.is_empty() { seen.remove(key); }
                }
            }
            let mut refs: Vec<String> = Vec::new();
            for metas in seen.values() { refs.extend(metas.iter().map(|m| m["phx_ref"].to_string())); }
            let mut own: Vec<String> = Vec::new();
            for value in json(state.json()).as_object().unwrap().values() {
                own.extend(value["metas"].as_array().unwrap().iter().map(|m| m["phx_ref"].to_string()));
            }
            refs.sort();
            own.sort();
            prop_assert_eq!(refs, own);
        }
    }
}
