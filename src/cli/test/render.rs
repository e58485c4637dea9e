//! What came of trying, for people, for programs and for build servers.

use std::collections::BTreeMap;

use quick_junit::NonSuccessKind;
use quick_junit::Report;
use quick_junit::TestCase;
use quick_junit::TestCaseStatus;
use quick_junit::TestSuite;
use serde_json::Value;
use serde_json::json;

use crate::cli::test::Tried;
use crate::cli::test::coverage::Gaps;
use crate::telemetry::log::Plain;

/// For people: what fails, then the sum, then what is not exercised.
pub(super) fn text(tried: &[Tried], gaps: Option<&Gaps>, verbose: bool) -> String {
    let mut text = String::new();
    for Tried { place, name, request, came_of_it, wrong } in tried {
        let name = name.as_ref().map(|name| format!("  {}", Plain(name))).unwrap_or_default();
        match wrong {
            Some(wrong) => text.push_str(&format!(
                "FAIL  {}:{}{name}\n      {}\n      {}\n",
                place.file,
                place.line,
                Plain(request),
                Plain(wrong)
            )),
            None if verbose => text.push_str(&format!(
                "ok    {}:{}{name}\n      {}\n      {}\n",
                place.file,
                place.line,
                Plain(request),
                Plain(came_of_it)
            )),
            None => {}
        }
    }
    let failed = tried.iter().filter(|tried| tried.wrong.is_some()).count();
    let blank = if text.is_empty() { "" } else { "\n" };
    text.push_str(&format!("{blank}{} passed, {failed} failed\n", tried.len() - failed));
    if let Some(gaps) = gaps {
        text.push_str(&format!(
            "{} of {} routes allowed and denied, {} of {} conditions were true and false\n",
            gaps.routes_seen, gaps.routes, gaps.conditions_seen, gaps.conditions
        ));
        for gap in &gaps.gaps {
            text.push_str(&format!("  {}:{}  {} {}\n", gap.place.file, gap.place.line, Plain(&gap.what), gap.lacks));
        }
    }
    text
}

/// For programs.
pub(super) fn json(tried: &[Tried], gaps: Option<&Gaps>) -> Value {
    let one = |tried: &Tried| {
        json!({
            "file": &*tried.place.file,
            "line": tried.place.line,
            "name": tried.name,
            "request": tried.request,
            "came_of_it": tried.came_of_it,
            "passed": tried.wrong.is_none(),
            "wrong": tried.wrong,
        })
    };
    let failed = tried.iter().filter(|tried| tried.wrong.is_some()).count();
    let coverage = gaps.map(|gaps| {
        let gap = |gap: &crate::cli::test::coverage::Gap| {
            json!({"file": &*gap.place.file, "line": gap.place.line, "what": gap.what, "lacks": gap.lacks})
        };
        json!({
            "routes": gaps.routes,
            "routes_seen": gaps.routes_seen,
            "conditions": gaps.conditions,
            "conditions_seen": gaps.conditions_seen,
            "gaps": gaps.gaps.iter().map(gap).collect::<Vec<_>>(),
        })
    });
    json!({
        "passed": tried.len() - failed,
        "failed": failed,
        "cases": tried.iter().map(one).collect::<Vec<_>>(),
        "coverage": coverage,
    })
}

/// For build servers: a suite for each file.
pub(super) fn junit(tried: &[Tried]) -> anyhow::Result<String> {
    let mut report = Report::new("postern test");
    let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
    for Tried { place, name, request, wrong, .. } in tried {
        let status = match wrong {
            None => TestCaseStatus::success(),
            Some(wrong) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(wrong.clone());
                status
            }
        };
        let name = name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        let mut case = TestCase::new(format!("{}: {name}{request}", place.line), status);
        case.set_classname(&*place.file);
        suites.entry(&place.file).or_insert_with(|| TestSuite::new(&*place.file)).add_test_case(case);
    }
    report.add_test_suites(suites.into_values());
    Ok(report.to_string()?)
}
