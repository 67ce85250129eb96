"""Counts what the Autobahn suite reports, and fails where a case, or its closing handshake, did.

NON-STRICT is allowed: a fault that is found at the end of a frame rather than in the middle of it. INFORMATIONAL
judges nothing.
"""
from __future__ import print_function

import json
import sys
from collections import Counter

GOOD = ("OK", "NON-STRICT", "INFORMATIONAL")

with open(sys.argv[1]) as report:
    cases = json.load(report)["chat-ws-svc"]

failed = []
for part, name in (("behavior", "cases"), ("behaviorClose", "closing")):
    counts = Counter(case[part] for case in cases.values())
    print("%s: %d, %s" % (name, len(cases), ", ".join("%d %s" % (n, word) for word, n in counts.most_common())))
    failed += ["%s %s: %s" % (name, number, case[part]) for number, case in cases.items() if case[part] not in GOOD]

for line in sorted(failed):
    print(line)
sys.exit(1 if failed or not cases else 0)
