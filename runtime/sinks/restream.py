"""Sends the overlay to a server, live; the run never waits for the server."""

from __future__ import annotations

import threading
import time
from typing import Final, NamedTuple

from edgeseg.errors import MissingPackageError, SinkError
from edgeseg.machine.extras import make_install_command
from edgeseg.progress import Say
from edgeseg.redact import redact
from edgeseg.runtime.channel import Channel
from edgeseg.runtime.overlay import EncoderImage, Overlay
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.partial import LastStepError
from edgeseg.runtime.sinks.sender import Sender, UnableError
from edgeseg.runtime.sources.live.device import BACK_OFF_S
from edgeseg.runtime.threads import start_thread
from edgeseg.text import explain, pluralize

__all__ = ["RestreamSink"]

# A connection that took frames for so long has worked: the next loss begins with a short pause.
_STEADY_S: Final = 5.0
_CLOSE_S: Final = 2.0


class _Drawn(NamedTuple):
    image: EncoderImage
    time_s: float


class RestreamSink:
    """Draws each frame, and leaves it to a thread that sends the newest one.

    A file's frames must come when they are due, as `hold_back` gives them. A server that is lost is
    looked for again, with pauses that grow; frames are dropped until then, and `say` hears of it.
    Of several sources, `name` tells whose stream it is.
    """

    def __init__(
        self,
        url: str,
        overlay: Overlay,
        *,
        fps: float,
        live: bool,
        name: str | None = None,
        say: Say,
    ) -> None:
        try:
            import av  # noqa: F401  # the sender's process needs it
        except ImportError:
            raise MissingPackageError(
                "PyAV", purpose="--restream", command=make_install_command(["video"])
            ) from None
        self._url = url
        self._overlay = overlay
        self._say = say
        self._title = redact(url) if name is None else f"{name}: {redact(url)}"
        self._link = _Link(url, fps, self._say_now)
        self._live = live
        self._given = 0
        self._drawn: Channel[_Drawn] = Channel(newest=True)
        self._thread = threading.Thread(target=self._work, name="edgeseg restream", daemon=True)
        start_thread(self._thread)

    def write(self, result: Result, /) -> None:
        """Leave one frame to the thread.

        Raises:
            SinkError: FFmpeg cannot send to such an address.
        """
        if self._link.unable is not None:
            raise SinkError(f"{redact(self._url)} cannot be sent to: {self._link.unable}")
        captured = result.captured
        # A file's pauses may be cut, and its frames be late: `at` is when it was due.
        time_s = captured.time_s if self._live else captured.at
        self._given += 1
        self._drawn.put(_Drawn(self._overlay.encode(result), time_s))

    def finish(self) -> None:
        """Send the last frame, end the connection, and say how many frames were sent.

        Raises:
            LastStepError: no frame was ever sent.
        """
        self._drawn.end()
        self._thread.join(_CLOSE_S)
        self.discard()
        if not self._given or self._link.unable is not None:  # which was said
            return
        sent = self._link.count()
        told = f"{pluralize(sent, 'frame')} sent, {self._given - sent:,} dropped"
        if not sent:
            raise LastStepError(f"{redact(self._url)}: {told}: {self._link.reason}")
        self._say(f"{self._title}: {told}")

    def discard(self) -> None:
        """End the connection."""
        self._drawn.close()
        self._link.end()
        self._thread.join()

    def _say_now(self, line: str) -> None:
        """Say what happens now, with its time."""
        self._say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {self._title}: {line}")

    def _work(self) -> None:
        for drawn in self._drawn:
            self._link.send(drawn)
        self._link.close()


class _Link:
    """The connection to the server, opened again when it is lost.

    `unable` says why it never is. `reason` is that of the last loss.
    """

    def __init__(self, url: str, rate: float, say: Say) -> None:
        self._url = url
        self._rate = rate
        self._say = say
        self._sender: Sender | None = None
        self._size = (0, 0)
        self._first_s = self._last_s = 0.0
        self._sent = self._attempt = 0  # frames of earlier connections; attempts without steadiness
        self._taken_at: float | None = None  # when this connection was seen to take a frame first
        self._lost = self._ended = False
        self._retry_at = 0.0
        self.unable: str | None = None
        self.reason = "the run ended before the server was there"

    def send(self, drawn: _Drawn) -> None:
        """Send a frame, or drop it while the server is lost."""
        if self._ended or self.unable is not None or time.monotonic() < self._retry_at:
            return
        try:
            if self._sender is None or drawn.image.size != self._size:
                self._open(drawn)
            assert self._sender is not None, "it was just opened"
            # Times must grow by a tick at least; a source's clock may jump.
            self._last_s = max(self._last_s + 1e-3, drawn.time_s - self._first_s)
            self._sender.send(drawn.image, self._last_s)
        except UnableError as error:
            self.unable = str(error)
        except (SinkError, OSError) as error:  # a process cannot be started without memory
            self._lose(explain(error))
        else:
            self._see(self._sender)

    def count(self) -> int:
        """Count the frames that were sent so far."""
        return self._sent + (0 if self._sender is None else self._sender.sent)

    def close(self) -> None:
        """End the connection in good order."""
        if self._sender is not None:
            self._sender.close(wait_s=_CLOSE_S)

    def end(self) -> None:
        """End the connection at once, from another thread."""
        self._ended = True
        if self._sender is not None:
            self._sender.kill()

    def _open(self, drawn: _Drawn) -> None:
        self.close()
        self._let_go()
        height, width = self._size = drawn.image.size
        self._sender = Sender(self._url, height=height, width=width, rate=self._rate)
        self._sender.connect()
        self._first_s, self._last_s = drawn.time_s, -1e-3

    def _see(self, sender: Sender) -> None:
        """See whether the connection takes frames, and whether it has done so for long enough."""
        if not sender.count():
            return
        now = time.monotonic()
        if self._taken_at is None:
            self._taken_at = now
            if self._lost:
                self._say(f"back after attempt {self._attempt}")
            self._lost = False
        if now - self._taken_at > _STEADY_S:
            self._attempt = 0

    def _let_go(self) -> None:
        self._sent, self._sender, self._taken_at = self.count(), None, None

    def _lose(self, reason: str) -> None:
        """Say why the server is lost, and when it is looked for again."""
        if self._ended:
            return
        self._let_go()
        self._lost, self.reason = True, reason
        self._attempt += 1
        pause_s = BACK_OFF_S[min(self._attempt, len(BACK_OFF_S)) - 1]
        self._retry_at = time.monotonic() + pause_s
        lost = f"lost after {self._sent} frames" if self._sent else "takes no frame yet"
        self._say(f"{lost} ({reason}), attempt {self._attempt} in {pause_s:g} s")
