#!/usr/bin/env python3
"""Makes the tables of powers of the generators beside this file, from the primes in ../constants.rs: `python3 make.py`.

A table is four rows of 32 entries. Bit k of d stands for tooth k: entry d of row j is the product of
g ^ (2 ^ (80 j + 16 k)) over the teeth k of d, modulo N, in Montgomery form (times 2 ^ bits), little-endian, as long as N.
"""

import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
GENERATORS = {1024: 2, 2048: 2, 3072: 5, 4096: 5, 8192: 19}
ROWS, TEETH, TOOTH = 4, 5, 16

constants = (HERE.parent / "constants.rs").read_text()
for bits, text in re.findall(r"N_(\d+): &str = concat!\((.*?)\);", constants, re.DOTALL):
    bits = int(bits)
    if bits not in GENERATORS:
        continue  # Groups that the crate refuses.
    n = int("".join(re.findall(r'"([0-9A-F]+)"', text)), 16)
    table = bytearray()
    for row in range(ROWS):
        for d in range(1 << TEETH):
            exponent = sum(1 << (TEETH * TOOTH * row + TOOTH * k) for k in range(TEETH) if d >> k & 1)
            entry = pow(GENERATORS[bits], exponent, n) * (1 << bits) % n
            table += entry.to_bytes(bits // 8, "little")
    (HERE / f"{bits}.bin").write_bytes(table)
