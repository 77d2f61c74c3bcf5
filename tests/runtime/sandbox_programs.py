"""Honest programs in plain Python, each with what it prints."""

from __future__ import annotations

from textwrap import dedent

HONEST: dict[str, tuple[str, str]] = {
    "class": (
        """
        class Account:
            def __init__(self, start):
                self.total = start
            def add(self, n):
                self.total += n
                return self
        print(Account(1).add(2).add(3).total)
        """,
        "6",
    ),
    "math": ("import math\nprint(math.gcd(12, 18), math.isqrt(50), round(math.pi, 3))", "6 7 3.142"),
    "patterns": ("import re\nprint(re.sub(r'(\\d+)', lambda m: str(int(m[1]) * 2), 'a1b20'))", "a2b40"),
    "itertools": ("import itertools\nprint(list(itertools.permutations('ab')))", "[('a', 'b'), ('b', 'a')]"),
    "json": ("import json\nprint(json.dumps(json.loads('{\"a\": [1, 2.5, null]}')))", '{"a": [1, 2.5, null]}'),
    "dates": ("import datetime\nprint(datetime.date(2024, 2, 28) + datetime.timedelta(days=2))", "2024-03-01"),
    "recursion": ("def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nprint(fib(15))", "610"),
    "generator": (
        """
        def primes(limit):
            found = []
            for n in range(2, limit):
                if all(n % p for p in found):
                    found.append(n)
                    yield n
        print(*primes(20))
        """,
        "2 3 5 7 11 13 17 19",
    ),
    "dataclass": (
        """
        from dataclasses import dataclass
        @dataclass
        class Point:
            x: int
            y: int = 0
        print(Point(3).x + Point(1, 2).y)
        """,
        "5",
    ),
    "errors": (
        "try:\n    [][1]\nexcept IndexError as error:\n    print('caught', error)",
        "caught list index out of range",
    ),
    "text": ("print(', '.join(sorted({'b': 1, 'a': 2}, key=str.upper)), f'{3.14159:.2f}', 'ß€😀')", "a, b 3.14 ß€😀"),
    "comprehensions": ("print({k: [v for v in range(k) if v % 2] for k in (3, 6)})", "{3: [1], 6: [1, 3, 5]}"),
    "counting": ("from collections import Counter\nprint(Counter('abca').most_common(1))", "[('a', 2)]"),
    "inheritance": ("class A:\n    n = 1\nclass B(A):\n    pass\nprint(B().n)", "1"),
    "matching": ("match [1, 2]:\n    case [a, *rest]:\n        print(a, rest)", "1 [2]"),
    "heap": ("import heapq\nprint(heapq.nsmallest(2, [3, 1, 2]))", "[1, 2]"),
}
HONEST = {name: (dedent(code).strip("\n"), printed) for name, (code, printed) in HONEST.items()}
