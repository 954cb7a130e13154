"""The cookies of one reply.

A load balancer that is "sticky" sets a cookie, and leads requests that bring it to the same server
behind it. Two requests have to come where the reply is: the one that ends its thought, and, for its
cache, the one that goes on from a cut. So cookies last as long as one reply. All others start
without any: else every chain of a vote and every line of a batch would go to one server, and what
servers set would add up.
"""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2

MAX_CHARS = 4096
"""What browsers keep of one cookie; more in all is no sticky one."""


def none_kept() -> CookieJar:
    """A jar in which nothing stays."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def of(response: httpx2.Response) -> str:
    """What a response has set, as a later request brings it; "" where there is none."""
    pairs = (one.partition(";")[0].strip() for one in response.headers.get_list("set-cookie"))
    whole = "; ".join(pair for pair in pairs if "=" in pair and pair.isascii())
    return whole if len(whole) <= MAX_CHARS else ""
