"""Whether an alert would reach anybody, asked of those who watch."""

import json
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.request import urlopen

import yaml

from include.stack.layout import Stack
from include.stack.services import http_answers

# Receivers of these names get the alerts; others may be empty on purpose, as for what is muted.
_SEVERITIES = ("page", "ticket")


def alerting_faults(stack: Stack) -> list[str]:
    """A sentence for each of Prometheus and Alertmanager that does not answer, and for alerts that would
    reach nobody.
    """
    asked = {"Prometheus": ("prometheus", "/-/ready"), "the exporter": ("exporter", "/metrics")}
    urls = {name: f"http://127.0.0.1:{stack.port(port)}{path}" for name, (port, path) in asked.items()}
    silent = [f"{name} does not answer at {url}" for name, url in urls.items() if not http_answers(url)]
    return [*silent, *receiver_faults(f"http://127.0.0.1:{stack.port('alertmanager')}")]


def receiver_faults(url: str) -> list[str]:
    """The same for the Alertmanager at `url`, by its running configuration."""
    try:
        with urlopen(f"{url}/api/v2/status", timeout=3) as answer:
            receivers = yaml.safe_load(json.load(answer)["config"]["original"])["receivers"]
            empty = [one["name"] for one in receivers if one["name"] in _SEVERITIES and not _reaches_anybody(one)]
    except (OSError, HTTPException, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError) as error:
        return [f"Alertmanager does not answer at {url}: {error}"]
    return [f"no alert of severity {name} reaches anybody: see `Being told` in the runbook" for name in empty]


def _reaches_anybody(receiver: Mapping[str, Any]) -> bool:
    return any(configured for name, configured in receiver.items() if name.endswith("_configs"))
