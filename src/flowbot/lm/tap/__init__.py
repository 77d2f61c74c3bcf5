"""What a user's own program asks of models, seen where its HTTP client sends it: stored, counted, and replayed byte for byte."""

from .exchange import Exchange
from .models import Models
from .patches import install
from .tap import BlockingCallError, Tap, tapping

__all__ = ["BlockingCallError", "Exchange", "Models", "Tap", "install", "tapping"]
