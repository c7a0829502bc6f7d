//! The import of contacts.

use std::collections::BTreeMap;

use embedded_aws::EmbeddedAws;
use jobs::ImportContacts;
use longhaul::test_kit::{TestKit, fixture, reads_old};
use longhaul::{Job as _, Setup};
use serde_json::{Value, json};

const CONTACTS: &str = "contacts";

/// A table of contacts, and a kit that writes to it.
async fn kit() -> (EmbeddedAws, TestKit<ImportContacts>) {
    let aws = EmbeddedAws::default();
    let created = aws.table().execute(
        "CreateTable",
        &json!({
            "TableName": CONTACTS,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "user", "AttributeType": "S"},
                {"AttributeName": "email", "AttributeType": "S"},
            ],
            "KeySchema": [
                {"AttributeName": "user", "KeyType": "HASH"},
                {"AttributeName": "email", "KeyType": "RANGE"},
            ],
        }),
    );
    assert_eq!(created["TableDescription"]["TableName"], CONTACTS);
    let setup = Setup::of(&[("CONTACTS_TABLE_NAME", CONTACTS)]).with_aws(aws.config("worker"));
    let kit = TestKit::start(&setup).await.unwrap();
    (aws, kit)
}

/// Names by address, of all contacts there are.
fn contacts(aws: &EmbeddedAws) -> BTreeMap<String, String> {
    let scanned = aws.table().execute("Scan", &json!({"TableName": CONTACTS}));
    let rows = scanned["Items"].as_array().unwrap();
    let text = |row: &Value, name: &str| row[name]["S"].as_str().unwrap().to_owned();
    rows.iter()
        .inspect(|row| assert!(!text(row, "user").is_empty()))
        .map(|row| (text(row, "email"), text(row, "name")))
        .collect()
}

#[tokio::test]
async fn a_bad_address_fails_and_says_what_to_do_and_the_others_are_imported() {
    let request = json!({"contacts": [
        {"name": "Ann", "email": " Ann@Example.com"},
        {"name": "Bob", "email": "bob@"},
    ]});
    let (aws, kit) = kit().await;
    let items = kit.run(&request.to_string()).await.unwrap();
    assert_eq!(
        items[0].output,
        Some(json!({"name": "Ann", "email": "ann@example.com"}))
    );
    let error = "“bob@” is no e-mail address: correct it and try again.";
    assert_eq!(
        (&items[1].name[..], items[1].error.as_deref()),
        ("bob@", Some(error))
    );
    assert_eq!(items[1].attempts, 1);
    let ann = BTreeMap::from([("ann@example.com".to_owned(), "Ann".to_owned())]);
    assert_eq!(contacts(&aws), ann);
}

#[tokio::test]
async fn importing_somebody_again_updates_what_there_is() {
    let (aws, kit) = kit().await;
    for name in ["Ann", "Ann", "Anna"] {
        let request = json!({"contacts": [{"name": name, "email": "ann@example.com"}]});
        let items = kit.run(&request.to_string()).await.unwrap();
        assert_eq!(items[0].error, None);
        let expected = BTreeMap::from([("ann@example.com".to_owned(), name.to_owned())]);
        assert_eq!(contacts(&aws), expected);
    }
}

#[tokio::test]
async fn a_table_that_does_not_answer_is_asked_again_and_users_are_not_told_how_it_is_called() {
    let setup = Setup::of(&[("CONTACTS_TABLE_NAME", "missing")]);
    let setup = setup.with_aws(EmbeddedAws::default().config("worker"));
    let kit = TestKit::<ImportContacts>::start(&setup).await.unwrap();
    let request = json!({"contacts": [{"name": "Ann", "email": "ann@example.com"}]});
    let items = kit.run(&request.to_string()).await.unwrap();
    assert_eq!(
        items[0].error.as_deref(),
        Some("The item could not be processed.")
    );
    assert_eq!(items[0].attempts, 3);
}

#[tokio::test]
async fn what_is_an_address_is_judged_as_people_would() {
    let (_, kit) = kit().await;
    let is_taken = async |email: &str| {
        let request = json!({"contacts": [{"name": "x", "email": email}]}).to_string();
        kit.run(&request).await.unwrap()[0].error.is_none()
    };
    for good in [
        "a@b.co",
        "first.last+tag@example.co.uk",
        "d'arcy@example.com",
        "用户@例子.公司",
    ] {
        assert!(is_taken(good).await, "{good}");
    }
    for bad in [
        "",
        "ann",
        "ann@",
        "@example.com",
        "a@b@c.com",
        "ann@localhost",
        "Ann <ann@example.com>",
        "a b@c.com",
        "ann@example..com",
    ] {
        assert!(!is_taken(bad).await, "{bad}");
    }
}

#[tokio::test]
async fn the_same_address_twice_is_refused_with_both_rows_named() {
    let request = json!({"contacts": [
        {"name": "Ann", "email": "ann@example.com"},
        {"name": "Bob", "email": "bob@example.com"},
        {"name": "Ann", "email": "ANN@example.com "},
    ]});
    let (_, kit) = kit().await;
    let invalid = kit.run(&request.to_string()).await.unwrap_err();
    let expected = json!({"contacts.2.email": ["Rows 1 and 3 have the same value here."]});
    assert_eq!(json!(invalid), expected);
}

#[tokio::test]
async fn what_is_missing_is_named_by_its_row() {
    let (_, kit) = kit().await;
    let expected = |path: &str, message: &str| json!({path: [message]});
    for (contacts, told) in [
        (
            json!([]),
            expected("contacts", "This list may not be empty."),
        ),
        (
            json!([{"name": "Ann"}]),
            expected("contacts.0.email", "This field is required."),
        ),
        (
            json!([{"name": "", "email": "a@b.co"}]),
            expected("contacts.0.name", "This field may not be blank."),
        ),
        (
            json!("ann"),
            expected("contacts", "Expected a list of items but got type \"str\"."),
        ),
    ] {
        let request = json!({"contacts": contacts}).to_string();
        assert_eq!(json!(kit.run(&request).await.unwrap_err()), told);
    }
}

#[test]
fn what_the_first_version_stored_is_read() {
    let stored = include_str!("fixtures/import_contacts_1.json");
    let ((), contacts) = reads_old::<ImportContacts>(stored).unwrap();
    assert_eq!(contacts.len(), 2);
    let contacts = json!({"contacts": contacts}).to_string();
    assert_eq!(
        fixture::<ImportContacts>(&contacts).unwrap(),
        stored.trim_end()
    );
}

#[test]
fn all_workers_together_write_no_more_than_a_new_table_takes() {
    let template = include_str!("../../../template.yaml");
    let (_, parameter) = template.split_once("\n  MaxWorkers:\n").unwrap();
    let mut lines = parameter.lines();
    let default = lines.find_map(|line| line.trim().strip_prefix("Default: "));
    let workers: u64 = default.unwrap().trim_matches('"').parse().unwrap();
    // One that takes 10 ms is followed by the next: 100 a second.
    let writes = u64::from(ImportContacts::ITEMS_IN_FLIGHT.unwrap()) * 100;
    // A new on-demand table takes 4,000 write units a second (Amazon DynamoDB, "On-demand capacity mode").
    assert!(workers * writes <= 4_000);
}
