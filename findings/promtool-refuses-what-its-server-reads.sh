#!/bin/bash
# `promtool check metrics` comes with Prometheus, so most would have it check what their program shows at /metrics. It knows the older text
# format alone. OpenMetrics, which the server beside it asks for first, it refuses as soon as there is anything that the older format has not: an
# `info`, a `stateset`, an exemplar. And of a counter it says that there is no help, for in OpenMetrics the help is of `jobs`, and the sample of `jobs_total`.
# The server of the same package reads all of it. So a test that asks promtool has to ask its own program for the older format (Accept: text/plain),
# and another one has to look at what a server makes of OpenMetrics.
#
# Seen 2026-11-29 with Prometheus 2.42.0 (Debian 12, 2.42.0+ds-5+deb12u1). Downloads that package (apt-get, 40 MB), unpacks it into a
# directory of its own without installing it, runs it on loopback, and removes it. Status 1 when it is so no more.
set -euo pipefail

version=2.42.0+ds-5+deb12u1
place=$(mktemp -d /tmp/finding.XXXXXX)
trap 'rm -rf "$place"' EXIT
(cd "$place" && apt-get -qq -o APT::Sandbox::User=root download "prometheus=$version" && dpkg -x prometheus_*.deb .)
"$place/usr/bin/promtool" --version 2>&1 | head -1

cat > "$place/metrics" <<'METRICS'
# TYPE build info
# HELP build What runs.
build_info{version="1.1.0"} 1
# TYPE node stateset
# HELP node In which state it is.
node{node="up"} 1
node{node="down"} 0
# TYPE jobs counter
# HELP jobs Jobs that ended.
jobs_total 5.0 # {job="4f2a"} 1.0
# EOF
METRICS
grep -v '^# TYPE build\|^# HELP build\|^build_info\|node' "$place/metrics" | sed 's/ # {.*//' > "$place/counter"

check() { echo "promtool check metrics, $1:"; "$place/usr/bin/promtool" check metrics < "$2" 2>&1 | sed 's/^/  /'; return "${PIPESTATUS[0]}"; }
as_expected=true
check "a stateset, an info and a counter with an exemplar" "$place/metrics" && as_expected=false
check "the counter alone" "$place/counter" && as_expected=false

python3 - "$place" <<'PYTHON' || as_expected=false
import http.server, json, subprocess, sys, threading, time, urllib.parse, urllib.request

place = sys.argv[1]
text = open(f"{place}/metrics", "rb").read()


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


page = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
threading.Thread(target=page.serve_forever, daemon=True).start()
with open(f"{place}/prometheus.yml", "w") as file:
    file.write(
        "scrape_configs: [{job_name: page, scrape_interval: 1s, static_configs: [{targets: ['127.0.0.1:%d']}]}]\n" % page.server_port)
probe = http.server.HTTPServer(("127.0.0.1", 0), Page)  # For a port that is free.
port = probe.server_port
probe.server_close()
process = subprocess.Popen(
    [f"{place}/usr/bin/prometheus", f"--config.file={place}/prometheus.yml", f"--storage.tsdb.path={place}/data",
     f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=open(f"{place}/log", "w"))


def value(query):
    url = f"http://127.0.0.1:{port}/api/v1/query?query=" + urllib.parse.quote(query)
    for _ in range(240):
        try:
            result = json.load(urllib.request.urlopen(url))["data"]["result"]
            if result:
                return result[0]["value"][1]
        except OSError:
            pass
        if process.poll() is not None:
            sys.exit("the server has ended: " + open(f"{place}/log").read()[-500:])
        time.sleep(0.25)


try:
    seen = {query: value(query) for query in ['node{node="up"}', 'build_info{version="1.1.0"}', "jobs_total"]}
finally:
    process.terminate()
    process.wait()
print("the server of the same package, having read the same text:")
for query, number in seen.items():
    print(f"  {query} {number}")
sys.exit(list(seen.values()) != ["1", "1", "5"])
PYTHON

$as_expected || { echo "it is so no more"; exit 1; }
