"""The same task for huey, RQ and Celery, and what submits it and waits until it has ended often enough.

Their workers import it; `main SYSTEM COUNT` prints the seconds from the first submit to the last stored result. PEERS_REDIS is the path
of the Redis socket, PEERS_SYSTEM the system. Each has databases of its own, so that its results can be counted.
"""

import os
import subprocess
import sys
import time

SOCKET = os.environ["PEERS_REDIS"]
SYSTEM = os.environ["PEERS_SYSTEM"]


def work():
    return subprocess.call(["sh", "-c", "true"])


if SYSTEM == "huey":
    from huey import RedisHuey

    app = RedisHuey("peers", url=f"unix://{SOCKET}?db=1")
    submit = app.task()(work)
    results_count = app.result_count

elif SYSTEM == "celery":
    import redis
    from celery import Celery

    app = Celery(
        "peers", broker=f"redis+socket://{SOCKET}?virtual_host=2", backend=f"redis+socket://{SOCKET}?virtual_host=3"
    )
    submit = app.task(name="work")(work).delay
    results_count = redis.Redis(unix_socket_path=SOCKET, db=3).dbsize

elif SYSTEM == "rq":
    import redis
    from rq import Queue

    app = Queue("peers", connection=redis.Redis(unix_socket_path=SOCKET, db=4))

    def submit():
        app.enqueue(work)

    def results_count():
        return len(app.finished_job_registry.get_job_ids(cleanup=False))


def main():
    count = int(sys.argv[1])
    wanted = results_count() + count
    start = time.monotonic()
    for _ in range(count):
        submit()
    while results_count() < wanted:
        time.sleep(0.005)
    print(time.monotonic() - start)
