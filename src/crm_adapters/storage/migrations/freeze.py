"""Writes the statements of today's records to a file: ``python -m …freeze postgresql > file``."""

import sys

from crm_adapters.storage.schema import statements

if __name__ == "__main__":
    sys.stdout.write("".join(f"{s};;\n" for s in statements(sys.argv[1])))
