"""Bodies of /rest/v1/: JSON only. Named in settings; REST framework calls it."""

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class LimitedJSONParser(JSONParser):
    """JSON whose nesting does not break the interpreter's own limit: that is the sender's mistake, not a failure."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().parse(*args, **kwargs)
        except RecursionError:
            raise ParseError("the body is nested too deeply") from None
