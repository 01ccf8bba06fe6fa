//! Routes: that they are there, for whom, what they take and what they answer.

use panel_kernel::deprecation::SUNSET_EXTENSION;
use panel_kernel::time::Timestamp;
use serde_json::Value;

use super::schemas::{Direction, Schemas};
use super::{Break, Documents, fields, resolved};

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// What a route may need, from the least to the most. A session is apart: no API key will do.
const NEEDS: [&str; 5] = ["nothing", "account", "moderator", "admin", "system_admin"];

pub(super) fn compared(documents: Documents<'_>, now: Timestamp) -> Vec<Break> {
    let mut found = Vec::new();
    for (path, item) in fields(&documents.old["paths"]) {
        let same = |(other, _): &(&String, &Value)| nameless(other) == nameless(path);
        let others = fields(&documents.new["paths"]).find(same).map_or(&Value::Null, |(_, at)| at);
        for method in METHODS {
            let (old, new) = (&item[method], &others[method]);
            let at = format!("{} {path}", method.to_uppercase());
            if old.is_null() {
                continue;
            }
            if new.is_null() {
                if !may_be_gone(old, now) {
                    found.push(Break { at, what: "is gone".to_owned() });
                }
                continue;
            }
            let mut operation = Operation { documents, at, found: &mut found };
            operation.need(old, new);
            operation.parameters(&old["parameters"], &new["parameters"]);
            operation.body(&old["requestBody"], &new["requestBody"]);
            operation.answers(&old["responses"], &new["responses"]);
        }
    }
    found
}

/// A path without the names of its parameters, which are nobody's business.
fn nameless(path: &str) -> String {
    let segments = path.split('/').map(|one| if one.starts_with('{') { "{}" } else { one });
    segments.collect::<Vec<_>>().join("/")
}

fn may_be_gone(old: &Value, now: Timestamp) -> bool {
    let sunset = serde_json::from_value::<Timestamp>(old[SUNSET_EXTENSION].clone());
    old["deprecated"] == true && sunset.is_ok_and(|sunset| sunset <= now)
}

struct Operation<'a> {
    documents: Documents<'a>,
    at: String,
    found: &'a mut Vec<Break>,
}

impl Operation<'_> {
    fn breaks(&mut self, at: &str, what: impl Into<String>) {
        let at = if at.is_empty() { self.at.clone() } else { format!("{}, {at}", self.at) };
        self.found.push(Break { at, what: what.into() });
    }

    fn schemas(&mut self, direction: Direction, at: &str, old: &Value, new: &Value) {
        let at = format!("{}, {at}", self.at);
        Schemas::new(self.documents, direction, self.found).compare(&at, old, new);
    }

    /// Who may ask.
    fn need(&mut self, old: &Value, new: &Value) {
        let need = |of: &Value| of["x-panel-access"].as_str().unwrap_or(NEEDS[0]).to_owned();
        let (before, after) = (need(old), need(new));
        let rank = |need: &str| NEEDS.iter().position(|one| *one == need);
        // A session is more than an account, and less than any rank.
        let kept = match (rank(&before), rank(&after)) {
            (Some(before), Some(after)) => after <= before,
            (None, Some(after)) => after <= 1,
            (_, None) => before == after,
        };
        if !kept {
            self.breaks("", format!("needs {after}, and needed {before}"));
        }
        let (before, after) = (old["x-panel-upload"].as_u64(), new["x-panel-upload"].as_u64());
        if let Some(before) = before.filter(|before| after.is_none_or(|after| after < *before)) {
            let now = after.map_or_else(|| "no file".to_owned(), |most| format!("{most} bytes"));
            self.breaks("", format!("takes {now}, and took a file of {before}"));
        }
        let (before, after) = (&old["x-panel-scope"], &new["x-panel-scope"]);
        if before.is_string() && after.is_string() && before != after {
            self.breaks("", format!("takes keys with {after}, and took those with {before}"));
        }
    }

    fn parameters(&mut self, old: &Value, new: &Value) {
        let documents = self.documents;
        // Those of the path are where they are, whatever they are called.
        let parameters = |of: &Value, document: &Value| -> Vec<Value> {
            let all = of.as_array().into_iter().flatten();
            let all = all.map(|one| resolved(document, one).clone());
            all.filter(|one| one["in"] != "path").collect()
        };
        let before = parameters(old, documents.old);
        let after = parameters(new, documents.new);
        let find = |all: &[Value], one: &Value| {
            let same = |other: &&Value| other["name"] == one["name"] && other["in"] == one["in"];
            all.iter().find(same).cloned()
        };
        let name = |one: &Value| {
            let part = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
            format!("{} parameter {}", part("in"), part("name"))
        };
        for one in &before {
            match find(&after, one) {
                None => self.breaks(&name(one), "is gone"),
                Some(other) => {
                    if one["required"] != true && other["required"] == true {
                        self.breaks(&name(one), "must be there");
                    }
                    let direction = Direction::Request;
                    self.schemas(direction, &name(one), &one["schema"], &other["schema"]);
                }
            }
        }
        for one in after.iter().filter(|one| one["required"] == true) {
            if find(&before, one).is_none() {
                self.breaks(&name(one), "is new, and must be there");
            }
        }
    }

    fn body(&mut self, old: &Value, new: &Value) {
        let documents = self.documents;
        let (old, new) = (resolved(documents.old, old), resolved(documents.new, new));
        if old["required"] != true && new["required"] == true {
            self.breaks("body", "must be there");
        }
        self.contents(Direction::Request, "body", old, new);
    }

    fn answers(&mut self, old: &Value, new: &Value) {
        let documents = self.documents;
        // What is refused is a problem, whatever its status; a client acts on what it got.
        let succeeds = |status: &str| status.starts_with(['1', '2', '3']);
        for (status, answer) in fields(old).filter(|(status, _)| succeeds(status)) {
            let at = format!("answer {status}");
            let other = &new[status.as_str()];
            if other.is_null() {
                self.breaks(&at, "is gone");
                continue;
            }
            let answer = resolved(documents.old, answer);
            let other = resolved(documents.new, other);
            for (name, _) in fields(&answer["headers"]) {
                if other["headers"][name.as_str()].is_null() {
                    self.breaks(&at, format!("has no header {name} any more"));
                }
            }
            self.contents(Direction::Answer, &at, answer, other);
        }
    }

    /// What is sent one way or the other, in each of its media types.
    fn contents(&mut self, direction: Direction, at: &str, old: &Value, new: &Value) {
        for (media, content) in fields(&old["content"]) {
            let other = &new["content"][media.as_str()];
            if other.is_null() {
                self.breaks(at, format!("is no {media} any more"));
                continue;
            }
            self.schemas(direction, at, &content["schema"], &other["schema"]);
        }
    }
}
