"""The catalogue of metrics as the Markdown page ``docs/metrics.md``."""

from typing import Final

from app.metrics.catalogue import CHAPTERS, Metric

_HEAD: Final = """# Metrics

Made from `app/metrics/catalogue.py` by `make docs-metrics`; do not edit.

The daemon shows its metrics at `/metrics` of the address that `[http] listen` names, in Prometheus' text format, or as
OpenMetrics where the request's `Accept` asks for that. From the machine itself no token is needed; from elsewhere
one of the role `read` is.

```yaml
# prometheus.yml
scrape_configs:
  - job_name: tidewaiter
    authorization:
      credentials_file: /etc/prometheus/tidewaiter.token
    static_configs:
      - targets: ["tidewaiter.example.org:8090"]
rule_files:
  - prometheus.rules.yaml
```

The alert rules in `config/alerts/` need `job="tidewaiter"` on the scrape and nothing else:

| file | for | how |
|---|---|---|
| `prometheus.rules.yaml` | Prometheus, and whatever reads its rules | name it in `rule_files` |
| `loki.rules.yaml` | Loki's ruler, on the log | copy it into the ruler's folder; the log's label is `app="tidewaiter"` |
| `elastic.json` | Elasticsearch or Kibana, on the log | make a rule of each ES|QL query; the log's index is `logs-tidewaiter-*` |
| `grafana.json` | Grafana | import it as a dashboard |

Each alert names the paragraph of the [handbook](operate.md) that says what to do.

An account with one operation has about sixty series, an idle daemon with one account about 200. No label holds a job's
number, a handle or an address. The process's own use of memory, processor and files stands in the usual `process_*`
metrics (on Linux).
"""


def render() -> str:
    """The page."""
    lines = [_HEAD.rstrip("\n")]
    for chapter in CHAPTERS:
        lines += [
            "",
            f"## {chapter.title}",
            "",
            chapter.source,
            "",
            "| metric | kind | labels | shows |",
            "|---|---|---|---|",
        ]
        lines += [_row(metric) for metric in chapter.metrics]
    return "\n".join(lines) + "\n"


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    bounds = f"; buckets to {metric.buckets[-1]:g}" if metric.buckets else ""
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning}{bounds} |"
