"""What Prometheus may ask: requests, their times, calls, tokens and dollars. Counters are read when they are asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

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
        self._registry.register(self)
        self._requests: dict[tuple[str, int], int] = {}
        self._seconds: dict[str, float] = {}
        self._within: dict[str, list[int]] = {}

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count one request; 499 is one whose client has gone."""
        if path not in self._seconds:
            self._seconds[path], self._within[path] = 0.0, [0] * (len(_BUCKETS) + 1)
        self._requests[path, status] = self._requests.get((path, status), 0) + 1
        self._seconds[path] += seconds
        self._within[path][bisect_left(_BUCKETS, seconds)] += 1

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        """What was counted, and what the ledger and the service know, as Prometheus asks for it."""
        service = self._service
        requests = CounterMetricFamily("flowbot_requests", "Requests by path and status", labels=("path", "status"))
        for (path, status), number in self._requests.items():
            requests.add_metric((path, str(status)), number)
        times = HistogramMetricFamily("flowbot_request_seconds", "Seconds to the answer", labels=("path",))
        for path, within in self._within.items():
            buckets = list(zip((*(str(float(each)) for each in _BUCKETS), "+Inf"), accumulate(within), strict=True))
            times.add_metric((path,), buckets, self._seconds[path])
        yield from (requests, times)
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
