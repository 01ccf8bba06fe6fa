//! Schemas: what one takes of another.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Break, Documents, fields, resolved, texts};

/// Which way something is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From clients: what was good before must be good.
    Request,
    /// To clients: what comes must have been possible before.
    Answer,
}

/// Bounds of what is sent, and whether more of it is tighter.
const BOUNDS: [(&str, bool); 8] = [
    ("minimum", true),
    ("maximum", false),
    ("minLength", true),
    ("maxLength", false),
    ("minItems", true),
    ("maxItems", false),
    ("minProperties", true),
    ("maxProperties", false),
];

pub(super) struct Schemas<'a> {
    documents: Documents<'a>,
    direction: Direction,
    found: &'a mut Vec<Break>,
    /// What is being compared, by its names: what contains itself is compared once.
    begun: HashSet<(String, String)>,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(
        documents: Documents<'a>,
        direction: Direction,
        found: &'a mut Vec<Break>,
    ) -> Self {
        Self { documents, direction, found, begun: HashSet::new() }
    }

    fn breaks(&mut self, at: &str, what: impl Into<String>) {
        self.found.push(Break { at: at.to_owned(), what: what.into() });
    }

    /// What is sent by one side as `from`, and read by the other as `to`, of old and new.
    fn sent<T>(&self, old: T, new: T) -> (T, T) {
        match self.direction {
            Direction::Request => (old, new),
            Direction::Answer => (new, old),
        }
    }

    pub(super) fn compare(&mut self, at: &str, old: &Value, new: &Value) {
        let name = |of: &Value| of["$ref"].as_str().map(str::to_owned);
        let names = name(old).zip(name(new));
        if let Some(names) = &names
            && !self.begun.insert(names.clone())
        {
            return;
        }
        let old = whole(self.documents.old, old);
        let new = whole(self.documents.new, new);
        match (ways(&old), ways(&new)) {
            (None, None) => {
                self.kind(at, &old, &new);
                self.values(at, &old, &new);
                self.bounds(at, &old, &new);
                self.properties(at, &old, &new);
                self.elements(at, &old, &new);
            }
            (before, after) => {
                let (before, after) = (before.unwrap_or(vec![old]), after.unwrap_or(vec![new]));
                self.ways(at, &before, &after);
            }
        }
        if let Some(names) = names {
            self.begun.remove(&names);
        }
    }

    /// Each way in which it is sent must be one in which it is read.
    fn ways(&mut self, at: &str, old: &[Value], new: &[Value]) {
        let (from, to) = self.sent(old, new);
        for way in from {
            let mut nearest = None;
            let fits = to.iter().any(|other| {
                let (old, new) = self.sent(way, other);
                let found = self.apart(at, old, new);
                let fits = found.is_empty();
                if described(way) == described(other) {
                    nearest = Some(found);
                }
                fits
            });
            match nearest {
                _ if fits => {}
                // The same by name, with something in it that is not.
                Some(found) => self.found.extend(found),
                None => {
                    let what = match self.direction {
                        Direction::Request => "can no longer be",
                        Direction::Answer => "may now be",
                    };
                    self.breaks(at, format!("{what} {}", described(way)));
                }
            }
        }
    }

    /// What breaks between these, which may not be what is meant.
    fn apart(&self, at: &str, old: &Value, new: &Value) -> Vec<Break> {
        let mut found = Vec::new();
        let (documents, direction) = (self.documents, self.direction);
        let begun = self.begun.clone();
        Schemas { documents, direction, found: &mut found, begun }.compare(at, old, new);
        found
    }

    /// What a list holds, and what an object may hold under any name.
    fn elements(&mut self, at: &str, old: &Value, new: &Value) {
        for (key, name) in [("items", "[]"), ("additionalProperties", ".*")] {
            let (before, after) = (&old[key], &new[key]);
            if before.is_object() || after.is_object() {
                let none = [before, after].into_iter().any(|one| *one == false);
                if !none {
                    self.compare(&format!("{at}{name}"), before, after);
                }
            }
        }
        let closed = |of: &Value| of["additionalProperties"] == false;
        if self.direction == Direction::Request && closed(new) && !closed(old) {
            self.breaks(at, "takes no other fields any more");
        }
    }

    fn kind(&mut self, at: &str, old: &Value, new: &Value) {
        let (from, to) = self.sent(old, new);
        let (sent, read) = (texts(&from["type"]), texts(&to["type"]));
        // Without a type it may be anything.
        if !read.is_empty() {
            let fits = |kind: &&str| {
                read.contains(kind) || (*kind == "integer" && read.contains(&"number"))
            };
            if sent.is_empty() || !sent.iter().all(fits) {
                self.breaks(at, format!("is {}, and was {}", described(new), described(old)));
            }
        }
        let read = &to["format"];
        if !read.is_null() && *read != from["format"] {
            self.breaks(at, format!("is {}, and was {}", described(new), described(old)));
        }
    }

    /// Enumerations, and what is always the same. An answer's may grow.
    fn values(&mut self, at: &str, old: &Value, new: &Value) {
        let (before, after) = (&old["enum"], &new["enum"]);
        match (before.as_array(), after.as_array()) {
            (Some(before), Some(after)) if self.direction == Direction::Request => {
                for value in before.iter().filter(|value| !after.contains(value)) {
                    self.breaks(at, format!("can't be {value} any more"));
                }
            }
            (None, Some(_)) if self.direction == Direction::Request => {
                self.breaks(at, format!("can only be one of {after}"));
            }
            (Some(_), None) if self.direction == Direction::Answer => {
                self.breaks(at, format!("may be anything, and was one of {before}"));
            }
            _ => {}
        }
        let (from, to) = self.sent(&old["const"], &new["const"]);
        if !to.is_null() && from != to {
            self.breaks(at, format!("is {}, and was {}", new["const"], old["const"]));
        }
    }

    /// How much it may be. Of what clients read, bounds say little that they could rely on.
    fn bounds(&mut self, at: &str, old: &Value, new: &Value) {
        if self.direction == Direction::Answer {
            return;
        }
        for (key, least) in BOUNDS {
            let Some(after) = new[key].as_f64() else { continue };
            let tighter = old[key]
                .as_f64()
                .is_none_or(|before| if least { after > before } else { after < before });
            if tighter {
                self.breaks(at, format!("has the {key} {after}, and had {}", old[key]));
            }
        }
        if !new["pattern"].is_null() && new["pattern"] != old["pattern"] {
            self.breaks(at, format!("must match {}", new["pattern"]));
        }
    }

    fn properties(&mut self, at: &str, old: &Value, new: &Value) {
        for (name, before) in fields(&old["properties"]) {
            let at = format!("{at}.{name}");
            match &new["properties"][name.as_str()] {
                Value::Null => self.breaks(&at, "is gone"),
                after => self.compare(&at, before, after),
            }
        }
        let (before, after) = (texts(&old["required"]), texts(&new["required"]));
        let (lacks, needs, what) = match self.direction {
            Direction::Request => (before, after, "must be there"),
            Direction::Answer => (after, before, "may be missing"),
        };
        let other = match self.direction {
            Direction::Request => &Value::Null,
            Direction::Answer => &new["properties"],
        };
        for name in needs.into_iter().filter(|name| !lacks.contains(name)) {
            // What is gone altogether has been said.
            if self.direction == Direction::Request || !other[name].is_null() {
                self.breaks(&format!("{at}.{name}"), what);
            }
        }
    }
}

