//! What breaks, and what does not, one change at a time.

use panel_kernel::time::Timestamp;
use serde_json::{Value, json};

use super::breaks;

const NOW: Timestamp = Timestamp::midnight(2027, 1, 1);

/// An API of two routes.
fn released() -> Value {
    let item = json!({"$ref": "#/components/schemas/Item"});
    let json = |schema: Value| json!({"application/json": {"schema": schema}});
    let list = json!({"type": "object", "required": ["items"], "properties": {
        "items": {"type": "array", "items": item},
    }});
    json!({
        "openapi": "3.1.0",
        "paths": {
            "/things": {
                "get": {
                    "x-panel-access": "account", "x-panel-scope": "things:read",
                    "parameters": [
                        {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}},
                        {"name": "sort", "in": "query", "schema": {"type": "string", "enum": ["new", "old"]}},
                    ],
                    "responses": {
                        "200": {"content": json(list), "headers": {"Location": {}}},
                        "404": {},
                    },
                },
            },
            "/things/{id}": {
                "put": {
                    "x-panel-upload": 100,
                    "parameters": [{"name": "id", "in": "path", "required": true}],
                    "requestBody": {"content": json(json!({"$ref": "#/components/schemas/New"}))},
                    "responses": {"200": {"content": json(item)}},
                },
                "delete": {
                    "deprecated": true,
                    "x-panel-sunset": "2027-01-01T00:00:00.000000Z",
                    "responses": {"204": {}},
                },
            },
        },
        "components": {"schemas": {
            "New": {"type": "object", "required": ["title"], "properties": {
                "title": {"type": "string", "maxLength": 10},
                "note": {"type": ["string", "null"]},
                "kind": {"type": "string", "enum": ["a", "b"]},
            }},
            // It refers to itself.
            "Item": {"allOf": [
                {"$ref": "#/components/schemas/Named"},
                {"type": "object", "required": ["kind"], "properties": {
                    "kind": {"type": "string", "enum": ["a", "b"]},
                    "parent": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Item"}]},
                    "count": {"type": "integer"},
                }},
            ]},
            "Named": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"},
                "at": {"type": "string", "format": "date-time"},
            }},
        }},
    })
}

const GET: &str = "/paths/~1things/get";
const PUT: &str = "/paths/~1things~1{id}/put";
const NEW: &str = "/components/schemas/New";
const NAMED: &str = "/components/schemas/Named";
const ITEM: &str = "/components/schemas/Item/allOf/1";

/// What breaks when `value` is put there; null takes away what is there.
fn changed(changes: &[(&str, Value)]) -> Vec<String> {
    let mut new = released();
    for (at, value) in changes {
        let (holder, key) = at.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/");
        let holder = new.pointer_mut(holder).unwrap();
        match (holder, value) {
            (Value::Object(all), Value::Null) => assert!(all.remove(&key).is_some(), "{at}"),
            (Value::Array(all), Value::Null) => drop(all.remove(key.parse().unwrap())),
            (Value::Object(all), value) => drop(all.insert(key, value.clone())),
            (Value::Array(all), value) => all.push(value.clone()),
            _ => panic!("{at}"),
        }
    }
    breaks(&released(), &new, NOW).iter().map(ToString::to_string).collect()
}

#[test]
fn what_was_promised_is_kept() {
    let none: [String; 0] = [];
    assert_eq!(changed(&[]), none);
    let more = |kind: &str| json!({"type": kind});
    let optional = json!({"name": "q", "in": "query", "schema": more("string")});
    for change in [
        // Something new.
        ("/paths/~1others", json!({"get": {}})),
        (&format!("{GET}/parameters/2"), optional),
        (&format!("{GET}/responses/202"), json!({})),
        (&format!("{NEW}/properties/more"), more("string")),
        (&format!("{NAMED}/properties/more"), more("string")),
        // More freedom for who asks.
        (&format!("{GET}/x-panel-access"), json!("nothing")),
        (&format!("{PUT}/x-panel-upload"), json!(200)),
        (&format!("{GET}/parameters/0/schema/maximum"), json!(200)),
        (&format!("{GET}/parameters/1/schema/enum"), json!(["new", "old", "best"])),
        (&format!("{NEW}/required"), json!([])),
        (&format!("{NEW}/properties/title/maxLength"), Value::Null),
        (&format!("{NEW}/properties/title/type"), json!(["string", "null"])),
        // Less for what is answered, and new values, which clients bear.
        (&format!("{NAMED}/required"), json!(["name", "at"])),
        (&format!("{ITEM}/properties/parent"), more("null")),
        (&format!("{ITEM}/properties/kind/enum"), json!(["a", "b", "c"])),
        // Its sunset is past.
        ("/paths/~1things~1{id}/delete", Value::Null),
        // Refusals.
        (&format!("{GET}/responses/404"), Value::Null),
    ] {
        assert_eq!(changed(std::slice::from_ref(&change)), none, "{change:?}");
    }
    // What a parameter of a path is called.
    let mut renamed = released();
    let paths = renamed["paths"].as_object_mut().unwrap();
    let item = paths.remove("/things/{id}").unwrap();
    paths.insert("/things/{thing}".to_owned(), item);
    assert_eq!(breaks(&released(), &renamed, NOW), []);
    // Before its sunset it may not be gone.
    paths_gone_too_early(NOW.minus(std::time::Duration::from_secs(1)));
}

