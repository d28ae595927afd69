"""Changes of the requests that schemathesis makes."""

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    """Bounds what no description can: prompt and answer have to fit into the context, and what a schema may have."""
    if not (case.meta and case.meta.generation.mode.is_positive and isinstance(case.body, dict)):
        return
    case.body = shortened(case.body)
    if not case.path.endswith("/completions"):
        return
    for name in ("max_tokens", "max_completion_tokens"):
        limit = case.body.get(name)
        case.body[name] = 8 if limit is None else min(limit, 8)
    if case.body.get("min_tokens"):
        case.body["min_tokens"] = min(case.body["min_tokens"], case.body["max_completion_tokens"])
    if case.body.get("logit_bias"):
        case.body["logit_bias"] = dict(zip("0123456789", case.body["logit_bias"].values()))
    if case.body.get("tool_choice") not in ("none", None):
        # The others need tools with names and schemas that fit.
        case.body["tool_choice"] = "auto"
    form = case.body.get("response_format") or {}
    if form.get("type") == "json_schema":
        form["json_schema"]["schema"] = {"type": "boolean"}


def shortened(value):
    """A JSON value with long texts and lists cut."""
    match value:
        case str():
            return value[:12]
        case list():
            return [shortened(element) for element in value[:3]]
        case dict():
            return {key: shortened(member) for key, member in value.items()}
        case _:
            return value
