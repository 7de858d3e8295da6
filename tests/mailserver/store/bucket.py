# SPDX-License-Identifier: AGPL-3.0-or-later
"""An S3 server (moto) on loopback with one bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

from mailserver.store.objects import Bucket

NAME = "congvan-mail"


@contextmanager
def serving(folder: Path) -> Iterator[Bucket]:
    """A bucket to be opened; its credentials lie in ``folder``."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    keys = {"access_key_id": "test", "secret_access_key": "test-secret"}
    credentials = folder / "s3.json"
    credentials.write_text(json.dumps(keys))
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test-secret",
    )
    client.create_bucket(Bucket=NAME)
    try:
        yield Bucket(NAME, "mail", endpoint, "us-east-1", credentials)
    finally:
        server.stop()
