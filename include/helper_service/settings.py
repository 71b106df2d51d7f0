"""Settings of the Helper stand-in: environment variables with the prefix `HELPER_`."""

from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from include.stand_in.settings import StandInSettings

MODEL = "laundry"
"""faceserve's name for the model whose verdicts are reviewed."""
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is no time zone such as Asia/Seoul")
    return name


class Settings(StandInSettings):
    model_config = SettingsConfigDict(env_prefix="HELPER_")

    port: int = 8090
    """HTTP port."""
    dsn: SecretStr = SecretStr("postgresql://helper@127.0.0.1:5432/helper")
    """The Helper service's own database."""
    model_exchange: str = "model.events"
    """Topic exchange of the model events, which say since when a version serves."""
    model_queue: str = "helper.model-changes"
    """Queue for those that the Helper service listens to."""
    blind_audit_share: Share = 0.05
    """Share of tasks whose reviewer does not see the AI's verdict; their events carry `blindAudit`."""
    undo_seconds: Annotated[float, Field(ge=0, le=60)] = 10.0
    """Seconds in which a reviewer can take a word back; its event leaves after them."""
    review_share: Share = 1.0
    """Share of new tasks that the review page offers; the others are confirmed elsewhere, or never."""
    review_share_of_branch: dict[str, Share] = {}
    """The share of branches that differ, such as `{"BRANCH-7": 0.2}`."""
    daily_reviews: Count = 300
    """Photos a day that a branch is offered at most; 0: none."""
    daily_reviews_of_branch: dict[str, Count] = {}
    """The number of branches that differ, such as `{"BRANCH-7": 50}`."""
    second_opinion_share: Share = 0.05
    """Share of tasks that a second person is shown, too, without the AI's verdict or the first word."""
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "Asia/Seoul"
    """Where a day of reviewing begins and ends."""
    reasons: tuple[str, ...] = ("얼룩", "잉크", "흙", "기름", "찢어짐", "탈색", "무늬를 결함으로 봄", "기타")
    """Reasons that a correction may name beside its own words; the pipeline's list is `RETRAIN_REASONS`."""

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)
