//! Attributes and resources as OTLP has them.
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
};
use weft_core::span::{Attribute, Value};

/// An attribute that is text.
pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    key_value(key, any_value::Value::StringValue(value.to_owned()))
}

/// A span's attribute, or a resource's.
pub(crate) fn attribute(Attribute { key, value }: &Attribute) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(text.clone().into_owned()),
        Value::Number(number) => any_value::Value::IntValue(*number),
        Value::Flag(flag) => any_value::Value::BoolValue(*flag),
        Value::Names(names) => {
            let string = |name: &&str| any_value::Value::StringValue((*name).to_owned());
            let values = names.iter().map(|name| AnyValue { value: Some(string(name)) }).collect();
            any_value::Value::ArrayValue(ArrayValue { values })
        }
    };
    key_value(key, value)
}

fn key_value(key: &str, value: any_value::Value) -> KeyValue {
    // The profiles' table of strings has nothing to do with it.
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), key_strindex: 0 }
}

/// Who is told of.
pub(crate) fn resource(attributes: &[Attribute]) -> Resource {
    let attributes = attributes.iter().map(attribute).collect();
    Resource { attributes, ..Resource::default() }
}

/// Who tells.
pub(crate) fn scope() -> InstrumentationScope {
    let (name, version) = ("weft".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    InstrumentationScope { name, version, ..InstrumentationScope::default() }
}
