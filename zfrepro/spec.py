"""The base class of all settings: frozen, and an unknown key is an error."""

from pydantic import BaseModel, ConfigDict


class Base(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
