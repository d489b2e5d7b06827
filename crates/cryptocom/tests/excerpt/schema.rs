//! A validator of the machine-readable reference, `fixtures/venue/openapi-excerpt.json`.
//!
//! It knows exactly the keywords and patterns that the excerpt uses and stops at any other, so that nothing is skipped
//! unseen. The program's tests use it too.

use aegis_cryptocom::Method;
use aegis_cryptocom::request::Door;
use serde_json::Value;

const EXCERPT: &str = include_str!("../../../../fixtures/venue/openapi-excerpt.json");

/// The excerpt.
pub(crate) struct Excerpt(pub(crate) Value);

impl Excerpt {
    pub(crate) fn read() -> Excerpt {
        Excerpt(serde_json::from_str(EXCERPT).expect("JSON"))
    }

    pub(crate) fn named(&self, name: &str) -> &Value {
        &self.0["components"]["schemas"][name]
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(path) => self.named(path.strip_prefix("#/components/schemas/").expect("a local reference")),
            None => schema,
        }
    }

    /// What of a value does not fit a schema.
    pub(crate) fn faults(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let schema = self.resolve(schema).as_object().expect("a schema is an object");
        if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
            return Vec::new();
        }
        let mut faults = Vec::new();
        let mut fault = |what: String| faults.push(format!("{at}: {what}"));
        let list = |of: &Value| of.as_array().expect("a list").clone();
        let number = |of: &Value| of.as_i64().expect("a whole number");
        let length = || value.as_array().map_or(0, |items| items.len() as i64);
        for (keyword, rule) in schema {
            match keyword.as_str() {
                "type" => {
                    let fits = match rule.as_str().expect("a type") {
                        "object" => value.is_object(),
                        "array" => value.is_array(),
                        "string" => value.is_string(),
                        "boolean" => value.is_boolean(),
                        "integer" => value.is_i64() || value.is_u64(),
                        other => panic!("type {other}"),
                    };
                    if !fits {
                        fault(format!("{value} is no {rule}"));
                    }
                }
                "enum" if !list(rule).contains(value) => fault(format!("{value} is none of {rule}")),
                "pattern" => {
                    let fits =
                        value.as_str().is_none_or(|text| matches(rule.as_str().expect("a pattern"), text));
                    if !fits {
                        fault(format!("{value} is not {rule}"));
                    }
                }
                "minLength" | "maxLength" => {
                    let count = value.as_str().map_or(0, str::len) as i64;
                    let fits =
                        if keyword == "minLength" { count >= number(rule) } else { count <= number(rule) };
                    if !fits {
                        fault(format!("{keyword} {rule}"));
                    }
                }
                "minItems" if length() < number(rule) => fault(format!("fewer than {rule}")),
                "maxItems" if length() > number(rule) => fault(format!("more than {rule}")),
                "minimum" if value.as_i64().is_some_and(|n| n < number(rule)) => {
                    fault(format!("below {rule}"))
                }
                "maximum" if value.as_i64().is_some_and(|n| n > number(rule)) => {
                    fault(format!("above {rule}"))
                }
                "required" => {
                    for name in list(rule) {
                        let name = name.as_str().expect("a name").to_owned();
                        if value.is_object() && value.get(&name).is_none() {
                            fault(format!("{name} is missing"));
                        }
                    }
                }
                "enum" | "minItems" | "maxItems" | "minimum" | "maximum" => {}
                "properties" | "items" | "allOf" | "oneOf" | "anyOf" => {}
                "format" | "description" | "nullable" | "example" => {}
                other => assert!(other.starts_with("x-"), "keyword {other} is not known to the validator"),
            }
        }
        let empty = serde_json::Map::new();
        for (name, schema) in schema.get("properties").and_then(Value::as_object).unwrap_or(&empty) {
            if let Some(member) = value.get(name) {
                faults.extend(self.faults(schema, member, &format!("{at}.{name}")));
            }
        }
        if let (Some(schema), Some(items)) = (schema.get("items"), value.as_array()) {
            for (n, item) in items.iter().enumerate() {
                faults.extend(self.faults(schema, item, &format!("{at}[{n}]")));
            }
        }
        for schema in schema.get("allOf").and_then(Value::as_array).unwrap_or(&Vec::new()) {
            faults.extend(self.faults(schema, value, at));
        }
        for (keyword, exactly) in [("oneOf", true), ("anyOf", false)] {
            let Some(choices) = schema.get(keyword).and_then(Value::as_array) else { continue };
            let fitting = choices.iter().filter(|schema| self.faults(schema, value, at).is_empty()).count();
            if fitting == 0 || (exactly && fitting > 1) {
                faults.push(format!("{at}: {value} fits {fitting} of {keyword}"));
            }
        }
        faults
    }

    pub(crate) fn check(&self, schema: &Value, text: &str) {
        let value: Value = serde_json::from_str(text).expect("what is written is JSON");
        assert_eq!(self.faults(schema, &value, "$"), Vec::<String>::new(), "{text}");
    }

    pub(crate) fn operation(&self, method: Method) -> &Value {
        let verb = if method.door() == Door::Public { "get" } else { "post" };
        &self.0["paths"][format!("/{method}")][verb]
    }

    /// The strictest schema of a successful answer.
    pub(crate) fn success(&self, method: Method) -> &Value {
        let operation = self.operation(method);
        let strict = operation.get("x-strict-response-schema").and_then(Value::as_str);
        match strict {
            Some(path) => self.named(path.strip_prefix("#/components/schemas/").expect("local")),
            None => &operation["responses"]["200"]["content"]["application/json"]["schema"],
        }
    }
}

/// The six patterns of the excerpt.
fn matches(pattern: &str, text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    match pattern {
        r"^-?[0-9]+(\.[0-9]+)?$" => match unsigned.split_once('.') {
            Some((whole, part)) => digits(whole) && digits(part),
            None => digits(unsigned),
        },
        "^-?[0-9]+$" => digits(unsigned),
        "^[0-9]+$" => digits(text),
        "^[0-9]{1,5}$" => digits(text) && text.len() <= 5,
        "^[0-9a-f]{64}$" => text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
        "^([Bb][Uu][Yy]|[Ss][Ee][Ll][Ll])$" => {
            text.eq_ignore_ascii_case("buy") || text.eq_ignore_ascii_case("sell")
        }
        other => panic!("pattern {other} is not known to the validator"),
    }
}
