"""Streams and events as CUDA defines them, without a GPU: work given to a stream runs as late, or as early, as the events allow.

What one schedule of a real GPU hides, an unfavourable one shows: memory that is overwritten too early then holds other images.
"""

import contextlib
import threading

import torch


class Device:
    """early: names of the streams that run their work at once where they may; the others run only what somebody waits for."""

    def __init__(self, early=()):
        self.early, self.lock = set(early), threading.RLock()
        self.default = Stream(self, "default")
        self.streams, self.current = [self.default], [self.default]

    def install(self, monkeypatch, staging):
        """In place of torch.cuda and of the memory that staging asks for."""
        monkeypatch.setattr(torch.cuda, "Event", lambda **_: Event())
        monkeypatch.setattr(torch.cuda, "stream", self._use)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda _=None: self.current[-1])
        copies = Stream(self, "copies")
        self.streams.append(copies)
        monkeypatch.setattr(staging, "_copy_stream", lambda _: copies)
        monkeypatch.setattr(staging, "_page_locked", lambda shape: torch.zeros(tuple(shape), dtype=torch.uint8))
        monkeypatch.setattr(staging, "_on_device", lambda shape, _: Memory(self, torch.zeros(shape, dtype=torch.uint8)))

    @contextlib.contextmanager
    def _use(self, stream):
        self.current.append(stream)
        yield
        self.current.pop()

    def launch(self, work):
        """A kernel on the current stream."""
        self.current[-1].add(work)

    def synchronise(self):
        for stream in self.streams:
            stream.run_to(len(stream.work))


class Stream:
    def __init__(self, device, name):
        self.device, self.name, self.work, self.done = device, name, [], 0

    def add(self, work):
        with self.device.lock:
            self.work.append(work)
            for stream in self.device.streams:
                if stream.name in self.device.early:
                    stream.run_while_free()

    def wait_event(self, event):
        self.add(event.mark)

    def run_while_free(self):
        """All that waits for nothing unfinished of another stream."""
        while self.done < len(self.work) and self._is_free(self.work[self.done]):
            self._run_next()

    @staticmethod
    def _is_free(work):
        return callable(work) or work is None or work[0].done >= work[1]

    def run_to(self, end):
        with self.device.lock:
            while self.done < end:
                self._run_next()

    def _run_next(self):
        work = self.work[self.done]
        self.done += 1
        if callable(work):
            work()
        elif work is not None:
            work[0].run_to(work[1])


class Event:
    """Marks a point of a stream; `mark` is None before the first."""

    def __init__(self):
        self.mark = None

    def record(self, stream):
        self.mark = (stream, len(stream.work))

    def synchronize(self):
        if self.mark is not None:
            self.mark[0].run_to(self.mark[1])


class Memory:
    """Memory of the device: a copy into it is work for the current stream, which reads the host's part when it runs."""

    def __init__(self, device, values):
        self.device, self.values = device, values

    def __getitem__(self, where):
        return Memory(self.device, self.values[where])

    def copy_(self, host, non_blocking):
        assert non_blocking
        self.device.launch(lambda: self.values.copy_(host))
