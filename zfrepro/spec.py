"""The base class of all settings: frozen, an unknown key is an error, and so is a boolean where a number is asked for."""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Base(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_booleans(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML's yes and on are booleans, which Python would count as 1."""
        values = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(item, bool) for item in values):
            kinds = _kinds(cls.model_fields[str(info.field_name)].annotation)
            names = isinstance(value, list | tuple) and str in kinds  # their own message says more
            if not names and kinds.isdisjoint({bool, Any}) and kinds & {int, float}:
                raise ValueError(
                    f"a boolean (yes, no, on, off, true, false) is not a number (got {value!r}); write a number, or a name in quotes"
                )
        return value


def _kinds(annotation: Any) -> set[Any]:
    """The types that an annotation consists of."""
    return {annotation}.union(*map(_kinds, get_args(annotation)))
