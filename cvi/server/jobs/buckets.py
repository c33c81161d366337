"""Buckets of S3, or of anything that speaks its protocol: which may be named, and uploads to them.

Credentials and endpoint are the server's own, found the way every S3 client finds them: AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, ~/.aws. A client names a bucket, and perhaps a role to assume; the
server's operator says which buckets may be named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cvi.errors import CviError
from cvi.server.contract import HttpProblem, not_here_yet

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ROLE = re.compile(r"arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]{1,512}")
CONNECT_WITHIN_S, ANSWER_WITHIN_S = 10, 60
# A role's credentials must last as long as the upload of an hour's film over a slow line.
ROLE_S = 3600


class StorageError(CviError):
    """A recording could not be uploaded."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket by name. `role` is the ARN to assume; `region`, `role` and `external_id` may be empty."""

    name: str
    region: str = ""
    role: str = ""
    external_id: str = ""

    def document(self) -> dict[str, str]:
        """The fields as JSON, to store."""
        return asdict(self)


def bucket_asked_for(properties: Mapping[str, Any], allowed: Sequence[str]) -> Bucket | None:
    """The bucket that a conversation's `properties` name, None for none.

    `allowed` are the buckets that may be named, `*` for any. Raises `HttpProblem`: 400 for what is
    wrong, 501 for what this server does not do.
    """
    asked = dict(properties.get("recording_storage") or {})
    if not asked and properties.get("recording_s3_bucket_name"):
        asked = {
            "provider": "s3",
            "bucket_name": properties["recording_s3_bucket_name"],
            "bucket_region": properties.get("recording_s3_bucket_region", ""),
            "assume_role_arn": properties.get("aws_assume_role_arn", ""),
        }
    if not asked:
        return None
    provider = asked.get("provider")
    if provider in ("gcs", "azure_blob"):
        raise not_here_yet(f"Storing recordings at '{provider}'", "Use `s3`, or leave out recording_storage.")
    if provider != "s3":
        raise HttpProblem(400, "recording_storage.provider must be s3, gcs or azure_blob.")
    names = ("bucket_name", "bucket_region", "assume_role_arn", "external_id")
    bucket = Bucket(*(_text(asked, name) for name in names))
    if not _BUCKET.fullmatch(bucket.name):
        raise HttpProblem(400, "recording_storage.bucket_name is not the name of a bucket.")
    if bucket.role and not _ROLE.fullmatch(bucket.role):
        raise HttpProblem(400, "recording_storage.assume_role_arn is not the ARN of a role.")
    if not allowed:
        how = f"Start it with: cvi serve --recording-bucket {bucket.name}"
        raise HttpProblem(501, f"This server stores no recordings elsewhere. {how}", "message")
    if "*" not in allowed and bucket.name not in allowed:
        raise HttpProblem(400, f"This server stores no recordings in the bucket '{bucket.name}'.")
    if find_spec("boto3") is None:
        raise HttpProblem(
            501, "Recordings elsewhere need, on the server: pip install 'cvi-local[s3]'", "message"
        )
    return bucket


def upload(path: Path, bucket: Bucket, key: str) -> None:
    """Upload an MP4 file, in parts where it is large; blocks. Raises `StorageError`."""
    with _client(bucket, "does not take the recording") as s3:
        s3.upload_file(str(path), bucket.name, key, ExtraArgs={"ContentType": "video/mp4"})


def erase(bucket: Bucket, key: str) -> None:
    """Delete an object, with all its versions where the bucket keeps some; blocks. Raises `StorageError`."""
    with _client(bucket, "does not let go of the recording") as s3:
        versions = s3.list_object_versions(Bucket=bucket.name, Prefix=key)
        for version in (*versions.get("Versions", ()), *versions.get("DeleteMarkers", ())):
            if version["Key"] == key:
                s3.delete_object(Bucket=bucket.name, Key=key, VersionId=version["VersionId"])
        s3.delete_object(Bucket=bucket.name, Key=key)


@contextmanager
def _client(bucket: Bucket, fails: str) -> Iterator[Any]:
    """A client of S3 that may use the bucket; its errors become `StorageError`."""
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(
        connect_timeout=CONNECT_WITHIN_S,
        read_timeout=ANSWER_WITHIN_S,
        retries={"mode": "standard", "max_attempts": 3},
        # Not everything that speaks the protocol knows the newer checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    region = {"region_name": bucket.region} if bucket.region else {}
    try:
        session = boto3.Session(**region)
        if bucket.role:
            session = boto3.Session(**_role(session.client("sts", config=config), bucket), **region)
        yield session.client("s3", config=config)
    except (BotoCoreError, ClientError, Boto3Error, OSError) as error:
        raise StorageError(
            f"The bucket '{bucket.name}' {fails}: {error}"[:300],
            "Check its name and region, and the server's credentials.",
        ) from error


def _role(sts: Any, bucket: Bucket) -> dict[str, str]:
    more = {"ExternalId": bucket.external_id} if bucket.external_id else {}
    credentials = sts.assume_role(
        RoleArn=bucket.role, RoleSessionName="cvi-recording", DurationSeconds=ROLE_S, **more
    )["Credentials"]
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }


def _text(asked: Mapping[str, Any], key: str) -> str:
    value = asked.get(key) or ""
    if not isinstance(value, str) or len(value) > 2048:
        raise HttpProblem(400, f"recording_storage.{key} must be a text.")
    return value.strip()
