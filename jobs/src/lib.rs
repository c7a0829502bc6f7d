//! What this deployment can do: one file a job, and the list of them.

mod deliver_messages;
mod import_contacts;
mod tuned_long_running_task;

pub use deliver_messages::DeliverMessages;
pub use import_contacts::ImportContacts;
pub use tuned_long_running_task::Sample;

/// All jobs, in the order in which the page offers them.
pub type Jobs = (Sample, ImportContacts, DeliverMessages);

const _: () = longhaul::check::<Jobs>();
