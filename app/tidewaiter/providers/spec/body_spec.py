"""Bodies of requests with several parts: fields and files."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from tidewaiter.providers.spec.field_types import OneOrMore, Scalar, SpecTable, Text


class UploadSpec(SpecTable):
    """A file of a body: exactly one of ``text``, ``from_file`` and ``from_job``. Without a value it is left out."""

    name: Text = Field(description="the name of the field")
    text: Text | None = Field(default=None, description="the content of the file, such as `${params.requests}`")
    from_file: Text | None = Field(
        default=None,
        description="the path of a file in a folder that the account's `uploads` names, such as `${params.path}`: "
        "absolute, or below such a folder; `..` and symbolic links are refused",
    )
    from_job: Text | None = Field(
        default=None,
        description="the number of a job of the same account that has succeeded, whose only file is sent, or its "
        "number and the name of a file: `17/rows.csv`",
    )
    file_name: Text | None = Field(default=None, description="the name of the file, if other than its own")
    content_type: Text | None = Field(
        default=None, description="its media type; by default that of the landed file, or application/octet-stream"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(one is not None for one in (self.text, self.from_file, self.from_job)) != 1:
            raise ValueError("needs exactly one of text, from_file and from_job")
        return self


class MultipartSpec(SpecTable):
    """A body with several parts (``multipart/form-data``): the fields, then the files."""

    fields: Mapping[Text, Scalar] = Field(default={}, description="fields and their values")
    files: OneOrMore[UploadSpec] = Field(default=(), description="files, each with the name of its field")

    @model_validator(mode="after")
    def _has_parts(self) -> Self:
        if not self.fields and not self.files:
            raise ValueError("needs fields or files")
        return self
