"""Counters, gauges and histograms of the client library, as the catalogue has them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.metrics.catalogue import CATALOGUE


def counter(name: str, registry: CollectorRegistry) -> Counter:
    """A counter of the catalogue."""
    metric = CATALOGUE[name]
    return Counter(name, metric.meaning, metric.labels, registry=registry)


def gauge(name: str, registry: CollectorRegistry) -> Gauge:
    """A gauge of the catalogue."""
    metric = CATALOGUE[name]
    return Gauge(name, metric.meaning, metric.labels, registry=registry)


def histogram(name: str, registry: CollectorRegistry) -> Histogram:
    """A histogram of the catalogue, with its buckets."""
    metric = CATALOGUE[name]
    return Histogram(name, metric.meaning, metric.labels, registry=registry, buckets=metric.buckets)
