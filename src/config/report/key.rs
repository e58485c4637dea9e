//! From a place in a file to the path of the key that stands there: `hosts."wiki.test".routes[0].path`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::load::SourceFile;
use crate::config::yaml;
use crate::config::yaml::Node;
use crate::config::yaml::Value;
use crate::model::problem::Problems;

/// Fill the empty key of every problem that has a place.
pub(super) fn fill(problems: &mut Problems, files: &[SourceFile]) {
    // Each file with a problem is parsed again: cheaper than to keep trees for the rare day they are wanted.
    let mut roots: HashMap<Arc<str>, Option<Node<'_>>> = HashMap::new();
    for problem in &mut problems.0 {
        let Some(place) = problem.place.as_ref().filter(|_| problem.key.is_empty()) else { continue };
        // No key stands where a file ends.
        if files.iter().any(|file| file.name == place.file && file.text.len() <= place.span.0 as usize) {
            continue;
        }
        let root = roots.entry(Arc::clone(&place.file)).or_insert_with(|| {
            let file = files.iter().find(|file| file.name == place.file)?;
            yaml::parse(0, &file.name, &file.text).root
        });
        if let Some(root) = root {
            let (start, end) = place.span;
            find(root, start, end, &mut problem.key);
        }
    }
}

/// Append the path from a node to the innermost key or value that holds the bytes.
fn find(node: &Node<'_>, start: u32, end: u32, path: &mut String) {
    if (node.span.start, node.span.end) == (start, end) {
        return;
    }
    match &node.value {
        Value::Null | Value::Refused | Value::Scalar { .. } => {}
        Value::List(items) => {
            let within = |(_, item): &(usize, &Node<'_>)| item.span.contains(start, end);
            if let Some((index, item)) = items.iter().enumerate().find(within) {
                path.push_str(&format!("[{index}]"));
                find(item, start, end, path);
            }
        }
        Value::Map(entries) => {
            let within =
                |(key, value): &&(Node<'_>, Node<'_>)| key.span.contains(start, end) || value.span.contains(start, end);
            if let Some((key, value)) = entries.iter().find(within) {
                push(path, key.text().unwrap_or(""));
                if !key.span.contains(start, end) {
                    find(value, start, end, path);
                }
            }
        }
    }
}

fn push(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
        path.push_str(key);
    } else {
        path.push_str(&format!("{key:?}"));
    }
}
