"""The tiny model's thoughts: school methods written out digit by digit.

Every line leaves a running result behind ("so 33", "best 1200", "r! 2"), so a thought that is cut
short holds a best guess. Now and then a digit slips (with the rate given), and everything after
follows from the slip: a model trained on this errs at temperature 1 as often as its teacher, in its
thoughts and not in its answer, which is what voting repairs. A calculation with two or more carries
is checked by doing it the other way round.
"""

from __future__ import annotations

import random

from problems import Problem

PLACES = ("ones", "tens", "hundreds", "thousands", "ten-thousands")


class Scratchpad:
    """The lines written so far, and the dice for slips."""

    def __init__(self, rng: random.Random, slip_rate: float) -> None:
        self.lines: list[str] = []
        self.carries = 0
        self._rng = rng
        self._slip_rate = slip_rate

    def write(self, line: str) -> None:
        self.lines.append(line)

    def slip(self, value: int) -> int:
        """The value, or with the slip rate one beside it."""
        if self._rng.random() >= self._slip_rate:
            return value
        return max(0, value + self._rng.choice((-1, 1, 1, -2, 2, 10 if value < 9 else -10)))

    def add(self, left: int, right: int, rest: tuple[int, ...] = ()) -> int:
        """The sum of two terms.

        The `rest` is named too, so that no term is lost on the way to the next sum.
        """
        self.write(f"{left} + {right}" + (f", then {', '.join(map(str, rest))}" if rest else ""))
        tail, carry, place = "", 0, 0
        while 10**place <= max(left, right):
            first, second = left // 10**place % 10, right // 10**place % 10
            total = min(19, self.slip(first + second + carry))
            tail = f"{total % 10}{tail}"
            task = f"{first}+{second}" + (f"+{carry}" if carry else "")
            self.write(f"{PLACES[place]} {task}={total}, so {tail}")
            carry, place = total // 10, place + 1
            self.carries += carry
        if carry:
            tail = f"1{tail}"
            self.write(f"carry 1, so {tail}")
        self.write(f"{left} + {right} = {int(tail)}")
        return int(tail)

    def subtract(self, left: int, right: int) -> int:
        self.write(f"{left} - {right}")
        tail, borrow, place = "", 0, 0
        while 10**place <= max(left, right):
            first, second = left // 10**place % 10, right // 10**place % 10
            task = f"-{second}" + (f"-{borrow}" if borrow else "")
            rest = first - second - borrow
            text = f"{first}{task}"
            borrow = int(rest < 0)
            if borrow:
                rest += 10
                text += f": borrow, {first + 10}{task}"
                self.carries += 1
            rest = min(9, self.slip(rest))
            tail = f"{rest}{tail}"
            self.write(f"{PLACES[place]} {text}={rest}, so {tail}")
            place += 1
        if borrow:
            self.write(f"Wait, {left} is less than {right}, so minus {right} - {left}")
            result = -self.subtract(right, left)
        else:
            result = int(tail)
        self.write(f"{left} - {right} = {result}")
        return result

    def times_digit(self, left: int, digit: int) -> int:
        self.write(f"{left} * {digit}")
        tail, carry, place = "", 0, 0
        while 10**place <= left:
            first = left // 10**place % 10
            product = self.slip(first * digit + carry)
            tail = f"{product % 10}{tail}"
            task = f"{first}*{digit}" + (f"+{carry}" if carry else "")
            self.write(f"{PLACES[place]} {task}={product}, so {tail}")
            carry, place = product // 10, place + 1
        if carry:
            tail = f"{carry}{tail}"
            self.write(f"carry {carry}, so {tail}")
        self.write(f"{left} * {digit} = {int(tail)}")
        return int(tail)

    def multiply(self, left: int, right: int) -> int:
        if left < 10 <= right:
            self.write(f"{left} * {right} is {right} * {left}")
            left, right = right, left
        if right < 10:
            return self.times_digit(left, right)
        self.write(f"{left} * {right}: by {right % 10} and by {right // 10}0")
        low = self.times_digit(left, right % 10)
        high = self.times_digit(left, right // 10) * 10
        self.write(f"{left} * {right // 10}0 = {high}")
        result = self.add(low, high)
        self.write(f"{left} * {right} = {result}")
        return result

    def checked(self, op: str, left: int, right: int) -> int:
        """Do it, and check it the other way round where there were two or more carries.

        If that differs, do it again.
        """
        if op == "mul":
            return self.multiply(left, right)
        work = self.add if op == "add" else self.subtract
        self.carries = 0
        result = work(left, right)
        if self.carries < 2 or result < 0:
            return result
        self.write("Let me check.")
        agrees = self.add(right, left) == result if op == "add" else self.add(result, right) == left
        if agrees:
            self.write(f"Good, {result}.")
            return result
        self.write("Wait, that does not fit. Once more.")
        return work(left, right)

    def best_of(self, kind: str, values: tuple[int, ...]) -> int:
        self.write(f"{kind}: start with {values[0]}, best {values[0]}")
        best = values[0]
        for value in values[1:]:
            reason, wins = compare(str(value), str(best), kind)
            if self._rng.random() < self._slip_rate:
                wins = not wins
            best = value if wins else best
            self.write(f"{value}: {reason}, {'yes' if wins else 'no'}, best {best}")
        return best

    def count(self, word: str, letter: str) -> int:
        # Each letter is followed by the mark that it has in the first line, or by a dash: to tell
        # equal letters, a small transformer needs no more than the copying that it does best. (With
        # "r/r yes" it never learned to.)
        self.write(f"{letter}! in {word}")
        total = 0
        for index, current in enumerate(word, 1):
            hit = (current == letter) != (self._rng.random() < self._slip_rate / 3)
            total += hit
            self.write(f"{index} {current}{'!' if hit else '-'} {total}")
        return total


def compare(value: str, best: str, kind: str) -> tuple[str, bool]:
    """Why `value` wins or loses against `best`, digit by digit."""
    if len(value) != len(best):
        longer = len(value) > len(best)
        return f"{'longer' if longer else 'shorter'} than {best}", longer == (kind == "largest")
    steps = []
    for mine, other in zip(value, best, strict=True):
        if mine != other:
            steps.append(f"{mine}{'>' if mine > other else '<'}{other}")
            break
        steps.append(f"{mine}={other}")
    return f"as long as {best}, " + " ".join(steps), (mine > other) == (kind == "largest")


def think(problem: Problem, rng: random.Random, slip_rate: float = 0.0) -> tuple[str, str]:
    """A thought about the problem and the answer sentence's content that it arrives at."""
    pad = Scratchpad(rng, slip_rate)
    if problem.note:
        pad.write(problem.note)
    args = problem.args
    if problem.op == "chat":
        return problem.note, problem.answer
    if problem.op == "count":
        result = pad.count(str(args[0]), str(args[1]))
    else:
        numbers = tuple(int(value) for value in args)
        if problem.op in ("largest", "smallest"):
            result = pad.best_of(problem.op, numbers)
        elif problem.op == "sum":
            result = numbers[0]
            for index, term in enumerate(numbers[1:], 2):
                result = pad.add(result, term, numbers[index:])
        else:
            result = pad.checked(problem.op, numbers[0], numbers[1])
    return "\n".join(pad.lines), str(result)
