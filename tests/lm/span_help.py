"""Spans kept in memory, as a tracer provider would export them."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler


class Recorded:
    """What was exported, and the provider that exports it."""

    def __init__(self, sampler: Sampler) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def spans(self) -> list[ReadableSpan]:
        """Those that have ended, in that order."""
        return list(self._exporter.get_finished_spans())

    def one(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.spans if span.name == name]
        return found

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(span.to_json() for span in self.spans)


def recording(monkeypatch: pytest.MonkeyPatch, sampler: Sampler | None = None) -> Recorded:
    """Let spans go to memory for the rest of a test."""
    recorded = Recorded(sampler or ParentBased(ALWAYS_ON))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", recorded.provider)
    return recorded
