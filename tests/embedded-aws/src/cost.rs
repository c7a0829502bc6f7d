//! What calls cost: how many there are, the capacity that AWS bills for them, and the bytes on the wire.

use std::ops::{AddAssign, SubAssign};

use serde_json::Value;

use crate::Call;

/// The cost of some calls.
///
/// Capacity is what `DynamoDB` says it is, and here dynoxide in its name: for a write its row's larger size before and
/// after in kilobytes begun, double in a transaction, and one unit for each entry of an index that it changes; for a read
/// what was looked at in four kilobytes begun, half of that where it may be behind. A refused call says nothing of its
/// capacity, and counts as none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Calls, the SDK's own retries included.
    pub calls: u64,
    /// Write request units.
    pub write_units: f64,
    /// Read request units.
    pub read_units: f64,
    /// Bytes of the requests' bodies.
    pub bytes_sent: u64,
    /// Bytes of the answers' bodies.
    pub bytes_received: u64,
}

impl Cost {
    /// Has `DynamoDB` say what the call consumes.
    pub(crate) fn ask(request: &Value) -> Value {
        let mut request = request.clone();
        request["ReturnConsumedCapacity"] = "TOTAL".into();
        request
    }

    /// Takes the cost of `call` out of its answer, which is then as its caller gets it.
    pub(crate) fn take(call: &Call, answer: &mut Value) -> Self {
        let consumed = answer.as_object_mut();
        let consumed = consumed.and_then(|fields| fields.remove("ConsumedCapacity"));
        let units = match &consumed {
            Some(Value::Array(tables)) => tables.iter().filter_map(units_of).sum(),
            Some(table) => units_of(table).unwrap_or_default(),
            None => 0.0,
        };
        let is_read = matches!(
            call.operation.as_str(),
            "GetItem" | "BatchGetItem" | "Query" | "Scan"
        );
        let (read_units, write_units) = if is_read { (units, 0.0) } else { (0.0, units) };
        Self {
            calls: 1,
            write_units,
            read_units,
            bytes_sent: call.body.to_string().len() as u64,
            bytes_received: answer.to_string().len() as u64,
        }
    }
}

fn units_of(table: &Value) -> Option<f64> {
    table["CapacityUnits"].as_f64()
}

impl AddAssign for Cost {
    fn add_assign(&mut self, more: Self) {
        self.calls += more.calls;
        self.write_units += more.write_units;
        self.read_units += more.read_units;
        self.bytes_sent += more.bytes_sent;
        self.bytes_received += more.bytes_received;
    }
}

impl SubAssign for Cost {
    fn sub_assign(&mut self, less: Self) {
        self.calls -= less.calls;
        self.write_units -= less.write_units;
        self.read_units -= less.read_units;
        self.bytes_sent -= less.bytes_sent;
        self.bytes_received -= less.bytes_received;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::EmbeddedAws;

    /// What a call costs that is made past the clients.
    fn cost_of(aws: &EmbeddedAws, operation: &str, mut body: Value) -> Cost {
        if operation != "TransactWriteItems" {
            body["TableName"] = aws.table().name().into();
        }
        let call = Call {
            caller: "test".into(),
            operation: operation.into(),
            body,
        };
        let _ = aws.take_cost();
        let answer = aws.carry_out(&call);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.get("ConsumedCapacity").is_none());
        aws.take_cost()
    }

    fn row(bytes: usize) -> Value {
        json!({"pk": {"S": "a"}, "sk": {"S": "b"}, "text": {"S": "x".repeat(bytes)}})
    }

    #[test]
    fn capacity_is_what_aws_bills() {
        let aws = EmbeddedAws::default();
        let units = |operation, body| {
            let cost = cost_of(&aws, operation, body);
            format!("{} written, {} read", cost.write_units, cost.read_units)
        };
        let put = |row| units("PutItem", json!({"Item": row}));
        assert_eq!(put(row(1500)), "2 written, 0 read");
        // The larger of before and after.
        assert_eq!(put(row(10)), "2 written, 0 read");

        let mut indexed = row(10);
        indexed["open_shard"] = json!({"S": "1"});
        indexed["check_at"] = json!({"N": "1"});
        assert_eq!(put(indexed), "2 written, 0 read");

        let put = json!({"Put": {"TableName": aws.table().name(), "Item": row(5000)}});
        let transaction = units("TransactWriteItems", json!({"TransactItems": [put]}));
        // Of the row, double, and of the index's entry that goes.
        assert_eq!(transaction, "11 written, 0 read");

        let key = json!({"pk": {"S": "a"}, "sk": {"S": "b"}});
        let read = |is_consistent| {
            units(
                "GetItem",
                json!({"Key": key, "ConsistentRead": is_consistent}),
            )
        };
        assert_eq!(read(true), "0 written, 2 read");
        assert_eq!(read(false), "0 written, 1 read");
    }

    #[test]
    fn bytes_are_those_of_the_bodies() {
        let aws = EmbeddedAws::default();
        let get = json!({"Key": {"pk": {"S": "a"}, "sk": {"S": "b"}}});
        let cost = cost_of(&aws, "GetItem", get.clone());
        let table = format!(r#","TableName":"{}""#, aws.table().name());
        let sent = get.to_string().len() + table.len();
        assert_eq!(
            (cost.calls, cost.bytes_sent, cost.bytes_received),
            (1, sent as u64, 2)
        );
    }
}
