//! Tickets and connections: who may be told of a user's tasks, and over what.
//!
//! | item | `pk` | `sk` | holds |
//! |---|---|---|---|
//! | ticket | `TICKET#<digest>` | `TICKET` | `user`; `expires_at`, to which it is good |
//! | connection | `CONNECTIONS#<sub>` | `CONNECTION#<id>` | [`Connection`]; `expires_at` |
//! | owner | `CONNECTION#<id>` | `OWNER` | [`Owner`]; `expires_at` |
//!
//! None of them is in a partition of tasks, so that a policy can tell them apart by their keys. The protocol does not know
//! of them: without any, everything goes on, and pages ask.
//!
//! **A connection is in the list of one user at most**, although its id may come again: the list and the owner are
//! written together, and who was the owner before is taken off.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, ReturnValue, TransactWriteItem};
use serde::Deserialize;

use super::write::{
    Guard, Row, Transaction, Verdict, address, condition, expressions, guard, number, rejected,
    text,
};
use super::{Key, Store, StoreError};
use crate::connection::{Connection, Owner, Ticket};
use crate::host::Timestamp;
use crate::task::UserId;

/// How often a connection is entered that turns out to have, or have had, another owner than was seen.
const CONNECT_ATTEMPTS_MAX: u32 = 3;

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
    /// It needs no condition: nobody else draws the same.
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
        let call = self.client.put_item().table_name(&self.table);
        call.set_item(Some(row)).send().await?;
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
    /// Enters a connection that is being opened into the user's list, and takes it off that of whoever had one of this id
    /// before. Returns whether it did: not if there is a later one of this id.
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
        let mut seen: Option<Owner> = None;
        for _ in 0..CONNECT_ATTEMPTS_MAX {
            let actions = self.entries(user, connection, seen.as_ref())?;
            let Transaction::Refused(verdicts) = self.transact(actions).await? else {
                return Ok(true);
            };
            let row = match verdicts.into_iter().next() {
                Some(Verdict::Refused(Some(row))) => Some(row),
                _ => self.get(owner_key(&connection.id)).await?,
            };
            seen = row.map(serde_dynamo::from_item).transpose()?;
            if let Some(owner) = &seen
                && owner.connected_at > connection.connected_at
            {
                return Ok(false);
            }
        }
        Ok(false)
    }

    fn entries(
        &self,
        user: &UserId,
        connection: &Connection,
        seen: Option<&Owner>,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let expires_at = self.host.now().after(Connection::LIFETIME).seconds();
        let row = |key: &Key, more: (&str, AttributeValue)| {
            let mut row = address(key);
            let connected_at = number(connection.connected_at.0);
            row.insert("connected_at".into(), connected_at);
            row.insert("expires_at".into(), number(expires_at));
            row.insert(more.0.into(), more.1);
            row
        };
        let owner = owner_key(&connection.id);
        let (is_as_seen, seen_at) = match seen {
            None => ("attribute_not_exists(#pk)", 0),
            Some(seen) => ("#connected_at = :seen", seen.connected_at.0),
        };
        let is_as_seen = [guard("connect: owner is as seen", is_as_seen)];
        let seen_at = vec![(":seen", number(seen_at))];
        let owner = row(&owner, ("user", text(user.as_str())));
        let listed = connection_key(user, &connection.id);
        let listed = row(&listed, ("id", text(&connection.id)));
        let mut actions = vec![
            self.put(owner, &is_as_seen, seen_at)?,
            self.put(listed, &[], vec![])?,
        ];
        if let Some(before) = seen.filter(|seen| seen.user != *user) {
            let key = connection_key(&before.user, &connection.id);
            let delete = Delete::builder().table_name(&self.table);
            let delete = delete.set_key(Some(address(&key))).build();
            let delete = delete.map_err(rejected)?;
            actions.push(TransactWriteItem::builder().delete(delete).build());
        }
        Ok(actions)
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
    /// A crash in between leaves its owner, which nobody asks for, until it expires.
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
        let is_meant = || guard("disconnect: no later one", "#connected_at <= :at");
        self.take_off(user, connection, is_meant()).await?;
        let at = (":at", number(connection.connected_at.0));
        let owner = owner_key(&connection.id);
        self.delete(owner, is_meant(), at).await?;
        Ok(())
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