/// A schema with what it refers to, and with all its parts as one.
fn whole(document: &Value, schema: &Value) -> Value {
    let mut schema = resolved(document, schema).clone();
    let Some(Value::Array(parts)) = schema.as_object_mut().and_then(|all| all.remove("allOf"))
    else {
        return schema;
    };
    for part in &parts {
        merge(&mut schema, whole(document, part));
    }
    schema
}

/// Puts a part of a schema to it.
fn merge(schema: &mut Value, part: Value) {
    let (Some(schema), Value::Object(part)) = (schema.as_object_mut(), part) else { return };
    for (key, value) in part {
        match (schema.get_mut(&key), value) {
            (Some(Value::Object(own)), Value::Object(more)) => own.extend(more),
            (Some(Value::Array(own)), Value::Array(more)) => own.extend(more),
            (None, value) => drop(schema.insert(key, value)),
            // The first to say something is believed.
            (Some(_), _) => {}
        }
    }
}

/// The ways in which something may be, where there are several: `oneOf`, `anyOf`, types.
fn ways(schema: &Value) -> Option<Vec<Value>> {
    for key in ["oneOf", "anyOf"] {
        if let Some(ways) = schema[key].as_array() {
            return Some(ways.clone());
        }
    }
    match schema["type"].as_array() {
        Some(types) if types.len() > 1 => {
            let one = |kind: &Value| {
                let mut way: Map<String, Value> = schema.as_object().cloned().unwrap_or_default();
                if kind == "null" {
                    way.clear();
                }
                way.insert("type".to_owned(), kind.clone());
                Value::Object(way)
            };
            Some(types.iter().map(one).collect())
        }
        _ => None,
    }
}

/// A schema in a word or two.
fn described(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return name.rsplit('/').next().unwrap_or_default().to_owned();
    }
    let kinds = texts(&schema["type"]);
    let kind = if kinds.is_empty() { "anything".to_owned() } else { kinds.join(" or ") };
    match &schema["format"] {
        Value::String(format) => format!("{kind} ({format})"),
        _ => kind,
    }
}
