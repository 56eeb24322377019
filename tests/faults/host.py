"""A program that does as it is told, one line at a time: a host of its own, whatever its clock says."""

from __future__ import annotations

import json
import sys
import time

from bursar import Budget, BudgetExceeded, Hold

if __name__ == "__main__":
    url, tz, lease, *limits = sys.argv[1:]
    budget = Budget(*limits, store=url, tz=tz, lease=lease, soft_limit=None, wait=0)
    session = budget.session()
    hold: Hold | None = None
    for line in sys.stdin:
        verb, *amounts = line.split()
        said: object = None
        try:
            if verb == "time":
                said = time.time()
            elif verb == "spend":
                session.reserve(cost=amounts[0]).settle(cost=amounts[0])
                said = "spent"
            elif verb == "hold":
                hold = session.reserve(cost=amounts[0])
                hold.keep()
                said = "held"
            elif verb == "settle":
                assert hold is not None
                said = str(hold.settle(cost=amounts[0]).overrun)
            elif verb == "balance":
                said = [str(budget.spent), str(budget.reserved)]
            elif verb == "doctor":
                said = budget.doctor()
        except BudgetExceeded as refusal:
            said = f"refused by {refusal.limit}"
        sys.stdout.write(f"{json.dumps(said)}\n")
        sys.stdout.flush()
