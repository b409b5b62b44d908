"""A second, minimal client of the public plugin's protocol, written from the reference and sharing no code with ours.

It follows the call order that the public projects' clients have: numbers are sent and read one by one, an unanswered
message of the game is acknowledged by its bare number, and the size of a picture is remembered by whoever asked.
"""

import socket
import struct


class MinimalClient:
    """Blocking calls, native little-endian numbers, a transcript of everything that passed."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(60)
        self.transcript: list[tuple[str, bytes]] = []

    def _send(self, content: bytes) -> None:
        self.transcript.append(("P>G", content))
        self.sock.sendall(content)

    def _read(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            part = self.sock.recv(size - len(content))
            assert part, "the game closed the connection"
            content += part
        self.transcript.append(("G>P", content))
        return content

    def read_int32(self) -> int:
        return struct.unpack("<i", self._read(4))[0]

    def respond(self, message: int) -> None:
        self._send(struct.pack("<i", message))

    def set_speed(self, factor: float) -> None:
        self._send(struct.pack("<if", 6, factor))

    def rewind_to_state(self, state: bytes) -> None:
        self._send(struct.pack("<ii", 7, len(state)) + state)

    def rewind_to_current_state(self) -> None:
        self._send(struct.pack("<i", 8))

    def get_simulation_state(self) -> bytes:
        self._send(struct.pack("<i", 9))
        return self._read(self.read_int32())

    def set_input_state(self, left: bool, right: bool, accelerate: bool, brake: bool) -> None:
        self._send(struct.pack("<iBBBB", 10, left, right, accelerate, brake))

    def give_up(self) -> None:
        self._send(struct.pack("<i", 11))

    def execute_command(self, line: str) -> None:
        self._send(struct.pack("<ii", 14, len(line)) + line.encode())

    def set_timeout(self, ms: int) -> None:
        self._send(struct.pack("<iI", 15, ms))

    def request_frame(self, width: int, height: int) -> None:
        self._send(struct.pack("<iii", 17, width, height))

    def get_frame(self, width: int, height: int) -> bytes:
        return self._read(width * height * 4)

    def set_on_step_period(self, ms: int) -> None:
        self._send(struct.pack("<ii", 19, ms))

    def unrequest_frame(self) -> None:
        self._send(struct.pack("<i", 20))

    def toggle_interface(self, shown: bool) -> None:
        self._send(struct.pack("<ii", 21, shown))

    def is_in_menus(self) -> bool:
        self._send(struct.pack("<i", 22))
        return self.read_int32() == 1

    def close(self) -> None:
        self.sock.close()
