//! Words of ours held against files that say what they should be. With POSTERN_BLESS=1 the files become what was said.

use std::fs;
use std::path::Path;

/// Collects differences, so that one run shows them all.
#[derive(Debug, Default)]
pub(crate) struct Blessed {
    differences: String,
}

impl Blessed {
    /// Hold `found` against the file.
    pub(crate) fn compare(&mut self, file: &Path, found: &str) {
        if std::env::var_os("POSTERN_BLESS").is_some() {
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, found).expect("a file");
        }
        let wanted = fs::read_to_string(file).unwrap_or_default();
        if wanted != found {
            self.differences.push_str(&format!("== {}\n-- wanted\n{wanted}-- found\n{found}", file.display()));
        }
    }

    /// Fail if there was any difference.
    pub(crate) fn finish(self) {
        assert!(self.differences.is_empty(), "{}", self.differences);
    }
}
