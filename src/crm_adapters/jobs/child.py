"""One worker process: ``python -m crm_adapters.jobs.child THREADS [--json]``."""

import sys

from crm_adapters.jobs.worker import run_child

if __name__ == "__main__":
    run_child(int(sys.argv[1]), as_json="--json" in sys.argv)
