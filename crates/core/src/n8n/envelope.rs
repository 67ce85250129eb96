//! Unwraps what n8n forwards: the bare object, an array that holds that one object, or the item of its Webhook node
//! (`{"headers":…,"params":…,"query":…,"body":{…}}`), in any nesting that a workflow produces.

use serde_json::Value;

// Array of an item whose body is an array of one object: the deepest nesting seen.
const MAX_LAYERS: usize = 4;

/// The object inside. What is not wrapped, or wrapped in an unknown way, comes back as it is.
pub fn unwrap(mut value: Value) -> Value {
    for _ in 0..MAX_LAYERS {
        value = match value {
            Value::Array(mut items) if items.len() == 1 && (items[0].is_object() || items[0].is_array()) => {
                items.remove(0)
            }
            Value::Object(mut item) if is_webhook_item(&item) => item.remove("body").unwrap_or_default(),
            bare => return bare,
        };
    }
    value
}

fn is_webhook_item(item: &serde_json::Map<String, Value>) -> bool {
    let wraps_a_body = item
        .get("body")
        .is_some_and(|body| body.is_object() || body.is_array());
    wraps_a_body
        && item.get("headers").is_some_and(Value::is_object)
        && (item.contains_key("params") || item.contains_key("query") || item.contains_key("webhookUrl"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn all_wrappings_give_the_same_object() {
        let bare = json!({"sessionId": "s", "status": "finished"});
        let item = json!({"headers": {"host": "x"}, "params": {}, "query": {}, "body": bare,
            "webhookUrl": "http://n8n/webhook/x", "executionMode": "production"});
        for wrapped in [
            bare.clone(),
            json!([bare]),
            item.clone(),
            json!([item]),
            json!({
            "headers": {}, "params": {}, "query": {}, "body": [bare] }),
        ] {
            assert_eq!(unwrap(wrapped), bare);
        }
    }

    #[test]
    fn a_field_called_body_is_no_wrapping() {
        let own = json!({"body": {"a": 1}, "status": "finished"});
        assert_eq!(unwrap(own.clone()), own);
        let several = json!([{"a": 1}, {"b": 2}]);
        assert_eq!(unwrap(several.clone()), several);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(depth in 0_usize..12, text in "[a-z]{0,3}") {
            let mut value = json!({"body": text, "headers": {}});
            for _ in 0..depth {
                value = json!([value]);
            }
            let _ = unwrap(value);
        }
    }
}
