"""An object store that speaks S3: moto's server, in a process of its own. It checks no signatures."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from support.child import Child

READY_SECONDS = 60.0
REGION = "us-east-1"


class Store:
    """`url`: its endpoint."""

    def __init__(self, url: str) -> None:
        self.url = url

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Into a bucket that is made where it is not there."""
        with contextlib.closing(_client(self.url, "any", "any")) as client:
            client.create_bucket(Bucket=bucket)
            client.put_object(Bucket=bucket, Key=key, Body=data)


@contextlib.contextmanager
def object_store() -> Iterator[Store]:
    def command(_folder: Path, port: int) -> list[str]:
        return [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]

    server = Child("store", command, seconds=READY_SECONDS)
    try:
        yield Store(f"http://127.0.0.1:{server.port}")
    finally:
        server.close()


def presigned(endpoint: str, bucket: str, key: str, access_key: str, secret_key: str) -> str:
    """A URL that carries its permission in its query."""
    with contextlib.closing(_client(endpoint, access_key, secret_key)) as client:
        return str(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=600))


def _client(endpoint: str, access_key: str, secret_key: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, proxies={}),
    )
