"""The status of a task, as a handler on boto3: the client made once, at start, with the SDK's defaults.

It does the least that the answer takes: no other routes, no Retry-After, and fewer fields.
"""

import hashlib
import json
import os
from datetime import datetime, timezone

import boto3

dynamodb = boto3.client("dynamodb")
TABLE_NAME = os.environ["TABLE_NAME"]


def handler(event, context):
    user = event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"]
    task_id = event["pathParameters"]["task_id"]
    found = dynamodb.get_item(
        TableName=TABLE_NAME,
        Key={"pk": {"S": f"USER#{user}"}, "sk": {"S": f"TASK#{task_id}"}},
        ConsistentRead=True,
    )
    if "Item" not in found:
        return respond(404, {"success": False, "message": "Not found."})
    task = found["Item"]
    chunks = [chunk["M"] for chunk in task["chunks"]["L"]]
    failed = sum(int(chunk["failed"]["N"]) for chunk in chunks)
    done = sum(int(chunk["cursor"]["N"]) for chunk in chunks) - failed
    number_of_items = int(task["number_of_items"]["N"])
    version = int(task["version"]["N"])
    data = {
        "task_id": task_id,
        "job": task["job"]["S"],
        "task_status": task["status"]["S"],
        "done_percentage": 100 * done // number_of_items,
        "count_done_items": done,
        "number_of_items": number_of_items,
        "count_failed_items": failed,
        "created_at": shown(task, "created_at"),
        "started_at": shown(task, "started_at"),
        "finished_at": shown(task, "finished_at"),
        "version": version,
    }
    etag = '"' + hashlib.sha256(json.dumps(data).encode()).hexdigest()[:32] + '"'
    if event["headers"].get("if-none-match") == etag:
        return respond(304, None, etag)
    return respond(200, {"success": True, "data": data}, etag)


def shown(task, name):
    if name not in task:
        return None
    return datetime.fromtimestamp(int(task[name]["N"]) / 1000, timezone.utc).isoformat()


def respond(status, body, etag=None):
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    if etag:
        headers["etag"] = etag
    return {
        "statusCode": status,
        "headers": headers,
        "body": "" if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }
