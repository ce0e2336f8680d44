"""The catalogue of metrics as the Markdown page ``docs/metrics.md``."""

from typing import Final

from tidewaiter.metrics.metric_catalogue import CHAPTERS, Metric

_HEAD: Final = """# Metrics

Made from `app/tidewaiter/metrics/metric_catalogue.py` by `make docs-metrics`; do not edit.

The daemon shows its metrics at `/metrics` of the address that `[http] listen` names, in Prometheus' text format, or as
OpenMetrics if the request's `Accept` asks for that. If `[tokens]` are configured, a token with the role `read` is
needed.

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

`/healthz` and `/readyz` of the same address need no token. The first answers 200 while the event loop and the daemon's
parts work, also in standby and while draining: restart a process that answers otherwise. The second answers 200 if new
work can be done: the database answers and accepts writes, its schema fits, what the jobs'
steps learn is recorded, and this process serves its lanes or stands by for the one that
does; otherwise 503 with each failure. `tidewaiter healthcheck` is the check for a container.

## Alerts

`config/alerts/` holds ready-made rules. Each alert names the section of the [handbook](operate.md) that says what to
do.

| file | for | how |
|---|---|---|
| `prometheus.rules.yaml` | Prometheus | name it in `rule_files`; the scrape's `job_name` begins with `tidewaiter` |
| `prometheus.test.yaml` | tests of these rules | `promtool test rules prometheus.test.yaml` |
| `loki.rules.yaml` | Loki's ruler, on the log | copy it to the ruler; label the log `app="tidewaiter"` |
| `elastic.rules.json` | Kibana, on the log | send each one to `/api/alerting/rule`, see below |
| `elastic.template.json` | Elasticsearch | the fields that those ask for, as an index template |
| `grafana.json` | Grafana | import it as a dashboard; it asks for the Prometheus data source |

Choose metrics or the log: both report the same problems, and metrics show better how bad they are. For Elasticsearch
the shipper decodes each JSON line below `tidewaiter` (Filebeat: the `ndjson` parser with `target: tidewaiter`), because
`event` is a table in Elastic's own schema, and takes `@timestamp` from `tidewaiter.timestamp`:

```sh
curl -X PUT "$ELASTICSEARCH/_index_template/tidewaiter" -H 'Content-Type: application/json' -d @elastic.template.json
jq -c '.[]' elastic.rules.json | while read -r rule; do
  curl "$KIBANA/api/alerting/rule" -H 'kbn-xsrf: true' -H 'Content-Type: application/json' -d "$rule"
done
```

## What is measured

An account with one operation has about a hundred series, with buckets. At most `[http] metrics_accounts` accounts have
series of their own, 1000 by default: the first that this process has seen, which begins with the configured ones by
name. The series of all others, and of an account of that name, are added up in `account="other"`, with `operation` and
`lane` `other` too; of times and states it has the largest. The event `metrics.limited` and the metric
`tidewaiter_accounts_in_other` say so. After a change of the limit by SIGHUP, counters of `other` may begin anew.

No label holds a job's number, a handle or an address. The process's use of memory, processor and files is in the usual
`process_*` metrics (on Linux).
"""


def render() -> str:
    """The page."""
    lines = [_HEAD.rstrip("\n")]
    for chapter in CHAPTERS:
        lines += [
            "",
            f"### {chapter.title}",
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
