"""Signs in for schemathesis, and counts what was asked and answered.

LONGHAUL_SIGN_IN says as whom and where; the counts go to the file that LONGHAUL_COUNTS names.
"""

import atexit
import json
import os
from collections import Counter, defaultdict

import requests
import schemathesis

SIGN_IN = json.loads(os.environ["LONGHAUL_SIGN_IN"])

# Tokens are good for 15 minutes.
FRESH_SECONDS = 600

ITEMS_MAX = 20

answered = defaultdict(Counter)


@schemathesis.auth(refresh_interval=FRESH_SECONDS)
class AccessToken:
    def get(self, case, context):
        answer = requests.post(
            SIGN_IN["url"],
            headers={
                "content-type": "application/x-amz-json-1.1",
                "x-amz-target": "AWSCognitoIdentityProviderService.InitiateAuth",
            },
            data=json.dumps(
                {
                    "AuthFlow": "USER_PASSWORD_AUTH",
                    "ClientId": SIGN_IN["client_id"],
                    "AuthParameters": {"USERNAME": SIGN_IN["username"], "PASSWORD": SIGN_IN["password"]},
                }
            ),
            timeout=60,
        )
        answer.raise_for_status()
        return answer.json()["AuthenticationResult"]["AccessToken"]

    def set(self, case, token, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.hook
def before_call(context, case, kwargs):
    # A task of thousands of items would keep the emulator's workers busy during all the requests that follow, which would wait
    # for it until they are answered with 503. What is over the limit is left as it is: it is refused.
    body = case.body
    if isinstance(body, dict):
        number = body.get("number_of_items")
        if isinstance(number, int) and ITEMS_MAX < number <= 10_000:
            case.body = {**body, "number_of_items": ITEMS_MAX}


@schemathesis.deserializer("application/x-ndjson", "text/csv")
def text(context, response):
    # What they are described as. No link leads on from them: their next page is in a header.
    return response.content.decode()


@schemathesis.hook
def after_call(context, case, response):
    operation = case.operation.definition.raw["operationId"]
    answered[operation][str(response.status_code)] += 1


@atexit.register
def write_counts():
    with open(os.environ["LONGHAUL_COUNTS"], "w", encoding="utf-8") as file:
        json.dump(answered, file)
