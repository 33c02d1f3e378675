#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A dictionary that outlives the program, and that every program sees.

    pip install clients/python
    tarn pool create tank --size 1G && tarn cont create tank neo --type PYTHON && tarn-gateway &
    stadium.py

It finds the gateway as the `tarn` command does: by $TARN_ENDPOINT, or by its socket.
"""
import tarn

with tarn.DCont("tank", "neo") as dcont:
    dd = dcont.dict("stadium", {"Barcelona": "Camp Nou", "London": "Wembley"})
    dd["Milano"] = "San Siro"  # durable when it returns
    dd.bput({"Madrid": "Santiago Bernabéu", "Manchester": "Old Trafford"})  # many at once
    print("Barcelona plays at", dd["Barcelona"].decode())
    for city, stadium in dd.items():
        print(city, "=", stadium.decode())
