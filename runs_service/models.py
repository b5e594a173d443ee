"""What crosses the wire. A run itself is kept as it comes; `Run` names only what it must be to be kept at all."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, FailFast, Field, RootModel, model_validator

T = TypeVar("T")

UNPRINTABLE = r"/\x00-\x1f\x7f-\x9f"
LONGEST_ID = 200  # characters


def _fits_in_a_path(value: str) -> str:
    if value in (".", ".."):
        raise ValueError("a run id has to fit in a path: '.' and '..' do not")
    return value


RunId = Annotated[
    str, Field(min_length=1, max_length=LONGEST_ID, pattern=f"^[^{UNPRINTABLE}]+$"), AfterValidator(_fits_in_a_path)
]
Filter = Annotated[T | None, BeforeValidator(lambda value: None if value == "" else value)]


class Run(BaseModel):
    """A generation run: any JSON object in which these fields, where they are there, have these shapes."""

    model_config = ConfigDict(strict=True)

    run_id: RunId | None = None
    variants: Annotated[list[dict[str, Any]], FailFast()] = []
    source_image_data_url: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_an_object(cls, value: object) -> object:
        if not isinstance(value, dict):
            raise ValueError("a run is a JSON object")
        return value


class View(StrEnum):
    """How much of each run a page shows."""

    FULL = "full"
    SUMMARY = "summary"


class PageQuery(BaseModel):
    """Filters combine; an empty one is none. `q` is looked for without regard to case. `since` follows all runs."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=300)
    cursor: Filter[str] = None
    status: Filter[str] = None
    provider: Filter[str] = None
    favorite: Filter[bool] = Field(None, description="whether a variant of the run is a favourite")
    q: Filter[str] = None
    view: View = View.FULL
    since: str | None = Field(None, description="a token of an earlier answer; empty to begin at the beginning")

    @model_validator(mode="after")
    def _whoever_follows_follows_all(self) -> Self:
        others = (self.cursor, self.status, self.provider, self.favorite, self.q)
        if self.since is not None and any(other is not None for other in others):
            raise ValueError("leave out cursor, status, provider, favorite and q: since takes limit and view alone")
        return self


class RunPage(BaseModel):
    """The newest runs before the cursor, oldest of them first; `next_cursor` leads to older ones."""

    runs: list[Run]
    next_cursor: str | None


class RunDelta(BaseModel):
    """What was written, and the ids of what was deleted, after `since`; `token` is the next one, for now or later."""

    runs: list[Run]
    deleted: list[str]
    token: str
    has_more: bool


class Runs(RootModel[RunPage | RunDelta]):
    """A page of runs; with `since`, what was written and deleted after it."""


class Favorite(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    favorite: bool


class Written(BaseModel):
    run_id: str
    created: bool
    updated: Literal[True] = True


class FavoriteSet(BaseModel):
    run_id: str
    variant_id: str
    favorite: bool
    updated: Literal[True] = True


class RunDeleted(BaseModel):
    run_id: str
    deleted: Literal[True] = True


class AllDeleted(BaseModel):
    deleted_runs: int
