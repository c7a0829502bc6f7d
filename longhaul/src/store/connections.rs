//! Tickets and connections: who may be told of a user's tasks, and over what.
//!
//! | item | `pk` | `sk` | holds |
//! |---|---|---|---|
//! | ticket | `TICKET#<digest>` | `TICKET` | `user`; `expires_at`, to which it is good |
//! | connection | `CONNECTIONS#<sub>` | `CONNECTION#<id>` | [`Connection`]; `expires_at` |
//! | owner | `CONNECTION#<id>` | `OWNER` | `user`, `connected_at`; `expires_at` |
//!
//! None of them is in a partition of tasks, so that a policy can tell them apart by their keys. The protocol does not know
//! of them: without any, everything goes on, and pages ask.
//!
//! **An id is one user's only**, although it may come again: the owner is written together with the list, and is not deleted
//! when the connection is closed. Somebody may just have looked the id up for the user who had it. Were it another's now, that
//! one would be told.

use std::time::Duration;

use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use serde::Deserialize;

use super::write::{Guard, Row, Transaction, address, condition, expressions, guard, number, text};
use super::{Key, Store, StoreError};
use crate::connection::{Connection, Ticket};
use crate::host::Timestamp;
use crate::task::UserId;

/// An owner is there for so long after the row in the list has expired, by whatever clock.
const OWNER_KEPT_LONGER: Duration = Duration::from_hours(1);

/// A row of a user's list.
#[derive(Deserialize)]
struct Listed {
    id: String,
    connected_at: Timestamp,
    expires_at: u64,
}

/// Whose ticket it was.
#[derive(Deserialize)]
struct Holder {
    user: UserId,
}

/// Tickets.
impl Store {
    /// Stores a ticket of the user's; says until when it is good.
    ///
    /// It needs no condition: nobody else draws the same. But it is tried once only. Of two tries the first may arrive
    /// after the ticket was taken, which would then be good again.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn add_ticket(
        &self,
        user: &UserId,
        ticket: &Ticket,
    ) -> Result<Timestamp, StoreError> {
        let good_to = self.host.now().after(Ticket::GOOD_FOR);
        let mut row = address(&ticket_key(ticket));
        row.insert("user".into(), text(user.as_str()));
        row.insert("expires_at".into(), number(good_to.seconds()));
        let once = Builder::new().retry_config(RetryConfig::disabled());
        let call = self.client.put_item().table_name(&self.table);
        let call = call.set_item(Some(row)).customize();
        call.config_override(once).send().await?;
        Ok(Timestamp(good_to.seconds() * 1000))
    }

    /// Takes a ticket and says whose it was; `None` if there is none such, or not any more: of two that present it, one is
    /// given it. If the answer is lost, it is lost with it.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn take_ticket(&self, ticket: &Ticket) -> Result<Option<UserId>, StoreError> {
        // The table deletes what has expired when it comes to it, within days.
        let is_good = guard("ticket: is good", "#expires_at > :now");
        let now = number(self.host.now().seconds());
        let row = self
            .delete(ticket_key(ticket), is_good, (":now", now))
            .await?;
        let holder: Option<Holder> = row.map(serde_dynamo::from_item).transpose()?;
        Ok(holder.map(|holder| holder.user))
    }
}

