use std::collections::BTreeMap;

use super::*;

/// Something of everything, as it should be.
fn good() -> Value {
    serde_json::from_str(include_str!("good.json")).unwrap()
}

/// What finds fault with what: for each rule, places and what is put there.
fn fixtures() -> BTreeMap<String, Vec<(String, Value)>> {
    serde_json::from_str(include_str!("fixtures.json")).unwrap()
}

fn faults_of(template: &Value, values: &[(&str, &str)]) -> Vec<String> {
    faults(&Deployed::of(template, values).unwrap())
}

#[test]
fn each_rule_finds_fault_with_what_breaks_it_and_with_nothing_else() {
    assert_eq!(faults_of(&good(), &[]), [] as [String; 0]);
    for (rule, broken) in fixtures() {
        for (place, value) in broken {
            let mut template = good();
            let (parent, field) = place.rsplit_once('/').unwrap();
            template.pointer_mut(parent).unwrap()[field] = value.clone();
            let faults = faults_of(&template, &[]);
            assert!(!faults.is_empty(), "nobody minds {place} = {value}");
            for fault in faults {
                assert!(fault.starts_with(&rule), "{place} = {value}: {fault}");
            }
        }
    }
    for rule in &RULES {
        assert!(
            fixtures().contains_key(rule.name),
            "{} is never broken",
            rule.name
        );
    }
}

#[test]
fn what_is_chosen_depends_on_the_values() {
    // There a statement allows everything.
    assert_eq!(faults_of(&good(), &[("Port", "4566")]).len(), 2);
}
