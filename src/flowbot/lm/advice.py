"""What to do about a model that did not answer."""

from __future__ import annotations

from flowbot.fields import InfrastructureError, UserError

from .providers import PROVIDERS


def advice(model: str, error: Exception) -> str:
    """What to do about a model that did not answer, in a sentence without the error itself."""
    if isinstance(error, UserError):
        return error.mend
    provider = model.partition("/")[0]
    if provider not in PROVIDERS or not isinstance(error, InfrastructureError):
        return "`flowbot models` lists the models that can be used"
    row = PROVIDERS[provider]
    match error.kind:
        case "auth":
            return f"check the key in {' or '.join(row.keys)}, and that it may use this model"
        case "not_found":
            where = f" and the address in {row.base_variable}" if row.base_variable else ""
            return f"check the model's name as {provider} writes it{where}"
        case "connection" | "timeout":
            where = f", the address in {row.base_variable}" if row.base_variable else ""
            return f"check the network, the proxy{where} and that the server is up"
        case "rate_limit":
            return "check the account's credit, or wait and try again" if error.fatal else "wait a little and try again"
        case "server" | "garbage":
            where = f", or check the address in {row.base_variable}" if row.base_variable else ""
            return f"try again in some minutes{where}"
        case _:
            return "see what the endpoint says, and its documentation of the model"
