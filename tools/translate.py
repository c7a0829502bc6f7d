"""Prints the template as CloudFormation gets it: what SAM makes of it, as JSON. Needs no account."""

import json
import sys

import boto3
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

with open(sys.argv[1], encoding="utf-8") as file:
    template = yaml_parse(file.read())
for resource in template["Resources"].values():
    # Where `sam deploy` would have put it.
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://bucket/key"
session = boto3.session.Session(region_name="us-east-1")
translated = Translator({}, Parser(), boto_session=session).translate(template, {})
json.dump(translated, sys.stdout)