fn paths_gone_too_early(now: Timestamp) {
    let mut new = released();
    new["paths"]["/things/{id}"].as_object_mut().unwrap().remove("delete").unwrap();
    let found = breaks(&released(), &new, now);
    assert_eq!(found[0].to_string(), "DELETE /things/{id}: is gone");
}

#[test]
fn what_breaks_who_asks_is_named() {
    let (get, put) = ("GET /things", "PUT /things/{id}");
    let text = json!({"type": "string"});
    let needed = json!({"name": "q", "in": "query", "required": true, "schema": text});
    for (at, value, expected) in [
        ("/paths/~1things", Value::Null, vec![format!("{get}: is gone")]),
        (PUT, Value::Null, vec![format!("{put}: is gone")]),
        (
            &format!("{PUT}/x-panel-upload"),
            json!(99),
            vec![format!("{put}: takes 99 bytes, and took a file of 100")],
        ),
        (
            &format!("{GET}/x-panel-access"),
            json!("session"),
            vec![format!("{get}: needs session, and needed account")],
        ),
        (
            &format!("{GET}/x-panel-access"),
            json!("admin"),
            vec![format!("{get}: needs admin, and needed account")],
        ),
        (
            &format!("{PUT}/x-panel-access"),
            json!("account"),
            vec![format!("{put}: needs account, and needed nothing")],
        ),
        (
            &format!("{GET}/x-panel-scope"),
            json!("all:read"),
            vec![format!(
                "{get}: takes keys with \"all:read\", and took those with \"things:read\""
            )],
        ),
        (
            &format!("{GET}/parameters/0"),
            Value::Null,
            vec![format!("{get}, query parameter limit: is gone")],
        ),
        (
            &format!("{GET}/parameters/2"),
            needed,
            vec![format!("{get}, query parameter q: is new, and must be there")],
        ),
        (
            &format!("{GET}/parameters/0/required"),
            json!(true),
            vec![format!("{get}, query parameter limit: must be there")],
        ),
        (
            &format!("{GET}/parameters/0/schema/maximum"),
            json!(50),
            vec![format!("{get}, query parameter limit: has the maximum 50, and had 100")],
        ),
        (
            &format!("{GET}/parameters/1/schema/enum"),
            json!(["new"]),
            vec![format!("{get}, query parameter sort: can't be \"old\" any more")],
        ),
        (
            &format!("{PUT}/requestBody/required"),
            json!(true),
            vec![format!("{put}, body: must be there")],
        ),
        (
            &format!("{PUT}/requestBody/content"),
            json!({}),
            vec![format!("{put}, body: is no application/json any more")],
        ),
        (
            &format!("{NEW}/required"),
            json!(["title", "kind"]),
            vec![format!("{put}, body.kind: must be there")],
        ),
        (
            &format!("{NEW}/properties/note"),
            Value::Null,
            vec![format!("{put}, body.note: is gone")],
        ),
        (
            &format!("{NEW}/properties/note/type"),
            json!("string"),
            vec![format!("{put}, body.note: can no longer be null")],
        ),
        (
            &format!("{NEW}/properties/title/minLength"),
            json!(3),
            vec![format!("{put}, body.title: has the minLength 3, and had null")],
        ),
        (
            &format!("{NEW}/additionalProperties"),
            json!(false),
            vec![format!("{put}, body: takes no other fields any more")],
        ),
    ] {
        assert_eq!(changed(&[(at, value.clone())]), expected, "{at} {value}");
    }
}

#[test]
fn what_breaks_who_is_answered_is_named() {
    let (get, put) = ("GET /things", "PUT /things/{id}");
    let listed = format!("{get}, answer 200.items[]");
    let named = |rest: &str| vec![format!("{listed}{rest}"), format!("{put}, answer 200{rest}")];
    for (at, value, expected) in [
        (&format!("{GET}/responses/200"), Value::Null, vec![format!("{get}, answer 200: is gone")]),
        (
            &format!("{GET}/responses/200/headers/Location"),
            Value::Null,
            vec![format!("{get}, answer 200: has no header Location any more")],
        ),
        (&format!("{NAMED}/properties/at"), Value::Null, named(".at: is gone")),
        (&format!("{NAMED}/required"), json!([]), named(".name: may be missing")),
        (
            &format!("{NAMED}/properties/name/type"),
            json!(["string", "null"]),
            named(".name: may now be null"),
        ),
        (
            &format!("{NAMED}/properties/at/format"),
            Value::Null,
            named(".at: is string, and was string (date-time)"),
        ),
        (
            &format!("{ITEM}/properties/count/type"),
            json!("number"),
            named(".count: is number, and was integer"),
        ),
        (
            &format!("{ITEM}/properties/kind/enum"),
            Value::Null,
            named(".kind: may be anything, and was one of [\"a\",\"b\"]"),
        ),
    ] {
        assert_eq!(changed(&[(at, value.clone())]), expected, "{at} {value}");
    }
}
