"""The stream of a reply that a server writes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from minireason.backends.base import StreamOptions
from minireason.backends.collected import Collected
from minireason.backends.remote import pieces
from minireason.backends.remote.connection import Connection, ask, was_closed
from minireason.backends.remote.exchange import End, Exchange, News
from minireason.backends.remote.labels import Labels
from minireason.backends.remote.pieces import Piece
from minireason.backends.remote.prompt_size import PromptSize
from minireason.backends.remote.request import PATH, Request
from minireason.backends.remote.scores import Answered, Scores
from minireason.backends.remote.tally import CHARS_PER_TOKEN, Tally, estimate
from minireason.backends.remote.thought import ThoughtLimit
from minireason.backends.remote.thought_end import ThoughtEnd
from minireason.closing import Closing
from minireason.engine.interruption import DeferredInterrupt
from minireason.errors import ContextFull, MinireasonError, UsageError
from minireason.events import Event, FinishReason, Reply, TokenLogprob
from minireason.reasoning.think import Label, Span

POLL_S = 0.005
"""How long `poll` waits for something to come."""

_NEXT_S = 0.05
_CONTROL = "/chat/completions/control"


class RemoteStream(Iterator[Event], Closing):
    """One reply of a server; a thread of its connection reads, and whoever asks is given it.

    Where the server cannot end a thought itself, the request is cut off there, and a second one
    goes on from the thought with the answer: see `Request.continued`.

    Ctrl-C waits while a request is sent and while what came is taken in, and comes while nothing is
    there: so no piece is lost, and nothing is asked twice.
    """

    def __init__(
        self,
        connection: Connection,
        news: News,
        request: Request,
        options: StreamOptions,
        *,
        size: PromptSize,
        parse: Callable[[str], Any] | None,
    ) -> None:
        self._connection, self._news, self._request = connection, news, request
        self._options, self._flavour = options, request.flavour
        settings = request.settings
        self._scores = Scores(options)
        self._collected = Collected(request.model, settings, request.seed, parse)
        self._size = size
        self._tally = Tally(size.count(request.messages))
        self._labels = Labels(request.begun, opened=self._flavour.raw)
        self._limit = ThoughtLimit(
            settings, native=request.native_budget, lands_loops=self._flavour.lands_loops
        )
        self._thought_end = ThoughtEnd(request)
        self._lock = threading.RLock()
        self._exchange: Exchange | None = None
        # Asks the server to end the thought. An event loop holds no task, so it is held here.
        self._control: Future[tuple[int, Any]] | None = None
        self._seen = 0
        self._id = ""
        self._finish: FinishReason = "stop"
        self._iterated = self._cancelled = False

    def __iter__(self) -> RemoteStream:
        if self._iterated:
            raise UsageError("This stream has been iterated already; ask again for another reply.")
        self._iterated = True
        return self

    def __next__(self) -> Event:
        while not self._collected.waiting:
            if self.ended:
                raise StopIteration
            self._step(_NEXT_S)
        return self._collected.read()

    def poll(self) -> list[Event]:
        """See `ReplyStream.poll`; waits for some milliseconds, if nothing came for any stream."""
        self._step(POLL_S)
        return self._collected.read_all()

    @property
    def ready(self) -> bool:
        """See `KnowsWhenReady.ready`."""
        inbox = self._exchange.inbox.items if self._exchange else ()
        return bool(inbox) or self._collected.waiting > 0 or self.ended

    @property
    def ended(self) -> bool:
        """See `ReplyStream.ended`."""
        return self._collected.ended

    @property
    def tokens(self) -> int:
        """See `ReplyStream.tokens`: by pieces, until the server tells."""
        return self._tally.total

    @property
    def thinking_tokens(self) -> int:
        """See `ReplyStream.thinking_tokens`."""
        return self._tally.thinking

    @property
    def estimated(self) -> bool:
        """See `MayEstimate.estimated`."""
        return self._tally.estimated

    @property
    def confidences(self) -> Sequence[float]:
        """See `ReplyStream.confidences`: by its logprobs, or told by our own server at the end."""
        return self._scores.confidences

    @property
    def logprobs(self) -> Sequence[TokenLogprob]:
        """See `KnowsLogprobs.logprobs`."""
        return self._scores.logprobs

    @property
    def reply(self) -> Reply:
        """See `ReplyStream.reply`."""
        return self._collected.reply

    def cancel(self) -> None:
        """See `ReplyStream.cancel`."""
        self._cancelled = True
        self._news.tell()

    def finish_thinking(self) -> bool:
        """See `ReplyStream.finish_thinking`."""
        can = self._flavour.control or self._flavour.can_cut
        under_way = can and self._labels.thinking and not self._limit.asked and not self.ended
        self._limit.asked = can
        self._news.tell()
        return under_way

    def close(self) -> None:
        """See `ReplyStream.close`."""
        self.drop()
        with self._lock, DeferredInterrupt():
            self.drop()  # should another thread have gone on with a second request
            self._end("cancelled")

    def drop(self) -> None:
        """See `ReplyStream.drop`."""
        if self._exchange:
            self._exchange.cancel()

    def __del__(self) -> None:
        if hasattr(self, "_exchange"):
            self.drop()

    def _step(self, wait_s: float) -> None:
        """Take in what is there, unless something is unread, after waiting if there is nothing."""
        with self._lock:
            if self._collected.waiting or self.ended:
                return
            if self._cancelled:
                self.close()
                return
            with DeferredInterrupt():
                exchange = self._exchange or self._begin()
            if not exchange.inbox.items and not self._connection.closed:
                self._news.wait(self._seen, wait_s)
            with DeferredInterrupt():
                self._take_all(exchange)

    def _take_all(self, exchange: Exchange) -> None:
        """Take in what came of a request."""
        if not exchange.inbox.items and self._connection.closed:
            self._take(was_closed())
        self._seen = self._news.count
        while exchange.inbox.items and exchange is self._exchange and not self.ended:
            self._take(exchange.inbox.take())
        if not self.ended and self._labels.thinking:
            self._land_if_over()

    def _begin(self) -> Exchange:
        """Send the request; without any thought where only a cut can leave it out."""
        self._seen = self._news.count
        self._collected.begin()
        skips = self._request.settings.thinking_tokens == 0 and not self._request.native_budget
        if skips and self._flavour.can_cut and self._request.begun is None:
            self._labels.land()
            self._thought_end.landed = "skipped"
            return self._send(self._request.continued("", 0))
        return self._send(self._request.body())

    def _send(self, body: dict[str, Any]) -> Exchange:
        self._exchange = Exchange(self._connection, PATH, body, self._news, self._exchange)
        return self._exchange

    def _take(self, item: Piece | End | MinireasonError) -> None:
        """Take in a piece, the end or an error."""
        if isinstance(item, Piece):
            self._take_piece(item)
        elif isinstance(item, End):
            self._end(self._finish)
        elif not self._asks_for_less(item):
            if isinstance(item, ContextFull):
                self._size.told(self._request.messages, item.prompt_tokens)
            self._end("cancelled")
            self._collected.drop_unread()
            raise item

    def _asks_for_less(self, error: MinireasonError) -> bool:
        """Ask again without logprobs, where these are refused and nobody asked but for a vote."""
        if not self._request.confidences or self._options.logprobs is not None:
            return False
        if "logprobs" not in str(error) or self._tally.total:
            return False
        self._request = replace(self._request, confidences=False)
        self._begin()
        return True

    def _take_piece(self, piece: Piece) -> None:
        self._id = piece.id or self._id
        tokens = estimate(piece.text)
        if self._options.allowance and tokens > self._options.allowance():
            self.drop()
            self._end("length")
            return
        before = self._labels.answering, self._collected.answer_chars
        spans = self._labels.feed(piece)
        if self._labels.thinking or (piece.thinking and self._thought_end.landed is None):
            self._tally.thinking += tokens
        else:
            self._tally.answer += tokens
        self._show(spans)
        if piece.logprobs:
            self._scores.add(piece, self._answered(spans, *before))
        if piece.finish is not None:
            self._finish = "length" if piece.finish == "length" else "stop"
            self._thought_end.told = piece.told
            self._scores.told(piece.told)
        if piece.usage:
            forced = pieces.count(self._thought_end.told, "forced_tokens") or 0
            self._tally.told(piece.usage, forced)
            self._size.told(self._request.messages, self._tally.prompt_told)
        if self._collected.stopped and not self.ended:
            self.drop()
            self._end("stop")
        elif self._labels.thinking:
            self._land_if_over()

    def _answered(self, spans: list[Span], was_answering: bool, chars: int) -> Answered:
        """What of the answer came with a piece that was labelled so."""
        size = sum(len(text.encode()) for label, text in spans if label is Label.ANSWER)
        return Answered(
            (chars, self._collected.answer_chars),
            None if was_answering else size,
            undecided=self._labels.undecided,
        )

    def _show(self, spans: list[Span]) -> None:
        for span in spans:
            if span[0] is Label.THINKING:
                self._limit.feed(span[1])
            self._collected.add(span)

    def _land_if_over(self) -> None:
        """End the thought if it is over: by the server, or else by a second request."""
        end = self._limit.over(self._tally.thinking)
        if end is None or self._thought_end.landed is not None:
            return
        if self._flavour.control:
            self._thought_end.landed = end
            self._ask_for_end()
        elif self._flavour.can_cut:
            self._thought_end.landed = end
            self._cut()

    def _ask_for_end(self) -> None:
        """Ask the server to end the thought."""
        place = self._exchange.place if self._exchange else self._connection.place
        content = json.dumps({"id": self._id, "action": "reasoning_end"}).encode()
        self._control = self._connection.start(
            ask(self._connection.client, place, "POST", f"{place.base}{_CONTROL}", content)
        )

    def _cut(self) -> None:
        """Cut the request off, put the landing in, and go on with another."""
        self.drop()
        self._show(self._labels.flush())
        thinking = self._limit.kept(self._collected.thinking)
        message = self._request.settings.landing.strip()
        landing = f"\n\n{message}" if message else ""
        if landing:
            self._collected.add((Label.THINKING, landing))
            self._tally.forced += max(1, len(landing) // CHARS_PER_TOKEN)
        used = self._tally.total
        self._tally.next_request()
        self._labels.land()
        self._send(self._request.continued(thinking + landing, used))

    def _end(self, reason: FinishReason) -> None:
        """End the reply here, if it has not ended."""
        if self.ended:
            return
        self._show(self._labels.flush())
        collected, tally = self._collected, self._tally
        thinking_end = self._thought_end.of(collected.thinking, collected.answer, tally)
        collected.end(reason, thinking_end, tally.usage())
