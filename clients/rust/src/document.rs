// SPDX-License-Identifier: Apache-2.0

//! A file of conformance vectors, as clients/vectors/README.md describes it.
use std::collections::HashMap;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Error;

pub type Names = HashMap<String, String>;

#[derive(Deserialize)]
pub struct Document {
    pub ignore: Vec<String>,
    pub vectors: Vec<Vector>,
}

#[derive(Deserialize)]
pub struct Vector {
    pub name: String,
    pub steps: Vec<Step>,
}

#[derive(Deserialize)]
pub struct Step {
    pub call: String,
    #[serde(default = "admin", rename = "as")]
    pub role: String,
    request: Option<Value>,
    requests: Option<Vec<Value>>,
    answer: Option<Value>,
    answers: Option<Vec<Value>>,
    pub error: Option<WantedError>,
    #[serde(default)]
    pub save: HashMap<String, String>,
}

fn admin() -> String {
    "admin".into()
}

#[derive(Debug, Deserialize)]
pub struct WantedError {
    pub code: String,
    pub reason: String,
    pub rc: String,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

impl Step {
    /// The messages that are sent.
    pub fn sent(&self) -> Vec<Value> {
        self.requests.clone().unwrap_or_else(|| vec![self.request.clone().unwrap_or(Value::Object(Map::new()))])
    }

    /// The messages of the answer; nothing when the vector does not say.
    pub fn expected(&self) -> Option<Vec<Value>> {
        self.answers.clone().or_else(|| self.answer.clone().map(|answer| vec![answer]))
    }
}

/// The text with each ${name} replaced.
pub fn text(value: &str, names: &Names) -> Result<String, Error> {
    let mut parts = value.split("${");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').ok_or("a ${ without its }")?;
        out += names.get(name).ok_or_else(|| format!("{name} was not saved"))?;
        out += rest;
    }
    Ok(out)
}

/// A copy in which each ${name} is replaced, and each form of bytes is base64.
pub fn filled(value: &Value, names: &Names) -> Result<Value, Error> {
    match value {
        Value::String(plain) => Ok(Value::String(text(plain, names)?)),
        Value::Array(items) => items.iter().map(|item| filled(item, names)).collect(),
        Value::Object(fields) => match bytes(fields, names)? {
            Some(bytes) => Ok(Value::String(BASE64_STANDARD.encode(bytes))),
            None => fields.iter().map(|(key, item)| Ok((key.clone(), filled(item, names)?))).collect(),
        },
        _ => Ok(value.clone()),
    }
}

fn bytes(fields: &Map<String, Value>, names: &Names) -> Result<Option<Vec<u8>>, Error> {
    if let Some(Value::String(plain)) = fields.get("$text") {
        return Ok(Some(text(plain, names)?.into_bytes()));
    }
    if let Some(Value::String(digits)) = fields.get("$hex") {
        return Ok(Some(unhex(digits)?));
    }
    match (fields.get("$fill").and_then(Value::as_u64), fields.get("size").and_then(Value::as_u64)) {
        (Some(byte), Some(size)) => Ok(Some(vec![u8::try_from(byte)?; usize::try_from(size)?])),
        _ => Ok(None),
    }
}

fn unhex(digits: &str) -> Result<Vec<u8>, Error> {
    let pairs = digits.as_bytes().chunks(2).map(std::str::from_utf8);
    pairs.map(|pair| Ok(u8::from_str_radix(pair?, 16)?)).collect()
}

/// A copy without the fields of these names, at any depth.
pub fn without(value: &Value, ignored: &[String]) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| without(item, ignored)).collect(),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(key, _)| !ignored.contains(key));
            Value::Object(kept.map(|(key, item)| (key.clone(), without(item, ignored))).collect())
        }
        _ => value.clone(),
    }
}

/// The field that a path such as "snapshot.epoch" names.
pub fn at(value: &Value, path: &str) -> Result<String, Error> {
    let found = path.split('.').try_fold(value, |found, part| found.get(part)).ok_or_else(|| format!("the answer has no {path}"))?;
    Ok(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
}
