//! JSON schemas of inputs and outputs. Where the code is, its types check; servers without the code check by the schema that
//! was on record when a worker registered (`mismatch`).

/// The JSON schemas of what something takes and gives: for people, for clients' generators, and for servers without the code.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Of its input.
    pub input: Option<serde_json::Value>,
    /// Of its output.
    pub output: Option<serde_json::Value>,
}

#[cfg(feature = "server")]
impl Schema {
    /// The schemas of two types, each complete in itself.
    pub fn of<Input: utoipa::ToSchema, Output: utoipa::ToSchema>() -> Self {
        Self { input: Some(schema_of::<Input>()), output: Some(schema_of::<Output>()) }
    }
}

/// A type's schema, with what it refers to as its own definitions.
#[cfg(feature = "server")]
fn schema_of<T: utoipa::ToSchema>() -> serde_json::Value {
    let mut named = Vec::new();
    T::schemas(&mut named);
    let mut schema = serde_json::to_value(T::schema()).unwrap_or_default();
    if !named.is_empty() {
        let named = named.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default()));
        schema["$defs"] = named.collect::<serde_json::Map<_, _>>().into();
    }
    refer_to_defs(&mut schema);
    schema
}

#[cfg(feature = "server")]
fn refer_to_defs(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            if let Some(serde_json::Value::String(reference)) = members.get_mut("$ref") {
                *reference = reference.replace("#/components/schemas/", "#/$defs/");
            }
            members.values_mut().for_each(refer_to_defs);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(refer_to_defs),
        _ => {}
    }
}
