"""`hyperqueue_cluster.py COUNT CORES DIRECTORY`: as many tasks on a HyperQueue cluster inside this process; prints the seconds from
submit to the end of the last."""

import sys
import time

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig


def main():
    count, cores, directory = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    with LocalCluster(directory + "/server", WorkerConfig(cores=cores)) as cluster:
        client = cluster.client()
        start = time.monotonic()
        job = Job(default_workdir=directory)
        for _ in range(count):
            job.program(["sh", "-c", "true"])
        client.wait_for_jobs([client.submit(job)])
        print(time.monotonic() - start)


if __name__ == "__main__":
    main()
