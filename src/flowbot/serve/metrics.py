"""What Prometheus may ask: requests, their times, calls, tokens and dollars. Counters are read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from .service import Service

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300)


class Metrics:
    """The numbers of one service, in a registry of its own.

    Args:
        service: whose.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "flowbot_requests", "Requests by path and status", ("path", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "flowbot_request_seconds", "Seconds to the answer", ("path",), registry=self._registry, buckets=_BUCKETS
        )
        self._registry.register(self)
        self._seen: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count one request; 499 is one whose client has gone."""
        if (path, status) not in self._seen:  # to look a label up costs more than to count
            self._seen[path, status] = self._requests.labels(path, status), self._seconds.labels(path)
        requests, times = self._seen[path, status]
        requests.inc()
        times.observe(seconds)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """What the ledger and the service know, as Prometheus asks for it."""
        service = self._service
        yield GaugeMetricFamily("flowbot_in_flight", "Requests under way", service.under_way)
        yield GaugeMetricFamily("flowbot_in_flight_most", "Requests under way at most", service.most)
        calls = CounterMetricFamily("flowbot_model_calls", "Calls that models served", labels=("model",))
        tokens = CounterMetricFamily("flowbot_tokens", "Tokens by model and direction", labels=("model", "direction"))
        usd = CounterMetricFamily("flowbot_usd", "US dollars, where the price is known", labels=("model",))
        for model, took in service.engine.session.ledger.spent_by_model.items():
            calls.add_metric((model,), took.calls)
            tokens.add_metric((model, "in"), took.input_tokens)
            tokens.add_metric((model, "out"), took.output_tokens)
            usd.add_metric((model,), took.usd or 0.0)
        yield from (calls, tokens, usd)
        if service.spending is not None:
            yield GaugeMetricFamily("flowbot_usd_today", "US dollars of today, all processes", service.spending.paid)
