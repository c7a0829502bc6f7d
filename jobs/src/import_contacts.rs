//! Imports contacts into a table of their own: an item for each.

use aws_sdk_dynamodb::{Client, types::AttributeValue::S};
use email_address::{EmailAddress, Options};
use longhaul::{Invalid, Item, ItemError, Items, Job, Limits, Process, Setup, StartError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The job, with the table that it writes to; its key is `user` and `email`.
pub struct ImportContacts {
    dynamodb: Client,
    table_name: String,
}

#[derive(Deserialize, JsonSchema)]
pub struct Request {
    /// Whom to import.
    contacts: Vec<Contact>,
}

#[derive(Deserialize, Serialize, JsonSchema)]
pub struct Contact {
    /// As they write it.
    #[schemars(title = "Name", length(min = 1, max = 200))]
    name: String,
    /// Where to write to them.
    #[schemars(title = "E-mail", length(max = 320))]
    email: String,
}

impl Job for ImportContacts {
    const NAME: &'static str = "import-contacts";
    const TITLE: &'static str = "Import contacts";
    const DESCRIPTION: &'static str = "Adds people to your contacts, and updates those you have.";
    // A new on-demand table takes 4,000 writes a second, and a put some 10 ms: two for each of 20 workers.
    const ITEMS_IN_FLIGHT: Option<u16> = Some(2);
    type Request = Request;
    type Shared = ();
    type Input = Contact;
    type Output = Contact;

    fn items(mut request: Request, _: &Limits) -> Result<Items<Contact>, Invalid> {
        for contact in &mut request.contacts {
            contact.email = contact.email.trim().to_lowercase();
        }
        let contacts = Items::list(request.contacts).of_field("contacts");
        Ok(contacts.unique("email", |contact| &contact.email))
    }

    fn item_name(_: u64, contact: &Contact) -> String {
        contact.email.clone()
    }
}

impl Process for ImportContacts {
    async fn start(setup: &Setup) -> Result<Self, StartError> {
        Ok(Self {
            dynamodb: Client::new(setup.aws()),
            table_name: setup.environment(|variables| variables.text("CONTACTS_TABLE_NAME"))?,
        })
    }

    async fn process(&self, item: Item<Contact>) -> Result<Contact, ItemError> {
        let Contact { name, email } = &item.input;
        let options = Options::default().with_required_tld();
        let options = options.without_display_text();
        EmailAddress::parse_with_options(email, options).map_err(|cause| {
            let reason = format!("“{email}” is no e-mail address: correct it and try again.");
            ItemError::permanent(reason).because(cause)
        })?;
        item.set_phase("Saving contacts");
        let put = self.dynamodb.put_item().table_name(&self.table_name);
        put.item("user", S(item.user.as_str().into()))
            .item("email", S(email.clone()))
            .item("name", S(name.clone()))
            .send()
            .await?;
        Ok(item.input)
    }
}