/// Connections.
impl Store {
    /// Enters a connection that is being opened into the user's list. Returns whether it did: not if somebody else had one
    /// of this id, nor if there is a later one.
    ///
    /// A crash before leaves nothing; after it, a row that no message comes to, until it expires or a message finds out.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; after [`StoreError::Unavailable`] it may be entered.
    pub async fn connect(
        &self,
        user: &UserId,
        connection: &Connection,
    ) -> Result<bool, StoreError> {
        let connected_at = || number(connection.connected_at.0);
        let now = self.host.now();
        let row = |key: &Key, kept: Duration, more: (&str, AttributeValue)| {
            let mut row = address(key);
            row.insert("connected_at".into(), connected_at());
            row.insert("expires_at".into(), number(now.after(kept).seconds()));
            row.insert(more.0.into(), more.1);
            row
        };
        let is_free = [guard(
            "connect: id is free",
            "(attribute_not_exists(#pk) OR (#user = :user AND #connected_at <= :at))",
        )];
        let is_free_for = vec![(":user", text(user.as_str())), (":at", connected_at())];
        let owner = owner_key(&connection.id);
        let kept = Connection::LIFETIME + OWNER_KEPT_LONGER;
        let owner = row(&owner, kept, ("user", text(user.as_str())));
        let listed = connection_key(user, &connection.id);
        let listed = row(&listed, Connection::LIFETIME, ("id", text(&connection.id)));
        let actions = vec![
            self.put(owner, &is_free, is_free_for)?,
            self.put(listed, &[], vec![])?,
        ];
        let written = self.transact(actions).await?;
        Ok(matches!(written, Transaction::Committed))
    }

    /// The connections that may be open of a user, the oldest first.
    ///
    /// The read is consistent: whoever is connected when a change is made must hear of it.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn connections(&self, user: &UserId) -> Result<Vec<Connection>, StoreError> {
        let (condition, names, values) =
            expressions("#pk = :pk", vec![(":pk", text(connections_pk(user)))]);
        let call = self.client.query().table_name(&self.table);
        let answer = call
            .key_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .consistent_read(true)
            .send()
            .await?;
        let now = self.host.now().seconds();
        let rows: Vec<Listed> = serde_dynamo::from_items(answer.items.unwrap_or_default())?;
        let open = rows.into_iter().filter(|row| row.expires_at > now);
        let connection = |row: Listed| Connection {
            id: row.id,
            connected_at: row.connected_at,
        };
        let mut open: Vec<_> = open.map(connection).collect();
        open.sort_by_key(|connection| connection.connected_at);
        Ok(open)
    }

    /// Takes a connection off the user's list that was found to be closed, if it is still the one that was seen there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn forget(&self, user: &UserId, connection: &Connection) -> Result<(), StoreError> {
        let is_as_seen = guard("forget: as seen", "#connected_at = :at");
        self.take_off(user, connection, is_as_seen).await
    }

    /// Forgets a connection that has been closed, unless there is a later one of its id.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn disconnect(
        &self,
        user: &UserId,
        connection: &Connection,
    ) -> Result<(), StoreError> {
        // No later one is meant. An emulator's event has its own time and not that of the connection.
        let is_meant = guard("disconnect: no later one", "#connected_at <= :at");
        self.take_off(user, connection, is_meant).await
    }

    async fn take_off(
        &self,
        user: &UserId,
        connection: &Connection,
        guard: Guard,
    ) -> Result<(), StoreError> {
        let at = (":at", number(connection.connected_at.0));
        let listed = connection_key(user, &connection.id);
        self.delete(listed, guard, at).await?;
        Ok(())
    }

    /// Deletes a row if the guard allows it, and returns what it was.
    async fn delete(
        &self,
        key: Key,
        guard: Guard,
        value: (&str, AttributeValue),
    ) -> Result<Option<Row>, StoreError> {
        let condition = condition(&[guard]);
        let mentioned = condition.as_deref().unwrap_or_default();
        let (_, names, values) = expressions(mentioned, vec![value]);
        let call = self.client.delete_item().table_name(&self.table);
        let deleted = call
            .set_key(Some(address(&key)))
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values(ReturnValue::AllOld)
            .send()
            .await;
        match deleted {
            Ok(answer) => Ok(answer.attributes),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DeleteItemError::is_conditional_check_failed_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn ticket_key(ticket: &Ticket) -> Key {
    (format!("TICKET#{}", ticket.digest()), "TICKET".into())
}

fn connections_pk(user: &UserId) -> String {
    format!("CONNECTIONS#{}", user.as_str())
}

fn connection_key(user: &UserId, id: &str) -> Key {
    (connections_pk(user), format!("CONNECTION#{id}"))
}

fn owner_key(id: &str) -> Key {
    (format!("CONNECTION#{id}"), "OWNER".into())
}
