"""A loopback endpoint that speaks OpenAI's protocol over our models, store and budgets: for programs that are not ours."""

from .access import Access, Mode
from .server import Proxy

__all__ = ["Access", "Mode", "Proxy"]
